"""Repeated augmentation: each drawn example several times in a row, each copy changed by itself; timm's order."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from netc.netspec.augment import Augment
from netc.netspec.errors import SpecError
from netc.netspec.feeding import Feeding
from netc.runtime.data.batches import Normalise, epoch_order, train_batches
from netc.runtime.data.dataset import ArraySplit, Dataset
from netc.runtime.data.division import divided
from netc.runtime.data.errors import DataError
from netc.runtime.data.examples import Examples

N = 20


def images():
    pixels = np.broadcast_to(np.arange(N, dtype=np.uint8)[:, None, None, None], (N, 6, 6, 1)).copy()
    pixels[:, :, :3] += 100
    return ArraySplit(pixels, np.arange(N, dtype=np.int32))


def batches(split, repeats, start=0, **augment):
    return train_batches(
        split, batch=6, seed=3, epoch=2, normalise=Normalise((0.5,), (0.25,)), augment=Augment(**augment), start=start,
        feeding=Feeding(aug_repeats=repeats),
    )  # fmt: skip


def test_an_example_comes_in_a_row_and_an_epoch_is_as_long():
    drawn = [b.y.tolist() for b in batches(images(), 3)]
    order = epoch_order(N, 3, 2)
    assert drawn == np.repeat(order, 3)[:18].reshape(3, 6).tolist()
    assert [b.y.tolist() for b in batches(images(), 1)] == order[:18].reshape(3, 6).tolist()


def test_each_copy_is_changed_by_itself_and_the_start_skips():
    whole = list(batches(images(), 6, flip=True, crop=2))
    assert len({image.tobytes() for image in whole[0].x}) > 1
    assert {*whole[0].y.tolist()} == {int(epoch_order(N, 3, 2)[0])}
    [late] = [*batches(images(), 6, start=2, flip=True, crop=2)]
    np.testing.assert_array_equal(late.x, whole[2].x)


def test_arrays_are_repeated_too():
    x = np.arange(N, dtype=np.float32)[:, None]
    drawn = next(iter(batches(Examples(x, np.arange(N, dtype=np.int32)), 2)))
    assert drawn.y.tolist() == np.repeat(epoch_order(N, 3, 2), 2)[:6].tolist() == drawn.x[:, 0].tolist()


def test_the_order_is_timms_on_one_device():
    torch = pytest.importorskip("torch")
    found = importlib.util.find_spec("timm")
    if found is None:
        pytest.skip("timm is not installed")
    path = Path(found.submodule_search_locations[0], "data", "distributed_sampler.py")
    spec = importlib.util.spec_from_file_location("distributed_sampler", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    theirs = [*module.RepeatAugSampler(range(N), 1, 0, shuffle=True, num_repeats=3, selected_round=0)]
    generator = torch.Generator()
    generator.manual_seed(0)
    assert theirs == np.repeat(torch.randperm(N, generator=generator).numpy(), 3)[: len(theirs)].tolist()


@pytest.mark.parametrize("repeats", [0, -1, 1001, 2.0, True])
def test_a_bad_number_has_a_sentence(repeats):
    with pytest.raises(SpecError, match="`aug_repeats` wants an integer from 1 to 1000, got"):
        Feeding(aug_repeats=repeats).check()


def test_batches_of_others_are_refused():
    pair = (np.zeros((4, 2), np.float32), np.zeros(4, np.int32))
    data = Dataset.from_batches([pair], pair[0], pair[1])
    with pytest.raises(DataError, match="`aug_repeats` wants data whose order netc makes, got the batches of"):
        divided(data, Feeding(aug_repeats=2))
