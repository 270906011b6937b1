"""What a script does for a generative model: what the net is asked for each example, drawn as netc draws it."""

from __future__ import annotations

from netc.netspec.check import CheckedNet
from netc.netspec.errors import UserError
from netc.netspec.loss import CrossEntropy, MeanSquaredError
from netc.netspec.process import FLOOR, Ddpm, Flow, MaskedDiffusion, Process
from netc.netspec.recipe import Recipe
from netc.proofs_oracle.twin.mixing import STREAM, Changes

COMMON = '''
FIXED = np.array([0x6E657463, 0x6576616C], np.uint32)  # the key of an evaluation


def spread(count):
    """Van der Corput's times of an evaluation."""
    bits, i = (count - 1).bit_length(), jnp.arange(count)
    return sum(((i >> b & 1) * 0.5 ** (b + 1) for b in range(bits)), jnp.zeros(count)) + 0.5 ** (bits + 1)


def below(word, count):
    """A whole number below `count`, at most 4095, from the first 24 bits of a word."""
    high, low = word >> 20, word >> 8 & 4095
    return (high * count + (low * count >> 12) >> 12).astype(jnp.int32)

'''

GAUSSIAN = '''
def gaussian(key, path, shape):
    """Sums of eight 16-bit uniforms, less their mean, divided by their deviation."""
    drawn = [word for i in (0, 1) for word in words(key, stream(f"{path}{i}"), math.prod(shape))]
    total = sum(f.astype(jnp.int32) for word in drawn for f in (word & 0xFFFF, word >> 16))
    return ((total - 4 * 65535).astype(float) * (1 / math.sqrt(8 * (2**32 - 1) / 12))).reshape(shape)


def squared(z, target, importance):
    """The mean squared error of each example, [B], times its importance."""
    return jnp.square(z - target).reshape(len(z), -1).mean(1) * importance

'''

IMAGES = '''
def asked(key, x, label):
    """<about>"""
    count, training = len(x), key is not None
    key = key if training else FIXED
    word = words(key, stream("(process).time"), count)[0]
    noise = gaussian(key, "(process).noise", x.shape)
<mixed><label>    planes = [jnp.broadcast_to(v[:, None, None, None], (*x.shape[:3], 1)) for v in (time<class>)]
    return jnp.concatenate([mixed, *planes], -1), target, <importance>

'''

FLOW = """\
    time = ((word >> 9) + 0.5) / 2**23 if training else spread(count)
<normal>    t, target = time[:, None, None, None], <target>
    mixed = (1 - t) * x + t * noise
"""

NORMAL = """\
    normal = gaussian(key, "(process).time.normal", (count,)) if training else jax.scipy.special.ndtri(spread(count))
    time = 1 / (1 + jnp.exp(-normal))
"""

DDPM = """\
    n = below(word, <steps>) if training else jnp.floor(spread(count) * <steps>).astype(jnp.int32)
    kept = np.cumprod(1 - BETAS)
    a, s = (jnp.asarray(np.sqrt(v))[n].astype(x.dtype)[:, None, None, None] for v in (kept, 1 - kept))
    time, mixed, target = (n + 1).astype(float) / <steps>, a * x + s * noise, <target>
"""

LINEAR = "BETAS = np.linspace(1e-4, 0.02, <steps>) * (1000 / <steps>)\n"

COSINE = """\
ANGLES = (np.arange(<steps> + 1) / <steps> + 0.008) / 1.008 * math.pi / 2
BETAS = np.minimum(1 - np.cos(ANGLES[1:]) ** 2 / np.cos(ANGLES[:-1]) ** 2, 0.999)
"""

# the velocity (x_t - x) / t of an image x that is predicted differs from the true one by the image's difference / t
OF_IMAGE = f"1 / jnp.maximum(time, {FLOOR}) ** 2"

TARGETS = {"epsilon": "noise", "x0": "x", "v": "a * noise - s * x"}

