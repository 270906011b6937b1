"""Combinators: who reads what. Each part has a variable of its own, so that the input is still there for the next."""

from __future__ import annotations

from itertools import accumulate

from netc.netspec.layer import Layer, part_names, signature_of
from netc.netspec.layers import Chain, Concat, Gate, Modulated, OnTokens, Repeat, Residual, Split, TiedHead
from netc.netspec.types import TensorType
from netc.proofs_oracle.twin.spelling import below, branches, inside, tensor
from netc.proofs_oracle.twin.writer import CombinatorText, Writer


def _chain(w: Writer, layer: Chain, path: str, x: TensorType, source: str, target: str) -> str:
    for name, part in zip(part_names(layer.layers), layer.layers, strict=True):
        source = w.write(part, inside(path, name), x, source, target)
        x = signature_of(part, x).out
    return source


def _repeat(w: Writer, layer: Repeat, path: str, x: TensorType, source: str, target: str) -> str:
    for index in range(layer.times):
        source = w.write(layer.body, inside(path, f"block{index}"), x, source, target)
        x = signature_of(layer.body, x).out
    return source


def _residual(w: Writer, layer: Residual, path: str, x: TensorType, source: str, target: str) -> str:
    body = w.write(layer.body, inside(path, "body"), x, source, below(target, "y"))
    around = w.write(layer.shortcut, inside(path, "shortcut"), x, source, below(target, "skip"))
    return w.assign(target, f"{body} + {around}")


def _gate(w: Writer, layer: Gate, path: str, x: TensorType, source: str, target: str) -> str:
    gate = w.write(layer.body, inside(path, "body"), x, source, below(target, "gate"))
    middle = "" if signature_of(layer.body, x).out == x else f"[:, {'None, ' * (x.rank - 1)}:]"
    return w.assign(target, f"{source} * {gate}{middle}")


def _concat(w: Writer, layer: Concat, path: str, x: TensorType, source: str, target: str) -> str:
    named = zip(part_names(layer.branches), layer.branches, branches(target, len(layer.branches)), strict=True)
    outs = [w.write(part, inside(path, name), x, source, variable) for name, part, variable in named]
    if layer.as_tokens:
        ranks = [signature_of(part, x).out.rank for part in layer.branches]
        outs = [f"{out}[:, None]" if rank == 1 else out for out, rank in zip(outs, ranks, strict=True)]
    return w.assign(target, f"jnp.concatenate([{', '.join(outs)}], {1 if layer.as_tokens else -1})")


def _split(w: Writer, layer: Split, path: str, x: TensorType, source: str, target: str) -> str:
    widths, variables = layer.parts(x.shape[-1]), branches(target, len(layer.branches))
    cuts = [*accumulate(widths)][:-1]
    w.lines.append(f"{', '.join(variables)}{',' if len(variables) == 1 else ''} = jnp.split({source}, {cuts}, -1)")
    outs = [
        w.write(part, inside(path, name), TensorType((*x.shape[:-1], width), x.dtype), variable, variable)
        for name, part, width, variable in zip(
            part_names(layer.branches), layer.branches, widths, variables, strict=True
        )
    ]
    return w.assign(target, f"jnp.concatenate([{', '.join(outs)}], -1)")


def _on_tokens(w: Writer, layer: OnTokens, path: str, x: TensorType, source: str, target: str) -> str:
    tokens, width = x.shape
    first, rest = below(target, "first"), below(target, "rest")
    seen = tokens if layer.whole else layer.count
    read = source if layer.whole else w.assign(first, f"{source}[:, :{layer.count}]")
    body = w.write(layer.body, inside(path, "body"), TensorType((seen, width), x.dtype), read, first)
    others = TensorType((tokens - layer.count, width), x.dtype)
    end = w.write(layer.rest, inside(path, "rest"), others, w.assign(rest, f"{source}[:, {layer.count}:]"), rest)
    return w.assign(target, f"jnp.concatenate([{body}, {end}], 1)")


def _modulated(w: Writer, layer: Modulated, path: str, x: TensorType, source: str, target: str) -> str:
    width, count = x.shape[1], layer.conditions
    c, rows, h = (below(target, name) for name in ("conditions", "rows", "rest"))
    w.assign(c, f"{source}[:, :{count}]")
    w.assign(h, f"{source}[:, {count}:]")
    made = w.write(layer.modulation, inside(path, "modulation"), TensorType((count, width), x.dtype), c, rows)
    others, y = TensorType((x.shape[0] - count, width), x.dtype), below(target, "y")
    normed = w.write(layer.norm, inside(path, "norm"), others, h, y)
    each = layer.rows // (2 if layer.apart else 1)

    def row(index: int) -> str:
        if not layer.apart:
            return f"{made}[:, {index}:{index + 1}]"
        return w.call("apart_rows", made, index, index + each, layer.apart, others.shape[0] - layer.apart)

    out = w.write(layer.body, inside(path, "body"), others, w.assign(y, f"{normed} * (1 + {row(1)}) + {row(0)}"), y)
    gated = f"{h} + {row(2)} * {out}" if layer.gate else out
    return w.assign(target, f"jnp.concatenate([{c}, {gated}], 1)")


def _tied_head(w: Writer, layer: TiedHead, path: str, x: TensorType, source: str, target: str) -> str:
    h = w.write(layer.embed, inside(path, "embed"), x, source, target)
    y = w.write(layer.body, inside(path, "body"), signature_of(layer.embed, x).out, h, target)
    return w.assign(target, f"{y} @ {tensor(path, 'embed.tokens')}.T")


FUNCTIONS: dict[str, str] = {
    "apart_rows": '''
def apart_rows(rows, first, second, before, behind):
    """[B, R, D] -> [B, before + behind, D]: one row for the first tokens, another for those behind them."""
    runs = ((first, before), (second, behind))
    return jnp.concatenate([jnp.repeat(rows[:, row, None], tokens, 1) for row, tokens in runs], 1)
''',
}


COMBINATORS: dict[type[Layer], CombinatorText] = {
    Chain: _chain,
    Repeat: _repeat,
    Residual: _residual,
    Gate: _gate,
    Concat: _concat,
    Split: _split,
    OnTokens: _on_tokens,
    Modulated: _modulated,
    TiedHead: _tied_head,
}
