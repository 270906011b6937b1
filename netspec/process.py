"""Processes: what a generative model learns to undo. `PROCESSES` is the vocabulary, `Generation` the recipe's part.

A step turns a batch of data into what the net sees, what it is to answer and how much each answer weighs, all drawn
from the step's key (codegen/process.py); the sampler undoes the process (codegen/reverse_process.py). Time t is the
level of noise: 1 is noise alone, 0 is data.
"""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from typing import ClassVar

from netc.netspec.loss import Branching, CrossEntropy, Huber, Loss, MeanSquaredError
from netc.netspec.types import TensorType, batched
from netc.netspec.vocabulary import Vocabulary, option

MOST = 4095  # steps of noise, and tokens of a text: 24 random bits choose among them (codegen/mixing.py)
MOST_SLOTS = 64  # of a sequence: a step compares each three of its elements
MOST_WANDER = 100.0
THOUSANDTHS = 1000  # what a net of tokens is given as its time is the share that is masked, in so many


@dataclass(frozen=True)
class Process(ABC):
    """A process as a value: fields are its options."""

    kind: ClassVar[str]
    losses: ClassVar[tuple[type[Loss], ...]] = (MeanSquaredError, Huber)  # the first is the default
    methods: ClassVar[tuple[str, ...]]  # of undoing it; the first is the default
    classed: ClassVar[bool] = True  # whether its nets may see classes

    @property
    def most_steps(self) -> int:
        """More steps than that a sampler cannot take."""
        return MOST

    def problems(self) -> Iterator[str]:
        """Yield one sentence for each option out of range."""
        return iter(())

    def misfits(self, x: TensorType, out: TensorType) -> Iterator[str]:
        """Yield one sentence for each reason why a net x -> out cannot learn it: of images, unless overridden."""
        if x.dtype != "f32" or x.rank != 3 or out.rank != 3 or x.shape[:2] != out.shape[:2] or not self.extra(x, out):
            yield (
                f"`process={self.kind}` wants a net from [batch, H, W, C + 1], images and their time, or "
                f"[batch, H, W, C + 2], their class too, to [batch, H, W, C], got {batched(x.shape)} -> "
                f"{batched(out.shape)}; choose such a net: tiny-dit, tiny-unet-diffusion"
            )

    def extra(self, x: TensorType, out: TensorType) -> int:
        """How many channels follow those of the image: 1, time, or 2, time and class; 0 where it is another number."""
        more = x.shape[-1] - out.shape[-1]
        return more if more in (1, 2) else 0

    def example(self, x: TensorType, out: TensorType) -> TensorType:
        """The type of one example of the data, for a net x -> out that fits."""
        return out

    def label(self, x: TensorType, out: TensorType) -> TensorType:
        """The type of what the data has beside each example: its class, which nets without a class do not see."""
        return TensorType((), "i32")

    def conditional(self, x: TensorType, out: TensorType) -> bool:
        """Whether the net sees a class."""
        return self.classed and x.dtype == "f32" and self.extra(x, out) == 2


TIMES = ("uniform", "logit-normal")
FLOWN = ("v", "x")  # what a flow's net may predict
FLOOR = 0.05  # the least t by which the distance of x_t to a predicted image is divided


@dataclass(frozen=True)
class Flow(Process):
    """Rectified flow: x_t = (1 - t) x + t e, and the net answers v = dx_t/dt = e - x; e is noise, t in (0, 1).

    `times` uniform, or logit-normal: t = 1 / (1 + exp(-n)), n standard normal. With `flow_predicts` x the net answers
    the image x^ in place of v, and what is judged and followed is still the velocity, (x_t - x^) / max(t, 0.05); a net
    of fewer channels than the image has numbers cannot carry its noise, but may carry the image. Sources: Liu et al.
    2023, eq. 1; Lipman et al. 2023; for the times Esser et al. 2024, section 3.1; for x Li and He 2025 (Back to
    Basics: Let Denoising Generative Models Denoise), algorithms 1 and 2, whose t is 1 - t. Any noise will do here:
    netc's is a sum of eight uniforms, of mean 0 and deviation 1, the same bits on every backend.
    """

    kind: ClassVar[str] = "flow"
    methods: ClassVar[tuple[str, ...]] = ("euler", "heun")
    times: str = "uniform"
    flow_predicts: str = "v"

    def problems(self) -> Iterator[str]:
        """Words that there are not."""
        yield from _one_of("times", self.times, TIMES)
        yield from _one_of("flow_predicts", self.flow_predicts, FLOWN)


