"""One program that XLA splits over a mesh, beside one device: the same numbers, and less on each device."""

import pytest

from netc.netspec.errors import UserError
from netc.runtime.backends import check_device
from netc.runtime.target import parse_target
from tests.runtime.own_process import said_by

CODE = """
import json, tempfile
from pathlib import Path
import numpy as np
from netc.codegen.program import build
from netc.codegen.sharding.mesh import parse_sharding
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.layers import BatchNorm, Dense
from netc.netspec.recipe import Adam, Recipe
from netc.netspec.spec import NetSpec
from netc.runtime.backends import check_device
from netc.runtime.cache.store import Cache
from netc.runtime.prepare import prepare
from netc.runtime.target import parse_target
from netc.runtime.trainer import Trainer

NET = check(NetSpec("norm", (8,), (Dense(16, name="a"), BatchNorm(name="n"), Dense(8, name="out"), Dense(4, name="b"))))
XLA = parse_target("xla")

def prepared(mesh, shard, **words):
    program = build(NET, Recipe(Adam(), precision="f64", **words), 8).on(parse_sharding(mesh, shard))
    return Trainer(prepare(program, XLA, Cache(Path(tempfile.mkdtemp()))))

def numbers(trainer):
    trainer.init(7)
    rng, found = np.random.default_rng(0), {}
    for step in range(3):
        x, y = rng.standard_normal((8, 8)).astype(np.float32), rng.integers(0, 4, 8).astype(np.int32)
        found |= {f"{n} {step}": float(v) for n, v in trainer.train_step(x, y, 0.1).items()}
    trainer.restore(trainer.fetch())
    found["evaluated"] = trainer.eval_step(x, y, (np.arange(8) < 5).astype(np.float32))
    found["logits"] = trainer.predict(x).tolist()
    return found | {n: v.tolist() for n, v in trainer.fetch().items()}

def told(trainer, mesh, shard):
    found = {} if shard == "zero1" else {"numbers": numbers(trainer)}
    loaded = trainer.session.loaded
    found["resharded"] = loaded.resharded("train_step") if mesh else []
    return found | {"memory": loaded.memory("train_step")[0]}

check_device(XLA, 4, "mesh")
asked = [(None, None, {}), ("data=2,model=2", "fsdp", {}), ("data=4", "zero1", {"accumulate": 2})]
found = {str(mesh): told(prepared(mesh, shard, **words), mesh, shard) for mesh, shard, words in asked}
try:
    check_device(XLA, 8, "mesh")
except UserError as error:
    found["eight"] = str(error)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found():
    return said_by(CODE)


def test_a_mesh_computes_what_one_device_does(found):
    """Metrics, sums of an evaluation, outputs, and the state, fetched and put back."""
    whole, split = found["None"]["numbers"], found["data=2,model=2"]["numbers"]
    assert whole.keys() == split.keys()
    for name, value in whole.items():
        assert _near(value, split[name], 1e-6), name  # metrics leave as float32


def _near(a, b, tolerance):
    if isinstance(a, list):
        return len(a) == len(b) and all(_near(x, y, tolerance) for x, y in zip(a, b, strict=True))
    return a == pytest.approx(b, rel=tolerance, abs=tolerance)


def test_the_state_stays_as_it_lies_between_steps(found):
    assert found["data=2,model=2"]["resharded"] == found["data=4"]["resharded"] == []


def test_each_device_has_its_part_of_the_state(found):
    """All of it over `data` with fsdp, the moments, two thirds, with zero1; a batch and small vectors come on top."""
    whole = found["None"]["memory"]
    assert found["data=2,model=2"]["memory"] < 0.6 * whole
    assert found["data=4"]["memory"] < (1 / 3 + 2 / 3 / 4 + 0.15) * whole


def test_more_devices_than_there_are(found):
    assert found["eight"].startswith("`mesh` wants no more than jaxlib has here, 4 of cpu, got 8; give at most 4")


@pytest.mark.parametrize("word", ["cpu", "reference"])
def test_targets_that_do_not_split_are_refused_before_anything_is_compiled(word):
    with pytest.raises(UserError, match=f"`mesh` wants the target xla, .* got {word}"):
        check_device(parse_target(word), 2, "mesh")
