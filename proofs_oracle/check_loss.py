"""Checks a loss: its mean, its gradient and its metric."""

from __future__ import annotations

import time
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from netc.codegen import evaluator
from netc.codegen.modules import loss_module
from netc.netspec.types import TensorType
from netc.proofs_oracle.compare import central_differences, compare_all
from netc.proofs_oracle.draws import DRAWS, FloatArray, generator
from netc.proofs_oracle.reference import AGAINST_DIFFERENCE, AGAINST_JAX
from netc.proofs_oracle.references.losses import LossCase, correct, draw_target, each
from netc.proofs_oracle.result import Result, result_of
from netc.proofs_oracle.witness import compiled


def run_loss_case(case: LossCase, *, seed: int = 0) -> Result:
    """Judge the mean loss, its gradient to the output and the metric in float64, as `run_case` judges a layer."""
    began = time.perf_counter()
    loss = case.loss
    rng = generator(seed, f"{loss.kind}/{case.name}")
    z = DRAWS[case.draw].x(rng, (case.batch, *case.shape))
    target = draw_target(rng, loss, case.shape, case.batch, hard=case.hard)
    module = loss_module(loss, TensorType(case.shape), case.batch)

    def value(tensors: Mapping[str, FloatArray]) -> FloatArray:
        return evaluator.run(module, "vjp", [tensors["output"], target], "f64")[0]

    ours = evaluator.run(module, "vjp", [z, target], "f64")
    witness = compiled(
        jax.value_and_grad(lambda z: (jnp.mean(each(loss, z, target)), correct(loss, z, target)), has_aux=True)
    )
    (wanted, right), dz = witness(z)
    inputs, gradients = {"output": z}, {"output": ours[1]}
    return result_of(
        loss.kind,
        case.name,
        against_jax=compare_all(["loss", "doutput", "correct"], ours, [wanted, dz, right]),
        differences=central_differences(value, inputs, gradients, np.ones(()), rng=rng, limit=AGAINST_DIFFERENCE),
        tolerance=AGAINST_JAX,
        seconds=time.perf_counter() - began,
    )