PREDICTED = ("epsilon", "v", "x0")
NOISES = ("linear", "cosine")


@dataclass(frozen=True)
class Ddpm(Process):
    """Denoising diffusion: x_n = a_n x + s_n e, a_n^2 + s_n^2 = 1, n uniform in 1..N, N = `noise_steps`; t = n / N.

    The net answers what `predicts` says: epsilon, the noise e; x0, the data x; or v = a e - s x (Salimans and Ho 2022,
    appendix D). a_n^2 is the product of 1 - beta_i over i <= n: with `noise_schedule` linear beta_i goes from 0.1 / N
    to 20 / N, which for N = 1000 are the numbers of Ho et al. 2020, section 4; cosine is Nichol and Dhariwal 2021, eq.
    17, with s = 0.008 and beta at most 0.999.
    """

    kind: ClassVar[str] = "ddpm"
    methods: ClassVar[tuple[str, ...]] = ("ddim", "ancestral")
    predicts: str = "epsilon"
    noise_schedule: str = "linear"
    noise_steps: int = 1000

    def problems(self) -> Iterator[str]:
        """Words that there are not, and a number of steps that cannot be drawn."""
        yield from _one_of("predicts", self.predicts, PREDICTED)
        yield from _one_of("noise_schedule", self.noise_schedule, NOISES)
        least = 21  # of fewer the last beta of `linear` is 1 or more
        if type(self.noise_steps) is not int or not least <= self.noise_steps <= MOST:
            yield f"`noise_steps` wants a number of steps from {least} to {MOST}, got {self.noise_steps!r}"

    @property
    def most_steps(self) -> int:
        """Those of the noise."""
        return self.noise_steps

    @property
    def kept(self) -> tuple[float, ...]:
        """a_n^2 for n = 0..N."""
        n = self.noise_steps
        if self.noise_schedule == "linear":
            betas = [(0.1 + (20 - 0.1) * i / (n - 1)) / n for i in range(n)]
        else:
            f = [math.cos((i / n + 0.008) / 1.008 * math.pi / 2) ** 2 for i in range(n + 1)]
            betas = [min(1 - f[i + 1] / f[i], 0.999) for i in range(n)]
        found = [1.0]
        for beta in betas:
            found.append(found[-1] * (1 - beta))
        return tuple(found)


@dataclass(frozen=True)
class MaskedDiffusion(Process):
    """Masked discrete diffusion: k of the T tokens, drawn at random, become the mask, the last id of the vocabulary.

    k is uniform in 1..T. The net sees them and round(1000 k / T), and answers every token; the loss is the mean over
    the masked ones, T / k times each one's share. That is the negative log-likelihood of writing the tokens in a
    random order, an upper bound of that of the text: in nats a token, so that / ln 2 it is bits. Sources: Austin et
    al. 2021; Sahoo et al. 2024, eq. 10; in this form, without replacement, Nie et al. 2025 (LLaDA), eq. 14.
    """

    kind: ClassVar[str] = "masked"
    losses: ClassVar[tuple[type[Loss], ...]] = (CrossEntropy,)
    methods: ClassVar[tuple[str, ...]] = ("ancestral", "confidence")
    classed: ClassVar[bool] = False

    def misfits(self, x: TensorType, out: TensorType) -> Iterator[str]:
        """Wants token ids and a time to logits."""
        if x.dtype != "i32" or x.rank != 1 or out.rank != 2 or x.shape[0] != out.shape[0] + 1:
            yield (
                "`process=masked` wants a net from token ids [batch, T + 1], the last of them the time, to "
                f"[batch, T, vocabulary], got {x.dtype} {batched(x.shape)} -> {batched(out.shape)}; choose such a net: "
                "tiny-mdm"
            )
        elif not 1 < x.shape[0] <= MOST + 1:
            yield f"`process=masked` wants texts of 1 to {MOST} tokens, got {out.shape[0]}; give a smaller `input`"

    def example(self, x: TensorType, out: TensorType) -> TensorType:
        """Token ids [T]."""
        return TensorType(out.shape[:1], "i32")

    def label(self, x: TensorType, out: TensorType) -> TensorType:
        """The next tokens [T], which texts have beside their windows and nothing here reads."""
        return TensorType(out.shape[:1], "i32")


