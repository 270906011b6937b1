"""Weights from elsewhere: each fault is named, nothing is half read, and what is read can be used as a run."""

import json
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy

from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.find import find
from netc.netspec.layers import ConvBn, Dense, Flatten, GlobalAvgPool, ResidualBlock
from netc.netspec.spec import NetSpec
from netc.netspec.zoo import ZOO
from netc.runtime.data.batches import Normalise
from netc.runtime.weights.layouts import SAME, layouts
from netc.runtime.weights.names import namings_of
from netc.runtime.weights.names.table import IMAGENET
from netc.runtime.weights.read import WeightsError, read_weights

# of resnet18's names and kinds of layer, but little
SMALL = NetSpec(
    "resnet18",
    (8, 8, 3),
    (ConvBn(4, 3, name="stem"), ResidualBlock(6, 1, 2, name="stage1"), GlobalAvgPool(), Dense(5, name="head")),
)
NET = check(SMALL)


def drawn(net, seed=1):
    """Tensors by PyTorch's names, in its layouts, with its counters."""
    rng = np.random.default_rng(seed)
    sources, kernels = namings_of(net.spec.name)[0].sources(net), layouts(net)
    tensors = {}
    for spec in (*net.params, *net.state):
        shape = kernels.get(spec.name, SAME).outer(spec.shape)
        tensors[sources[spec.name]] = rng.uniform(0.1, 0.9, shape).astype(np.float32)
        if spec.name.endswith(".var"):
            counter = sources[spec.name].replace("running_var", "num_batches_tracked")
            tensors[counter] = np.array(100, np.int64)
    return tensors


@pytest.fixture
def tensors():
    return drawn(NET)


def written(tensors, folder, name="w.safetensors"):
    path = folder / name
    path.write_bytes(safetensors.numpy.save(tensors))
    return path


# -- reading ---------------------------------------------------------------------------------------------------------


def test_layouts_are_converted(tensors, tmp_path):
    read = read_weights(NET, written(tensors, tmp_path))
    assert list(read.tensors) == [s.name for s in (*NET.params, *NET.state)]
    assert all(read.tensors[s.name].shape == s.shape for s in (*NET.params, *NET.state))
    np.testing.assert_array_equal(read.tensors["stem.conv.kernel"], tensors["conv1.weight"].transpose(2, 3, 1, 0))
    np.testing.assert_array_equal(read.tensors["head.kernel"], tensors["fc.weight"].T)
    np.testing.assert_array_equal(read.tensors["stem.norm.var"], tensors["bn1.running_var"])
    assert read.project == "torchvision and timm"
    assert read.normalise == Normalise(*IMAGENET)
    assert read.notes == ("left out 4 counters num_batches_tracked: netc's running statistics need none",)


def test_a_flattened_image_is_in_another_order(tmp_path):
    net = check(
        NetSpec("alexnet", (3, 2, 4), (Flatten(name="flatten"), Dense(2, name="hidden1"), Dense(2, name="head")))
    )
    tensors = drawn(net)
    kernel = read_weights(net, written(tensors, tmp_path)).tensors["hidden1.kernel"].reshape(3, 2, 4, 2)
    for h, w, c, o in np.ndindex(kernel.shape):
        assert kernel[h, w, c, o] == tensors["classifier.0.weight"][o, c * 6 + h * 2 + w]


def test_an_axis_of_size_one_more_or_less_is_no_other_shape(tensors, tmp_path):
    tensors["fc.weight"] = tensors["fc.weight"][:, :, None, None]
    tensors["bn1.bias"] = tensors["bn1.bias"][:, None, None]
    assert read_weights(NET, written(tensors, tmp_path)).tensors["head.kernel"].shape == (6, 5)
    tensors["fc.weight"] = tensors["fc.weight"].transpose(1, 0, 2, 3)
    with pytest.raises(WeightsError, match=r"wrong shape: fc.weight wants \[5, 6\], got \[6, 5, 1, 1\]"):
        read_weights(NET, written(tensors, tmp_path))


