"""Adaptive layer norm: a scale, a shift and a gate for each channel, made of the tokens before the others."""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.layers.tokens import some_tokens
from netc.codegen.rules import Emitted, Grads, Scope, emit_part, rule
from netc.netspec.layers.modulation import Modulated


def _row(b: Builder, rows: Value, index: int, tokens: int) -> Value:
    """Row `index` of [B, R, D] for each of so many tokens, [B, T, D]."""
    batch, _, width = rows.shape
    row = b.reshape(some_tokens(b, rows, index, index + 1), (batch, width))
    return b.op("broadcast", row, shape=(batch, tokens, width), dims=(0, 2))


def _rows(b: Builder, rows: Value, index: int, each: int, runs: list[int]) -> Value:
    """Row `index` of each run's own `each` rows, repeated over that run's tokens."""
    parts = [_row(b, rows, index + each * run, tokens) for run, tokens in enumerate(runs)]
    return parts[0] if len(parts) == 1 else b.concatenate(parts, 1)


def _row_sums(b: Builder, parts: list[Value], runs: list[int]) -> Value:
    """The adjoint of _rows: the sums over each run's tokens of each of `parts`, as rows [B, R, D]."""
    sums, start = [], 0
    for tokens in runs:
        for part in parts:
            one = b.sum(some_tokens(b, part, start, start + tokens), (1,))
            sums.append(b.reshape(one, (one.shape[0], 1, one.shape[1])))
        start += tokens
    return b.concatenate(sums, 1)


@rule(Modulated)
def emit_modulated(b: Builder, layer: Modulated, scope: Scope, x: Value) -> Emitted:
    """y = c, then h + g u, u = body(m), m = n (1 + s) + d, n = norm(h)."""
    count, tokens = layer.conditions, x.shape[1]
    c, h = some_tokens(b, x, 0, count), some_tokens(b, x, count, tokens)
    runs = [layer.apart, h.shape[1] - layer.apart] if layer.apart else [h.shape[1]]
    made = emit_part(b, "modulation", layer.modulation, scope, c)
    each = made.y.shape[1] // len(runs)
    shift, scale, *gates = (_rows(b, made.y, index, each, runs) for index in range(each))
    norm = emit_part(b, "norm", layer.norm, scope, h)
    factor = b.add(scale, 1.0)
    body = emit_part(b, "body", layer.body, scope, b.add(b.mul(norm.y, factor), shift))
    out = b.add(h, b.mul(gates[0], body.y)) if gates else body.y

    def modulated_pull(dy: Value) -> tuple[Value, Grads]:
        dout = some_tokens(b, dy, count, tokens)
        du = b.mul(dout, gates[0]) if gates else dout  # du = g dy
        dm, body_grads = body.pull(du)
        dn, norm_grads = norm.pull(b.mul(dm, factor))  # dn = (1 + s) dm
        dh = b.add(dout, dn) if gates else dn
        # each row is one for all tokens of a run: dd = sum dm, ds = sum dm n, dg = sum dy u
        parts = [dm, b.mul(dm, norm.y), *([b.mul(dout, body.y)] if gates else [])]
        through, made_grads = made.pull(_row_sums(b, parts, runs))
        dc = b.add(some_tokens(b, dy, 0, count), through)  # c goes on, and is read
        return b.concatenate([dc, dh], 1), {**made_grads, **norm_grads, **body_grads}

    return Emitted(b.concatenate([c, out], 1), modulated_pull, {**made.state, **norm.state, **body.state})
