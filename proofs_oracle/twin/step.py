"""What a script says of its first state, drawn or given, and of the derivative of a step, in parts or not."""

from __future__ import annotations

from dataclasses import dataclass

from netc.proofs_oracle.twin.mixing import Changes

KEY = '''

def step_key(state):
    """What the masks of this step are drawn with: the words of stream 3 at the step's number."""
    return threefry_2x32(state["key"], jnp.stack([state["step"], 3]).astype(jnp.uint32))
'''

DRAWN = {"<begins>": "", "<begun>": "", "<weights option>": "", "<first state>": "initial_state(SEED)"}
"""Mark -> text where every parameter is drawn."""

BEGUN = {
    "<begins>": "What FILE.weights.npz holds\nis taken from there. ",
    "<begun>": '''

def begun(path, state):
    """The state with the weights that the training begins with; what the file does not hold stays as it was drawn."""
    with np.load(path, allow_pickle=False) as held:
        if str(held["sha256"]) != HEADER["recipe"]["init"]:
            raise SystemExit(f"{path} holds other weights than the script was written for")
        given = {
            role: {name: jnp.asarray(held[name]) for name in state[role] if name in held}
            for role in ("params", "statistics")
        }
    return {**state, **{role: {**state[role], **tensors} for role, tensors in given.items()}}
''',
    "<weights option>": """\
    parser.add_argument("--weights", type=Path, default=Path(__file__).with_suffix(".weights.npz"))
""",
    "<first state>": "begun(options.weights, initial_state(SEED))",
}
"""Mark -> text where weights were given."""

_WHOLE = """\
    def objective(p):
<changes>        logits, statistics = forward(p, state["statistics"], <x>, True<key>)
        return <loss>.mean()<added>, statistics

    (loss, statistics), grads = jax.value_and_grad(objective, has_aux=True)(params)
"""

_PARTS = '''\
    def objective(p, statistics, x, y<number>):
<changes>        logits, statistics = forward(p, statistics, <x>, True<key>)
        return <loss>.mean()<added>, statistics

    def part(sums, examples):
        """One part of the batch: its shares of the means are added, and the statistics moved on."""
        loss, grads, statistics = sums
        (own, statistics), more = jax.value_and_grad(objective, has_aux=True)(params, statistics, *examples)
        return (loss + own / PARTS, jax.tree.map(lambda a, b: a + b / PARTS, grads, more), statistics), None

    parts = [v.reshape(PARTS, -1, *v.shape[1:]) for v in (x, y)]
<numbers>    nothing = jnp.zeros_like(lr), jax.tree.map(jnp.zeros_like, params), state["statistics"]
    (loss, grads, statistics), _ = lax.scan(part, nothing, parts)
'''


@dataclass(frozen=True)
class Drawing:
    """What of a step draws: the net's masks, or what becomes of the examples."""

    net: bool
    examples: bool

    def __bool__(self) -> bool:
        return self.net or self.examples


def key_of(*, parts: bool) -> str:
    """The step's key as an expression; of a batch in parts each of all parts has a number to draw with."""
    return 'step_key({**state, "step": number})' if parts else "step_key(state)"


_FROZEN = """\
    grads = {name: g for name, g in grads.items() if name not in FROZEN}
"""


def derivative(loss: str, changes: Changes, draws: Drawing, *, parts: bool, frozen: bool, added: bool) -> str:
    """The derivative of the mean loss of a batch, or of parts that pass one after the other, which is then summed.

    `loss` is its expression, `changes` what becomes of the examples. Of parameters that are `frozen` it is left out.
    `added`: layers add to the loss.
    """
    text = (_PARTS if parts else _WHOLE).replace("<loss>", loss)
    text = text.replace("<added>", ' + sum(statistics.pop("(losses)", ()))' if added else "")
    text = text.replace("<changes>", changes.line).replace("<x>", changes.x)
    numbers = '    parts.append(state["step"] * PARTS + jnp.arange(PARTS, dtype=jnp.int32))\n'
    text += _FROZEN if frozen else ""
    text = text.replace("<key>", f", {key_of(parts=parts)}" if draws.net else "")
    return text.replace("<number>", ", number" if draws else "").replace("<numbers>", numbers if draws else "")
