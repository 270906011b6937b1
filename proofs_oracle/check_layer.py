"""Checks a layer: every gradient against JAX's and against central differences."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from netc.netspec.layer import signature_of
from netc.proofs_oracle.compare import DIRECTIONS, Comparison, central_differences, compare_all
from netc.proofs_oracle.draws import DRAWS, FloatArray, Inputs, draw_case, generator
from netc.proofs_oracle.reference import AGAINST_DIFFERENCE, Case, Reference
from netc.proofs_oracle.result import Result, result_of
from netc.proofs_oracle.subject import Make, Subject, emitted
from netc.proofs_oracle.witness import layer_vjp


def run_case(reference: Reference, case: Case, *, seed: int = 0, make: Make = emitted) -> Result:
    """Judge one case in float64: y, dx, every dparam and new state against `jax.vjp` of the reference.

    dx and every dparam also against central differences of the subject's own forward, unless the case sits on
    kinks or ties by design. `make` gives what is judged: codegen's program, unless a test puts another in its place.
    """
    began = time.perf_counter()
    draw, signature = DRAWS[case.draw], signature_of(case.layer, case.x)
    rng = generator(seed, f"{reference.kind}/{case.name}")
    inputs = draw_case(rng, case)
    params, states = [p.name for p in signature.params], [s.name for s in signature.state]
    names = ["y", "dx", *(f"d{n}" for n in params), *(f"new {n}" for n in states)]
    args = [*inputs.params.values(), *inputs.state.values(), inputs.x, inputs.dy]
    subject = make(case.layer, case.x, case.batch, case.training)
    ours = subject.vjp(args)
    theirs = layer_vjp(case.layer, case.x, case.batch, case.training)(args)
    found = compare_all(names, ours, theirs)
    gradients = dict(zip(("x", *params), ours[1:], strict=False))
    if case.ids:  # no step between two integers
        del gradients["x"]
    differences: list[Comparison] = []
    if draw.smooth:
        differences = central_differences(
            _value(subject, inputs),
            inputs.params if case.ids else {"x": inputs.x, **inputs.params},
            gradients,
            inputs.dy,
            rng=rng,
            limit=AGAINST_DIFFERENCE,
        )
    return result_of(
        reference.kind,
        case.name,
        against_jax=found,
        differences=differences,
        tolerance=reference.tolerance,
        seconds=time.perf_counter() - began,
        skipped=0 if draw.smooth else DIRECTIONS * len(gradients),
        skip_reason="" if draw.smooth else f"{case.draw}: {draw.meaning}",
    )


def _value(subject: Subject, inputs: Inputs) -> Callable[[Mapping[str, FloatArray]], FloatArray]:
    """y as a function of x and the parameters by name, the states held."""

    def value(tensors: Mapping[str, FloatArray]) -> FloatArray:
        params = [tensors[n] for n in inputs.params]
        return subject.forward([*params, *inputs.state.values(), tensors.get("x", inputs.x)])[0]

    return value
