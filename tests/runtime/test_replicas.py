"""Several devices of XLA in one process, beside one and beside the evaluator; and what cannot be several."""

import pytest

from netc.codegen.program import build
from netc.netspec.errors import UserError
from netc.runtime.backends import check_device
from netc.runtime.prepare import emit_text
from netc.runtime.target import parse_target
from tests.runtime.own_process import said_by

CODE = """
import json, sys, tempfile
from pathlib import Path
import numpy as np
from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.layers import BatchNorm, Dense
from netc.netspec.recipe import SGD, Recipe
from netc.netspec.spec import NetSpec
from netc.runtime.backends import check_device
from netc.runtime.cache.store import Cache
from netc.runtime.prepare import prepare
from netc.runtime.target import parse_target
from netc.runtime.trainer import Trainer

NET = check(NetSpec("norm", (5,), (Dense(4, name="a"), BatchNorm(name="n"), Dense(3, name="b"))))

def trained(word, replicas, **words):
    program = build(NET, Recipe(SGD(), sync_bn=True, **words), 8, replicas=replicas)
    trainer = Trainer(prepare(program, parse_target(word), Cache(Path(tempfile.mkdtemp()))))
    trainer.init(7)
    rng, found = np.random.default_rng(0), {}
    for step in range(3):
        x, y = rng.standard_normal((8, 5)).astype(np.float32), rng.integers(0, 3, 8).astype(np.int32)
        found |= {f"{n} {step}": float(v) for n, v in trainer.train_step(x, y, 0.1).items()}
    trainer.restore(trainer.fetch())
    found["evaluated"] = trainer.eval_step(x, y, (np.arange(8) < 5).astype(np.float32))
    found["logits"] = trainer.predict(x).tolist()
    return found | {n: v.tolist() for n, v in trainer.fetch().items()}

asked = [("xla", 4, "f32"), ("xla", 1, "f32"), ("reference", 4, "f32"), ("xla", 2, "f64"), ("reference", 1, "f64")]
check_device(parse_target("xla"), 4)
found = {" ".join(map(str, a)): trained(*a[:2], precision=a[2]) for a in asked}
try:
    check_device(parse_target("xla"), 8)
except UserError as error:
    found["eight"] = str(error)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found():
    return said_by(CODE)


@pytest.mark.parametrize(("ours", "peer", "tolerance"), [
    ("xla 4 f32", "xla 1 f32", 2e-6),  # float32's noise in three steps of ten small numbers
    ("xla 4 f32", "reference 4 f32", 2e-6),
    ("xla 2 f64", "reference 1 f64", 1e-6),  # metrics leave as float32
])  # fmt: skip
def test_devices_together_are_one_with_the_whole_batch(found, ours, peer, tolerance):
    """Metrics, sums of an evaluation, outputs in the order of the examples, and the state, fetched and put back."""
    assert found[ours].keys() == found[peer].keys()
    for name, value in found[ours].items():
        assert _near(value, found[peer][name], tolerance), name


def _near(a, b, tolerance):
    if isinstance(a, list):
        return len(a) == len(b) and all(_near(x, y, tolerance) for x, y in zip(a, b, strict=True))
    return a == pytest.approx(b, rel=tolerance, abs=tolerance)


def test_more_devices_than_there_are(found):
    assert found["eight"].startswith("`devices` wants no more than jaxlib has here, 4 of cpu, got 8; give at most 4")


@pytest.mark.parametrize("word", ["cpu", "cuda:sm_80"])
def test_targets_of_one_device_are_refused_before_anything_is_compiled(word, tiny):
    told = f"2 devices together want the target xla or reference, got {word}"
    with pytest.raises(UserError, match=told):
        check_device(parse_target(word), 2)
    program = build(tiny.net, tiny.recipe, 4, replicas=2)
    with pytest.raises(UserError, match=told):
        emit_text(program, parse_target(word))