LABEL = """\
    hidden = words(key, stream("(process).label"), count)[0] >> 8 < <drop>
    label = jnp.where(hidden & training, <none>, label)
"""

MASKED = '''
def asked(key, x, y):
    """Tokens of which k at random are the mask, and round(1000 k / T); the tokens; T / k for each masked one."""
    (count, length), training = x.shape, key is not None
    key = key if training else FIXED
    word = words(key, stream("(process).time"), count)[0]
    k = (below(word, length) if training else jnp.floor(spread(count) * length).astype(jnp.int32)) + 1
    order = words(key, stream("(process).mask"), x.size)[0].reshape(x.shape) >> 1
    place = jnp.argsort(jnp.argsort(order, axis=1, stable=True), axis=1)
    masked, time = place < k[:, None], jnp.floor(1000 * k.astype(float) / length + 0.5).astype(jnp.int32)
    seen = jnp.concatenate([jnp.where(masked, <mask>, x), time[:, None]], 1)
    return seen, x, jnp.where(masked, length / k[:, None].astype(float), 0.0)


def likelihood(z, target, importance):
    """The cross-entropy of each text, [B], each token with its weight."""
    each = -jnp.take_along_axis(jax.nn.log_softmax(z), target[..., None], -1)[..., 0]
    return (each * importance).mean(1)

'''


def asked_of(net: CheckedNet, recipe: Recipe, key: str, *, streamed: bool) -> tuple[Changes, str]:
    """What the script has for its process, and the loss of each example as an expression.

    `key` and `streamed` as in changes_of. Raises UserError for a process or a loss that has no form.
    """
    process = recipe.generation.chosen
    assert process is not None
    if isinstance(process, Flow | Ddpm) and recipe.loss == MeanSquaredError():
        functions, call = GAUSSIAN + _of_images(process, net, recipe), "squared"
    elif isinstance(process, MaskedDiffusion) and recipe.loss == CrossEntropy():
        functions, call = MASKED.replace("<mask>", str(net.out.shape[-1] - 1)), "likelihood"
    elif isinstance(process, Flow | Ddpm | MaskedDiffusion):
        raise UserError(
            f"emit-jax wants the plain {process.losses[0].kind} of `process={process.kind}`, got another loss or "
            "options of it; leave `loss` out"
        )
    else:
        raise UserError(
            f"emit-jax wants `process` flow, ddpm or masked, got {process.kind}; the script has no form of it"
        )
    line = f"        seen, target, importance = asked({key}, x, y)\n"
    helpers = ("" if streamed else STREAM) + COMMON
    return Changes(helpers + functions, line, "seen"), f"{call}(logits, target, importance)"


def _of_images(process: Process, net: CheckedNet, recipe: Recipe) -> str:
    """The function `asked` of images, and the tables that it reads."""
    about, tables, importance = "What the net sees, is to answer, and how much each answer weighs.", "", "1.0"
    if isinstance(process, Ddpm):
        steps = str(process.noise_steps)
        tables = {"linear": LINEAR, "cosine": COSINE}[process.noise_schedule].replace("<steps>", steps)
        mixed = DDPM.replace("<steps>", steps).replace("<target>", TARGETS[process.predicts])
    else:
        assert isinstance(process, Flow)
        of_image = process.flow_predicts == "x"
        importance = OF_IMAGE if of_image else importance
        mixed = FLOW.replace("<normal>", NORMAL if process.times == "logit-normal" else "")
        mixed = mixed.replace("<target>", "x" if of_image else "noise - x")
    classed, given = process.conditional(net.x, net.out), recipe.generation
    label = LABEL.replace("<drop>", str(round(given.label_drop * 2**24))).replace("<none>", str(given.label_count))
    text = IMAGES.replace("<about>", about).replace("<mixed>", mixed).replace("<label>", label if classed else "")
    return tables + text.replace("<class>", ", label" if classed else ",").replace("<importance>", importance)