def test_everything_that_does_not_fit_is_listed(tensors, tmp_path):
    del tensors["bn1.weight"], tensors["layer1.0.conv2.weight"]
    tensors["extra.weight"] = np.zeros((2, 2), np.float32)
    tensors["conv9\n"] = np.zeros(3, np.float32)
    tensors["fc.bias"] = np.zeros(7, np.float32)
    with pytest.raises(WeightsError) as caught:
        read_weights(NET, written(tensors, tmp_path))
    head, *problems = str(caught.value).split("\n")
    assert head.endswith("does not fit resnet18 (names of torchvision and timm); nothing was written")
    assert sorted(problems) == [
        "missing: bn1.weight [4] (stem.norm.scale)",
        "missing: layer1.0.conv2.weight [6, 6, 3, 3] (stage1.block0.residual.body.conv2.conv.kernel)",
        "unexpected: conv9? [3]",
        "unexpected: extra.weight [2, 2]",
        "wrong shape: fc.bias wants [5], got [7] (head.bias)",
    ]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused(value, tensors, tmp_path):
    tensors["fc.weight"][2, 3] = value
    tensors["bn1.running_var"][1] = -0.5
    with pytest.raises(WeightsError) as caught:
        read_weights(NET, written(tensors, tmp_path))
    assert sorted(caught.value.problems) == [
        "negative: bn1.running_var wants variances of at least 0, got -0.5 (stem.norm.var)",
        "not finite: fc.weight has 1 of 30 elements that are NaN or infinite (head.kernel)",
    ]


def test_halves_are_converted_with_a_sentence(tensors, tmp_path):
    halves = {n: t.astype(np.float16) if t.dtype == np.float32 else t for n, t in tensors.items()}
    read = read_weights(NET, written(halves, tmp_path))
    assert read.notes[1:] == (f"converted {len(read.tensors)} tensors of F16 to float32",)
    np.testing.assert_array_equal(read.tensors["head.bias"], halves["fc.bias"].astype(np.float32))
    halves["fc.bias"] = halves["fc.bias"].astype(np.int32)
    with pytest.raises(UserError, match=r"fc\.bias wants one of F64, F32, F16, BF16, got I32"):
        read_weights(NET, written(halves, tmp_path))


PREFIXES = [
    "module.",
    "model.",
    "backbone.",
    "net.",
    "encoder.",
    "_orig_mod.",
    "model.module.",
    "state_dict.model._orig_mod.",
]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_wrapper_around_every_name_is_seen_through(prefix, tensors, tmp_path):
    right = read_weights(NET, written(tensors, tmp_path)).tensors
    wrapped = read_weights(NET, written({f"{prefix}{n}": t for n, t in tensors.items()}, tmp_path))
    assert all((right[n] == wrapped.tensors[n]).all() for n in right)
    seen = prefix.replace("_orig_mod.", "")
    note = f"the names were read without {seen}, which precedes {len(tensors)} of them"
    assert (note in wrapped.notes) == bool(seen)
    del tensors["fc.bias"]
    with pytest.raises(WeightsError) as caught:
        read_weights(NET, written({f"{prefix}{n}": t for n, t in tensors.items()}, tmp_path))
    assert caught.value.problems == ("missing: fc.bias [5] (head.bias)",)


def test_wrappers_between_the_parts_of_a_name(tensors, tmp_path):
    right = read_weights(NET, written(tensors, tmp_path)).tensors
    compiled = {n.replace("layer1.0.", "layer1.0._orig_mod."): t for n, t in tensors.items()}
    assert compiled.keys() != tensors.keys()
    read = read_weights(NET, written({f"model.{n}": t for n, t in compiled.items()}, tmp_path))
    assert all((right[n] == read.tensors[n]).all() for n in right)


def test_the_rest_of_a_larger_model_is_left_out(tensors, tmp_path):
    larger = {f"model.{n}": t for n, t in tensors.items()} | {"loss.weight": np.ones(3, np.float32)}
    assert "left out 1 tensor with other prefixes: loss" in read_weights(NET, written(larger, tmp_path)).notes
    del larger["model.fc.bias"]
    with pytest.raises(WeightsError) as caught:
        read_weights(NET, written(larger, tmp_path))
    assert "(names of torchvision and timm behind model.)" in str(caught.value)
    assert caught.value.problems == ("missing: fc.bias [5] (head.bias)", "unexpected: loss.weight [3]")


