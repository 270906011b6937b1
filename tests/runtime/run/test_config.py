"""run.json: what is written comes back, and a damaged file is a sentence."""

import json
import math

import pytest

from netc.netspec.augment import Augment
from netc.netspec.clipping import Clipping
from netc.netspec.errors import UserError
from netc.netspec.loss import CrossEntropy
from netc.netspec.optimizers import OPTIMIZERS
from netc.netspec.recipe import SGD, Recipe, TrainConfig
from netc.netspec.schedules import SCHEDULES
from netc.runtime.run.config import free_folder, from_json, read_config, write_config
from tests.runtime.test_train import config


def test_a_config_comes_back(tmp_path):
    write_config(tmp_path, config())
    assert read_config(tmp_path) == config()
    other = config(
        recipe=Recipe(SGD(0.5, nesterov=True), CrossEntropy(0.1, (1.0, 2.0)), True, False),
        augment=Augment(2, True),
        seed=2**63,
    )
    assert from_json(json.loads(json.dumps(other.to_json())), "here") == other


def test_a_part_of_the_recipe_is_written_where_it_is_used(tmp_path):
    plain = config().to_json()
    assert "clipping" not in plain["recipe"]
    used = config(recipe=Recipe(clipping=Clipping(clip_norm=0.5)))
    table = json.loads(json.dumps(used.to_json()))
    assert table["recipe"]["clipping"] == {"clip_norm": 0.5}
    assert from_json(table, "here") == used
    table["recipe"]["clipping"] = {"clip_norm": "much"}
    with pytest.raises(UserError, match=r"recipe\.clipping\.clip_norm wants a finite float, got str"):
        from_json(table, "here")
    table["recipe"]["clipping"] = {"clip_some": 1.0}
    with pytest.raises(UserError, match=r"recipe\.clipping wants no field but .*, got also 'clip_some'"):
        from_json(table, "here")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"3", b"null", b"\xff\xfe", b"{}", b'{"format": 2}', b'{"format": 1}', b"[" * 100_000,
     b'{"format": 1, "spec": 3, "recipe": 4}'],
)  # fmt: skip
def test_a_damaged_file_is_a_sentence(content, tmp_path):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(UserError, match=r"run\.json"):
        read_config(tmp_path)


def test_no_run_at_all(tmp_path):
    with pytest.raises(UserError, match=r"RUN wants a folder that `netc train` made, got .* without run\.json"):
        read_config(tmp_path)
    with pytest.raises(UserError, match=r"got .*gone, nothing there; give the folder that it printed"):
        read_config(tmp_path / "gone")
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "last").mkdir()
    with pytest.raises(UserError, match=rf"got .*last without run\.json; give {tmp_path}$"):
        read_config(tmp_path / "last")


FIELDS = [
    ("seed",), ("data",), ("target",), ("spec",), ("recipe",), ("schedule",), ("augment",), ("recipe", "optimizer"),
    ("recipe", "optimizer", "kind"), ("recipe", "optimizer", "beta1"), ("recipe", "loss"), ("recipe", "loss", "kind"),
    ("recipe", "loss", "smoothing"), ("recipe", "loss", "weights"),
    ("schedule", "epochs"), ("schedule", "batch"), ("schedule", "lr"), ("schedule", "warmup"), ("augment", "crop"),
]  # fmt: skip
ABSENT = "absent"


@pytest.mark.parametrize("path", FIELDS, ids=".".join)
@pytest.mark.parametrize(
    "value", [ABSENT, None, "x", [], {}, float("nan"), float("inf"), -1, 1.5, 10**400],
    ids=lambda v: repr(v)[:8],
)  # fmt: skip
def test_a_damaged_field_is_a_sentence_or_the_same_type(path, value):
    table = config().to_json()
    inner = table
    for key in path[:-1]:
        inner = inner[key]
    whole_type = type(inner[path[-1]])
    if value == ABSENT:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    try:
        read_back = from_json(json.loads(json.dumps(table)), "run.json")
    except UserError as error:
        assert str(error)
        return
    if value == ABSENT:  # a field that an older netc did not write
        assert len(path) > 1 and path[-1] not in ("kind", "optimizer", "loss")
        return
    # what is read must be of the field's own type, an integer being a number too if float can hold it
    assert isinstance(value, whole_type) or (whole_type is float and value == -1), read_back
    assert whole_type in (int, str, list, dict) or value == -1 or math.isfinite(value)


def test_a_free_folder_is_the_first_that_is_not_there(tmp_path):
    assert free_folder(tmp_path, "run") == tmp_path / "run"
    (tmp_path / "run").mkdir()
    (tmp_path / "run-2").mkdir()
    assert free_folder(tmp_path, "run") == tmp_path / "run-3"


@pytest.mark.parametrize("word", SCHEDULES)
def test_every_schedule_comes_back(word, tmp_path):
    made = config(training=TrainConfig(decay=word))
    write_config(tmp_path, made)
    assert read_config(tmp_path) == made


@pytest.mark.parametrize("word", OPTIMIZERS)
def test_every_optimizer_comes_back(word, tmp_path):
    made = config(recipe=Recipe(OPTIMIZERS[word].make({})))
    write_config(tmp_path, made)
    assert read_config(tmp_path) == made
