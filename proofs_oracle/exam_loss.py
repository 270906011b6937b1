"""The exam of the loss."""

from __future__ import annotations

import time
from collections.abc import Mapping

import jax
import numpy as np

from netc.codegen import evaluator
from netc.codegen.program import loss_module
from netc.proofs_oracle.card import Card, card_of
from netc.proofs_oracle.compare import central_differences, compare_all
from netc.proofs_oracle.draws import DRAWS, FloatArray, generator
from netc.proofs_oracle.reference import AGAINST_DIFFERENCE, AGAINST_JAX
from netc.proofs_oracle.references.losses import LossCase, softmax_cross_entropy
from netc.proofs_oracle.witness import compiled

KIND = "softmaxCrossEntropy"


def run_loss_case(case: LossCase, *, seed: int = 0) -> Card:
    """Judge the mean loss and its gradient to the logits in float64, as `run_case` judges a layer."""
    began = time.perf_counter()
    rng = generator(seed, f"{KIND}/{case.name}")
    logits = DRAWS[case.draw].x(rng, (case.batch, case.classes))
    labels = rng.integers(0, case.classes, case.batch).astype(np.int32)
    module = loss_module(case.classes, case.batch, case.smoothing)

    def loss(tensors: Mapping[str, FloatArray]) -> FloatArray:
        return evaluator.run(module, "vjp", [tensors["logits"], labels], "f64")[0]

    ours = evaluator.run(module, "vjp", [logits, labels], "f64")
    witness = compiled(jax.value_and_grad(lambda z: softmax_cross_entropy(z, labels, case.smoothing)))
    inputs, gradients = {"logits": logits}, {"logits": ours[1]}
    return card_of(
        KIND,
        case.name,
        against_jax=compare_all(["loss", "dlogits"], ours, witness(logits)),
        differences=central_differences(loss, inputs, gradients, np.ones(()), rng=rng, limit=AGAINST_DIFFERENCE),
        tolerance=AGAINST_JAX,
        seconds=time.perf_counter() - began,
    )