def test_of_two_that_fit_one_must_be_chosen(tensors, tmp_path):
    twice = {f"{p}.{n}": np.array(t + (p == "teacher")) for p in ("student", "teacher") for n, t in tensors.items()}
    path = written(twice, tmp_path)
    with pytest.raises(
        WeightsError, match=r"holds resnet18 more than once, after the prefixes student\. and teacher\.; read one"
    ):
        read_weights(NET, path)
    read = read_weights(NET, path, prefix="teacher.")
    np.testing.assert_array_equal(read.tensors["head.bias"], tensors["fc.bias"] + 1)
    with pytest.raises(WeightsError, match=r"none of its \d+ names is one of torchvision and timm behind other\."):
        read_weights(NET, path, prefix="other.")


def test_a_file_of_another_net_is_one_sentence(tmp_path):
    path = written({"transformer.h.0.attn.weight": np.ones(3, np.float32)}, tmp_path)
    with pytest.raises(WeightsError) as caught:
        read_weights(NET, path)
    (problem,) = caught.value.problems
    assert problem.endswith("it has transformer.h.0.attn.weight, wants conv1.weight, bn1.weight, bn1.bias")


@pytest.fixture
def index(tensors, tmp_path):
    """The same weights in two files and their index, in the manner of transformers."""
    names = sorted(tensors)
    parts = {"w-00001-of-00002.safetensors": names[::2], "w-00002-of-00002.safetensors": names[1::2]}
    for part, held in parts.items():
        written({n: tensors[n] for n in held}, tmp_path, part)
    path = tmp_path / "w.safetensors.index.json"
    places = {n: part for part, held in parts.items() for n in held}
    path.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    return path


def test_an_index_of_several_files_is_read(index, tensors, tmp_path):
    right = read_weights(NET, written(tensors, tmp_path))
    read = read_weights(NET, index)
    assert all((right.tensors[n] == read.tensors[n]).all() for n in right.tensors)
    assert read.sha256 != right.sha256
    with pytest.raises(WeightsError, match=r"w-00001-of-00002.safetensors is one part of several: give their index"):
        read_weights(NET, tmp_path / "w-00001-of-00002.safetensors")


def test_faults_of_an_index(index, tmp_path):
    second = tmp_path / "w-00002-of-00002.safetensors"
    first, table = (tmp_path / "w-00001-of-00002.safetensors").read_bytes(), json.loads(index.read_text())

    def refused(sentence, **changed):
        index.write_text(json.dumps({**table, **changed}))
        with pytest.raises(UserError, match=sentence):
            read_weights(NET, index)

    refused("got JSON without a weight_map", weight_map=3)
    refused("wants names of files beside it, got ../x", weight_map={"a": "../x"})
    refused("wants a .safetensors file, got", weight_map={"a": index.name})  # no index within an index
    second.write_bytes(first)
    refused(r"w-00002-of-00002.safetensors wants the \d+ tensors that .* lists, got others")
    second.unlink()
    refused(r"wants w-00002-of-00002.safetensors beside it, got none; get all 2 parts")


def test_heads_that_only_train_are_left_out(tmp_path):
    net = check(NetSpec("googlenet", (8, 8, 3), (ConvBn(4, name="conv1"), GlobalAvgPool(), Dense(5, name="head"))))
    tensors = {**drawn(net), "aux1.fc1.weight": np.zeros((2, 2), np.float32)}
    read = read_weights(net, written(tensors, tmp_path))
    assert "left out 1 tensor of aux1: not used by netc's net" in read.notes
    assert read.normalise.mean == (0.5, 0.5, 0.5)


def test_a_net_that_nobody_publishes(tensors, tmp_path):
    with pytest.raises(WeightsError, match=r"is one of netc: it has .*, wants .*; netc knows no other project's names"):
        read_weights(check(find("mnist-mlp")), written(tensors, tmp_path))


def test_a_layer_that_the_table_does_not_know_is_missing(tensors, tmp_path):
    longer = check(replace(SMALL, layers=(*SMALL.layers[:-1], Dense(6, name="more"), SMALL.layers[-1])))
    with pytest.raises(WeightsError, match=r"missing: more.kernel \[6, 6\] of the net, which no name of torchvision"):
        read_weights(longer, written(tensors, tmp_path))


@pytest.mark.parametrize("name", [net for net in ZOO if namings_of(net)])
def test_the_names_of_a_zoo_net_are_complete_and_all_different(name):
    net = check(find(name))
    for naming in namings_of(name):
        names = naming.sources(net)
        assert names.keys() == {s.name for s in (*net.params, *net.state)}, naming.project
        assert len(set(names.values())) == len(names), naming.project


# -- a run's folder --------------------------------------------------------------------------------------------------