@dataclass(frozen=True)
class BranchingFlow(Process):
    """Branching flow: a sequence of any length up to the net's slots grows out of one element of noise.

    The elements of the data are the leaves of a tree. On the way from t = 1 to 0 an element splits in two where the
    tree does and moves to the mean of its leaves, a Brownian bridge of deviation `wander` sqrt(t (1 - t)). It is
    deleted if it is a copy that was put beside an element of the data, which each has with probability `deletions`. The
    net sees [slots, C + 2]: C numbers, 1 where there is an element, and the time; and answers [slots, C + 2]: where the
    element goes, the logarithm of the splits that are to come and the logit of its deletion. How the tree is drawn:
    docs/generative.md. Source: Billera et al. 2025
    (Branching Flows, arXiv 2511.09465).
    """

    kind: ClassVar[str] = "branching"
    losses: ClassVar[tuple[type[Loss], ...]] = (Branching,)
    methods: ClassVar[tuple[str, ...]] = ("euler",)
    classed: ClassVar[bool] = False
    deletions: float = 0.25
    wander: float = 0.2

    def problems(self) -> Iterator[str]:
        """A probability and a deviation that are none."""
        if not 0 <= self.deletions < 1:
            yield f"`deletions` wants a probability of at least 0 and below 1, got {self.deletions}"
        if not 0 <= self.wander <= MOST_WANDER:
            yield f"`wander` wants a deviation from 0 to {MOST_WANDER:g}, got {self.wander}"

    def misfits(self, x: TensorType, out: TensorType) -> Iterator[str]:
        """Wants slots of numbers to as many."""
        if x.dtype != "f32" or x != out or x.rank != 2 or x.shape[1] < 3:
            yield (
                "`process=branching` wants a net from [batch, slots, C + 2] to the same, elements of C numbers each, "
                f"got {x.dtype} {batched(x.shape)} -> {batched(out.shape)}; choose such a net: tiny-branching"
            )
        elif x.shape[0] > MOST_SLOTS:
            yield f"`process=branching` wants at most {MOST_SLOTS} slots, got {x.shape[0]}; give a smaller `input`"

    def example(self, x: TensorType, out: TensorType) -> TensorType:
        """[slots, C + 1]: C numbers, and 1 where there is an element."""
        return TensorType((x.shape[0], x.shape[1] - 1))


PROCESSES: Vocabulary[type[Process]] = Vocabulary("process")
PROCESSES.add("flow", Flow, "rectified-flow", "flow-matching")
PROCESSES.add("ddpm", Ddpm, "diffusion")
PROCESSES.add("masked", MaskedDiffusion, "mdm", "masked-diffusion", "absorbing")
PROCESSES.add("branching", BranchingFlow, "branching-flow")


