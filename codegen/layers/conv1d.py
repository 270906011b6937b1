"""Convolution along a sequence, as it goes on token by token. All else of it is its expression (conv.py)."""

from __future__ import annotations

from dataclasses import replace

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.layers.tokens import some_tokens, tokens_from
from netc.codegen.rules import Emitted, Scope, decoding_rule, emit, example, no_pull
from netc.netspec.errors import UserError
from netc.netspec.layer import expanded
from netc.netspec.layers.conv1d import Conv1d


@decoding_rule(Conv1d)
def decode_conv1d(b: Builder, layer: Conv1d, scope: Scope, x: Value) -> Emitted:
    """The same, with the last d (kernel - 1) inputs [B, d (kernel - 1), C] as state: one token sees those and itself.

    Raises UserError for padding that is not causal.
    """
    at, before = scope.decoding, layer.dilation * (layer.kernel - 1)
    assert at is not None
    if layer.padding != "causal":
        raise UserError(
            f'a sampler wants padding "causal" of conv1d ({scope.prefix.rstrip(".")}), got {layer.padding!r}, which '
            "shortens the sequence"
        )
    if not before:
        return emit(b, expanded(layer, example(x)), replace(scope, decoding=None), x)
    seen = b.pad(x, (0, before, 0), (0, 0, 0)) if at.whole else b.concatenate([scope.running("inputs"), x], 1)
    windows = replace(layer, padding="valid")
    y = emit(b, expanded(windows, example(seen)), replace(scope, decoding=None), seen).y
    # of the padded sequence token t lies at t + before: those up to the last known token are the next one's
    kept = tokens_from(b, seen, b.add(at.position, 1), before) if at.whole else some_tokens(b, seen, 1, before + 1)
    return Emitted(y, no_pull, {"inputs": kept})
