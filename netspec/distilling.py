"""Distilling: a net that was trained before, the teacher, shows what it makes of each example."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from netc.netspec.check import CheckedNet, check
from netc.netspec.loss import CrossEntropy, Focal, Loss, SoftCrossEntropy
from netc.netspec.toml import from_toml
from netc.netspec.types import LARGEST_NUMBER, SMALLEST_NUMBER, batched
from netc.netspec.vocabulary import option

OF_CLASSES = (CrossEntropy, SoftCrossEntropy, Focal)  # losses of outputs whose softmax is a distribution over classes


@dataclass(frozen=True)
class Distilling:
    """Knowledge distillation (Hinton et al. 2015): (1 - a) L(z, y) + a T^2 KL(softmax(u / T) || softmax(z / T)).

    This is the loss; z is the net's output and u that of the teacher, the net of the run `distill`, in evaluation, on
    the same examples as they are after mixing and erasing; a is `distill_weight`, T `distill_temperature`. The
    divergence is the mean over examples, and over tokens or pixels. T^2 keeps the size of its gradient as T grows. The
    defaults are those of Tian et al. 2020 (RepDistiller: `kd_T` 4, `-r 0.1 -a 0.9`). What is evaluated is L alone.

    `teacher` is the teacher's net as TOML and `teacher_sha256` the digest of its weights: what reads the run fills
    them in (runtime/weights/teacher.py), so that a record needs the run no more.
    """

    distill: str = option("", "Also learn from the output of a trained run, a folder.", later=True)
    distill_temperature: float = option(
        4.0, "Temperature: both outputs are divided by it before softmax (distill).", later=True
    )
    distill_weight: float = option(
        0.9, "Weight of the teacher's term in the loss, above 0, at most 1 (distill).", later=True
    )
    teacher: str = field(default="", metadata={"later": True})
    teacher_sha256: str = field(default="", metadata={"later": True})

    @property
    def net(self) -> CheckedNet | None:
        """The teacher's net, or None where there is none."""
        return _net_of(self.teacher) if self.teacher else None

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The teacher's parameters and running statistics; none where there is no teacher."""
        return self.net.shapes if self.net else {}

    def problems(self) -> Iterator[str]:
        """Yield one sentence for each value out of range, and for options that say nothing."""
        if not SMALLEST_NUMBER <= self.distill_temperature <= LARGEST_NUMBER:
            yield f"`distill_temperature` wants a positive number, got {self.distill_temperature}"
        if not 0 < self.distill_weight <= 1:
            yield f"`distill_weight` wants a share above 0 and at most 1, got {self.distill_weight}"
        for name, plain in (("distill_temperature", 4.0), ("distill_weight", 0.9)):
            if getattr(self, name) != plain and not self.distill:
                yield f"`{name}` belongs to `distill`, got no `distill`; name the run to learn from, or leave it out"

    def beside(self, loss: Loss, others: Mapping[str, object]) -> Iterator[str]:
        """Yield one sentence for each part of a recipe that distilling cannot go with; `others` by their names."""
        if not self.distill:
            return
        if not isinstance(loss, OF_CLASSES):
            known = ", ".join(cls.kind for cls in OF_CLASSES)
            yield f"`distill` wants a loss over classes that exclude each other ({known}), got {loss.kind}; choose one"
        for name, value in others.items():
            if value:
                yield f"`distill` wants no `{name}`, got both; leave one of them out"

    def misfits(self, net: CheckedNet) -> Iterator[str]:
        """Yield one sentence for each reason why a net cannot learn from this teacher."""
        if self.distill and self.net is None:
            yield f"`distill` wants a loaded run, got {self.distill}; name the run when you train a net"
        if self.net is None:
            return
        for what, own, ours, do in (
            ("takes what the net takes", self.net.x, net.x, "change `input`"),
            ("has the classes of the net", self.net.out, net.out, "give as many `classes`"),
        ):
            if own != ours:
                yield (
                    f"`distill` wants a teacher that {what}, {batched(ours.shape)} {ours.dtype}, got "
                    f"{self.net.spec.name} with {batched(own.shape)} {own.dtype}; {do}, or choose another run"
                )


@lru_cache(maxsize=8)
def _net_of(text: str) -> CheckedNet:
    return check(from_toml(text, "teacher"))
