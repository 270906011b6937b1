"""Plants faults in pullbacks and in what the passes make of them; prints how many each witness catches.

    python scripts/mutation_check.py [--faults 50] [--seed 0]

Every fault changes what the function computes (a mutation that does not is no fault, and another is drawn). The float
oracle compares with JAX in float64 at its usual tolerance; the certificate is exact.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import netc.codegen.layers  # registers the rules  # noqa: F401
from netc.codegen import evaluator
from netc.codegen.ir import Function, Module
from netc.codegen.modules import layer_module
from netc.codegen.rewrite.lower import lower
from netc.netspec.layer import Layer, signature_of
from netc.netspec.layers import (
    Activation,
    BatchNorm,
    Chain,
    Conv2d,
    Dense,
    GlobalAvgPool,
    LayerNorm,
    MaxPool,
    Residual,
    RMSNorm,
    SelfAttention,
)  # fmt: skip
from netc.netspec.types import TensorType
from netc.proofs_oracle.certificate.claims import claim_of_layer
from netc.proofs_oracle.certificate.mutate import Fault, backward, faults
from netc.proofs_oracle.certificate.points import float_point
from netc.proofs_oracle.certificate.statement import Settings, judge
from netc.proofs_oracle.compare import compare_all
from netc.proofs_oracle.draws import DRAWS, draw_inputs
from netc.proofs_oracle.reference import AGAINST_JAX
from netc.proofs_oracle.witness import layer_vjp

BATCH = 4
SUBJECTS: tuple[tuple[Layer, tuple[int, ...]], ...] = (
    (Dense(4, activation="gelu"), (4,)),
    (Dense(6, activation="gelu-tanh"), (6,)),
    (Conv2d(4, (3, 3), activation="relu"), (4, 4, 4)),
    (Conv2d(6, (3, 3), stride=(2, 2), padding="same"), (6, 6, 4)),
    (BatchNorm(), (4, 4, 4)),
    (LayerNorm(), (4, 4)),
    (RMSNorm(), (4, 6)),
    (MaxPool((3, 3), (2, 2)), (5, 5, 2)),
    (SelfAttention(2, causal=True), (4, 12)),
    (Residual(Chain((Dense(4, activation="swish"), Dense(4)))), (4, 4)),
    (Chain((Conv2d(4, (1, 1)), GlobalAvgPool(), Activation("tanh"))), (4, 4, 4)),
)


@dataclass
class Subject:
    """One layer with its inputs, and what JAX says."""

    layer: Layer
    x: TensorType
    function: Function
    args: list[Any]
    names: list[str]
    theirs: list[Any]

    def results(self, function: Function) -> list[Any]:
        """What a variant of the function computes."""
        return evaluator.run(Module("m", (function,)), "vjp", self.args, "f64")


def subjects(family: Any) -> Iterator[Subject]:
    """The layers, as their rules emit them (family None) or as a target's passes leave them."""
    for layer, shape in SUBJECTS:
        x = TensorType(shape)
        module = layer_module(layer, x, BATCH)
        function = (module if family is None else lower(module, family)).function("vjp")
        signature = signature_of(layer, x)
        inputs = draw_inputs(
            np.random.default_rng(5), DRAWS["normal"], signature, shape, BATCH, ids=0, key=signature.draws
        )
        args = [*inputs.params.values(), *inputs.state.values(), inputs.x, inputs.dy]
        theirs = layer_vjp(layer, x, BATCH, True)(args)
        yield Subject(layer, x, function, args, list(function.result_names), theirs)


def drawn(subject: Subject, rng: random.Random) -> list[Fault]:
    """All faults of a subject's gradients that change what it computes, in random order, one of each kind first."""
    function = subject.function
    wanted = [i for i, n in enumerate(subject.names) if n.startswith("d")]
    forward = [v for i, v in enumerate(function.results) if i not in wanted]
    candidates = list(faults(function, backward(function, forward)))
    rng.shuffle(candidates)
    seen: Counter[str] = Counter()
    ranked = []
    for f in candidates:
        ranked.append((seen[f.kind], f))
        seen[f.kind] += 1
    right = subject.results(function)
    chosen = []
    for rank, f in sorted(ranked, key=lambda pair: pair[0]):
        if rank > 3:
            break
        ours = subject.results(f.function)
        if any(not np.array_equal(a, b) for a, b in zip(ours, right, strict=True)):
            chosen.append(f)
    return chosen


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    options.add_argument("--faults", type=int, default=50)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--primes", type=int, default=2)
    given = options.parse_args()
    rng = random.Random(given.seed)
    pool = []
    for family in (None, "cpu"):
        for subject in subjects(family):
            pool.append([(family or "rule", subject, f) for f in drawn(subject, rng)])
    queue: list[tuple[str, Subject, Fault]] = []
    counts: Counter[str] = Counter()
    while len(queue) < given.faults and any(pool):
        ready = [(counts[f.kind], i, k) for i, part in enumerate(pool) for k, (_, _, f) in enumerate(part)]
        least = min(ready)[0]
        _, i, k = rng.choice([r for r in ready if r[0] == least])
        queue.append(pool[i].pop(k))
        counts[queue[-1][2].kind] += 1
    caught: Counter[str] = Counter()
    print(f"{'fault':20} {'where':14} {'layer and operation':60} {'oracle':>10} certificate")
    for family, subject, fault in queue:
        ours = subject.results(fault.function)
        error = max(c.error for c in compare_all(subject.names, ours, subject.theirs))
        statement = judge("", fault.function, claim_of_layer(fault.function), Settings(given.primes), float_point(4))
        by_oracle = error > AGAINST_JAX
        caught["oracle"] += by_oracle
        caught["certificate"] += not statement.holds
        where = f"{subject.layer.label()}: {fault.place}"[:60]
        verdict = f"{error:.0e}" if by_oracle else f"({error:.0e})"
        print(f"{fault.kind:20} {family:14} {where:60} {verdict:>10} {'MISSED' if statement.holds else 'caught'}")
    print(f"{len(queue)} faults: the float oracle catches {caught['oracle']}, the certificate {caught['certificate']}")


if __name__ == "__main__":
    main()
