"""What a script says of its first state, drawn or given, and of the derivative of a step, in parts or not."""

from __future__ import annotations

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
        logits, statistics = forward(p, state["statistics"], x, True<key>)
        return <loss>.mean(), statistics

    (loss, statistics), grads = jax.value_and_grad(objective, has_aux=True)(params)
"""

_PARTS = '''\
    def objective(p, statistics, x, y<number>):
        logits, statistics = forward(p, statistics, x, True<key>)
        return <loss>.mean(), statistics

    def part(sums, examples):
        """One part of the batch: its shares of the means are added, and the statistics moved on."""
        loss, grads, statistics = sums
        (own, statistics), more = jax.value_and_grad(objective, has_aux=True)(params, statistics, *examples)
        return (loss + own / PARTS, jax.tree.map(lambda a, b: a + b / PARTS, grads, more), statistics), None

    parts = [v.reshape(PARTS, -1, *v.shape[1:]) for v in (x, y)]
<numbers>    nothing = jnp.zeros_like(lr), jax.tree.map(jnp.zeros_like, params), state["statistics"]
    (loss, grads, statistics), _ = lax.scan(part, nothing, parts)
'''


def whole(loss: str, draws: bool) -> str:
    """The derivative of the mean loss of a batch; `loss` is its expression, `draws` whether the net draws masks."""
    return _WHOLE.replace("<loss>", loss).replace("<key>", ", step_key(state)" if draws else "")


def in_parts(loss: str, draws: bool) -> str:
    """The same, summed over parts that pass one after the other; each part of all steps has a number to draw with."""
    key, number, numbers = "", "", ""
    if draws:
        key, number = ', step_key({**state, "step": number})', ", number"
        numbers = '    parts.append(state["step"] * PARTS + jnp.arange(PARTS, dtype=jnp.int32))\n'
    text = _PARTS.replace("<loss>", loss).replace("<key>", key)
    return text.replace("<number>", number).replace("<numbers>", numbers)
