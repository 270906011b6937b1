"""Checks an optimizer: many steps on random gradients."""

from __future__ import annotations

import time

import numpy as np

from netc.codegen import evaluator
from netc.codegen.modules import optimizer_module
from netc.proofs_oracle.compare import compare_all
from netc.proofs_oracle.draws import FloatArray, generator
from netc.proofs_oracle.reference import AGAINST_JAX
from netc.proofs_oracle.references import optimizers
from netc.proofs_oracle.references.optimizers import Kept, OptimizerCase
from netc.proofs_oracle.result import Result, result_of

SIZES = {"normal": 1.0, "zero": 0.0, "tiny": 1e-10}  # of the gradients


def run_optimizer_case(kind: str, case: OptimizerCase, *, seed: int = 0) -> Result:
    """Judge the parameters and everything kept after every step, against the papers' equations in NumPy float64.

    An update is no gradient, so there is no central difference.
    """
    began = time.perf_counter()
    rng = generator(seed, f"{kind}/{case.name}")
    params = tuple(rng.standard_normal(s) for s in case.shapes)
    module = optimizer_module(case.optimizer, case.shapes, case.decay)
    ours: list[FloatArray] = [*params, *evaluator.run(module, "init", [], "f64")]
    kept = optimizers.start(case.optimizer, params)
    found = compare_all(_names(case), ours, [*params, *_flat(case, kept)])
    for _ in range(case.steps):
        gradients = tuple(SIZES[case.gradients] * rng.standard_normal(s) for s in case.shapes)
        args = [*ours[: len(params)], *gradients, *ours[len(params) :], np.asarray(case.lr)]
        ours = evaluator.run(module, "update", args, "f64")
        params, kept = optimizers.step(case.optimizer, params, gradients, kept, lr=case.lr, decay=case.decay)
        found += compare_all(_names(case), ours, [*params, *_flat(case, kept)])
    return result_of(kind, case.name, against_jax=found, tolerance=AGAINST_JAX, seconds=time.perf_counter() - began)


def _names(case: OptimizerCase) -> list[str]:
    """Parameters, then each moment over all parameters, then the bias corrections: the order of `optimizer_module`."""
    kept = optimizers.start(case.optimizer, tuple(np.zeros(s) for s in case.shapes)).moments
    moments = [f"{m} {i}" for m, tensors in kept.items() for i, t in enumerate(tensors) if t is not None]
    indices = range(len(case.shapes))
    scalars = [f"correction{i + 1}" for i in range(len(optimizers.corrections(case.optimizer, 1, case.lr)))]
    return [*(f"parameter {i}" for i in indices), *moments, *scalars]


def _flat(case: OptimizerCase, kept: Kept) -> list[FloatArray]:
    moments = [tensor for tensors in kept.moments.values() for tensor in tensors if tensor is not None]
    return [*moments, *(np.asarray(c) for c in optimizers.corrections(case.optimizer, kept.steps, case.lr))]