@dataclass(frozen=True)
class Generation:
    """Which process a generative model learns to undo; without `process` nothing here is on.

    A net that sees classes is given the null class in place of the label with probability `label_drop`, for
    classifier-free guidance (Ho and Salimans 2022, algorithm 1). Classes are 0..K-1 and the null class K, with K =
    `label_count`: 0 stands for the number of classes of the data.
    """

    process: str = option(
        "", "Train a generative model: rectified flow, diffusion, masked tokens or branching flow.", later=True
    )
    times: str = option(Flow.times, "Distribution of times (flow): uniform or logit-normal.", later=True)
    flow_predicts: str = option(
        Flow.flow_predicts, "What the net predicts (flow): v, the velocity, or x, the image.", later=True
    )
    predicts: str = option(Ddpm.predicts, "What the net predicts (ddpm): epsilon, v or x0.", later=True)
    noise_schedule: str = option(Ddpm.noise_schedule, "Noise schedule (ddpm): linear or cosine.", later=True)
    noise_steps: int = option(Ddpm.noise_steps, "Steps from data to noise (ddpm).", later=True)
    deletions: float = option(
        BranchingFlow.deletions, "Fraction of elements that get a neighbour to be deleted (branching).", later=True
    )
    wander: float = option(
        BranchingFlow.wander, "Standard deviation of the path's Brownian motion (branching); 0: straight.", later=True
    )
    label_drop: float = option(0.1, "Probability of dropping the class of a class-conditional net.", later=True)
    label_count: int = option(0, "Number of classes of a class-conditional net; 0: the data's.", later=True)

    def __post_init__(self) -> None:
        if word := PROCESSES.word(self.process):
            object.__setattr__(self, "process", word)

    @property
    def chosen(self) -> Process | None:
        """The process with its options, or None."""
        if not self.process:
            return None
        cls = PROCESSES.find(self.process, "`process`")
        return cls(**{f.name: getattr(self, f.name) for f in fields(cls)})

    def problems(self) -> list[str]:
        """One sentence for each value out of range, or that means nothing."""
        if self.process and PROCESSES.word(self.process) is None:
            return [PROCESSES.problem(self.process, "`process`")]
        process = self.chosen
        own = {f.name for f in fields(process)} if process else set()
        shared = {"process", *(("label_drop", "label_count") if process and process.classed else ())}
        found = []
        for f in fields(self):
            assert f.default is not MISSING
            if f.name not in own | shared and getattr(self, f.name) != f.default:
                takers = [word for word, cls in PROCESSES.items() if f.name in {g.name for g in fields(cls)}]
                word = " or ".join(takers or ("flow", "ddpm"))
                got = f"`process={self.process}`" if self.process else "none"
                found.append(f"`{f.name}` belongs to `process={word}`, got {got}; leave it out")
        if not 0 <= self.label_drop < 1:
            found.append(f"`label_drop` wants a probability of at least 0 and below 1, got {self.label_drop}")
        if type(self.label_count) is not int or not 0 <= self.label_count < 1 << 24:
            found.append(f"`label_count` wants a number of classes, got {self.label_count!r}")
        return [*found, *(process.problems() if process else ())]

    def misfits(self, x: TensorType, out: TensorType) -> Iterator[str]:
        """Yield one sentence for each reason why a net x -> out cannot learn the process."""
        process = self.chosen
        if process is None:
            return
        problems = [*process.misfits(x, out)]
        yield from problems
        if problems or not process.classed:
            return
        if process.conditional(x, out):
            if not self.label_count:
                yield "a net that sees classes needs the number of classes, got no `label_count`; give it"
            return
        for name in ("label_drop", "label_count"):
            if getattr(self, name) != getattr(Generation, name):
                yield (
                    f"`{name}` wants a net that sees classes, got one from {batched(x.shape)} to {batched(out.shape)}; "
                    "leave it out, or give the net one more channel for the class"
                )


def _one_of(name: str, given: str, words: tuple[str, ...]) -> Iterator[str]:
    if given not in words:
        yield f"`{name}` wants {', '.join(words[:-1])} or {words[-1]}, got {given!r}"
