"""What a script says of the parts of a recipe: what is done to gradients, and to weights after a step. Mark -> text."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import indent

from netc.netspec.averaging import Averaging
from netc.netspec.clipping import Clipping
from netc.netspec.types import ParamSpec
from netc.netspec.wrapping import Wrapping

_ADAPTIVE = """\
    units = <units>

    def bounded(name, w, g):
        shape, outputs = units.get(name, (g.shape, (g.ndim - 1,) if g.ndim > 1 else ()))
        w, own = w.reshape(shape), g.reshape(shape)
        rest = tuple(i for i in range(own.ndim) if i not in outputs)
        most, long = (jnp.sqrt(jnp.sum(v**2, rest, keepdims=True)) for v in (w, own))
        most = <share> * jnp.maximum(most, 1e-3)
        return (own * jnp.where(long > most, most / jnp.where(long > most, long, 1), 1)).reshape(g.shape)

    used = {name: bounded(name, params[name], g) for name, g in grads.items()}
"""
_AVERAGES = """\
    held = {**new, **statistics}
    since = t - 1 - <start>
    share = <share>
    averages = {n: jnp.where(since <= 0, held[n], a + share * (held[n] - a)) for n, a in state["averages"].items()}
"""
_EVALUATED = """\
            means = {role: {n: state["averages"][n] for n in state[role]} for role in ("params", "statistics")}
            found = evaluated({**state, **means}, splits["test"])
            told |= {"averaged_loss": number(found[0]), "averaged_accuracy": number(found[1])}
"""


_POINT = """\
    params = {}
    for name, w in state["params"].items():
        kept = {moment: state["moments"][moment][name] for moment in state["moments"]}
        params[name] = <at>

"""


def point(at: str) -> dict[str, str]:
    """The lines that make `params` the weights at which the gradient is taken, and the name of those that are held."""
    if not at:
        return {"<point>": "", "<held>": "params"}
    return {"<point>": _POINT.replace("<at>", at), "<held>": 'state["params"]'}


_UPHILL = """\
    def derived(params):
<derivative>        return loss, statistics, grads

    loss, statistics, grads = derived(params)
    length = jnp.maximum(jnp.sqrt(sum(jnp.sum(g**2) for g in grads.values())), 1e-12)
    steep = derived({**params, **{name: params[name] + <rho> * g / length for name, g in grads.items()}})[2]

"""
_SLOW = """\
    follows = t % <every> == 0
    slow = {name: jnp.where(t == 1, w, state["slow"][name]) for name, w in <held>.items()}
    slow = {name: jnp.where(follows, s + <share> * (new[name] - s), s) for name, s in slow.items()}
    new = {name: jnp.where(follows, slow[name], w) for name, w in new.items()}

"""


def uphill(sam: float, derivative: str) -> tuple[str, str]:
    """The lines of the derivative, which `derivative` are, and the name of the gradients that go to the optimizer."""
    if not sam:
        return derivative, "grads"
    return _UPHILL.replace("<derivative>", indent(derivative, "    ")).replace("<rho>", repr(sam)), "steep"


def followed(wrapping: Wrapping, held: str) -> dict[str, str]:
    """Lookahead's slow weights in the state, and their step, where the step began at the weights `held`."""
    marks = ("<slow>", "<first slow>", "<kept slow>")
    if not wrapping.lookahead:
        return dict.fromkeys(marks, "")
    lines = _SLOW.replace("<every>", str(wrapping.lookahead)).replace("<share>", repr(wrapping.lookahead_share))
    first = '        "slow": jax.tree.map(jnp.zeros_like, params),\n'
    return dict(zip(marks, (lines.replace("<held>", held), first, ', "slow": slow'), strict=True))


def clipped(clipping: Clipping, specs: Sequence[ParamSpec], grads: str) -> dict[str, str]:
    """The lines between the gradients of these parameters and those that are used, and the name of these."""
    if bound := clipping.clip_norm:
        lines = f"""\
    total = jnp.sqrt(sum(jnp.sum(g**2) for g in grads.values()))
    used = {{name: g * jnp.where(total > {bound!r}, {bound!r} / total, 1) for name, g in grads.items()}}
"""
    elif bound := clipping.clip_value:
        lines = f"    used = {{name: jnp.clip(g, -{bound!r}, {bound!r}) for name, g in grads.items()}}\n"
    elif share := clipping.agc:
        own = {p.name: p.units for p in specs if len(p.shape) > 1 and p.units != (p.shape, (len(p.shape) - 1,))}
        lines = _ADAPTIVE.replace("<share>", repr(share)).replace("<units>", repr(own))
    else:
        return {"<clip>": "", "<used>": grads}
    return {"<clip>": lines.replace("grads", grads), "<used>": "used"}


def averaged(a: Averaging) -> dict[str, str]:
    """The average in the state, its step, and its evaluation."""
    marks = ("<averages>", "<first averages>", "<kept averages>", "<told averages>")
    if not a.word:
        return dict.fromkeys(marks, "")
    if a.ema:
        share = f"jnp.maximum(9 / (9 + t), {1 - a.ema!r})" if a.ema_warmup else repr(1 - a.ema)
    else:
        share = f"jnp.where(since % {a.swa_every} == 0, 1 / (since // {a.swa_every} + 1), 0)"
    lines = _AVERAGES.replace("<start>", str(a.swa_start)).replace("<share>", share)
    first = '        "averages": {n: jnp.zeros(row[0]) for n, row in {**PARAMETERS, **STATISTICS}.items()},\n'
    return dict(zip(marks, (lines, first, ', "averages": averages', _EVALUATED), strict=True))
