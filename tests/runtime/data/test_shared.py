"""Images that stand in both parts are counted in a note, whatever they are called."""

import io
import tarfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from netc.cli.emit_jax import _script
from netc.cli.views.examples import examples_of, predictions
from netc.netspec import layers as nn
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.feeding import Feeding
from netc.netspec.spec import NetSpec
from netc.runtime.compare import replay
from netc.runtime.data import catalog
from netc.runtime.data.encoded_images import EncodedSplit
from netc.runtime.data.kept import KeptSplit

RNG = np.random.default_rng(3)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def png(pixels):
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG")
    return held.getvalue()


def image():
    return png(RNG.integers(0, 256, (6, 6, 3), np.uint8))


def warned(name, **words):
    return [note for note in catalog.load(name, cache_dir=Path(), **words).notes if note.startswith("warning: ")]


def write(path, content):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(content)


def test_a_folder_with_copies_in_its_parts():
    for part, count in (("train", 4), ("val", 3)):
        for label in "ab":
            for i in range(count):
                write(f"photos/{part}/{label}/{i}.png", image())
    assert warned("imagefolder:photos") == []
    write("photos/val/a/copy.png", Path("photos/train/b/1.png").read_bytes())
    write("photos/val/b/other.png", Path("photos/train/b/2.png").read_bytes())
    assert warned("imagefolder:photos") == [
        "warning: 2 of 8 test images are byte for byte in the training part too, so that the test says more than is "
        "true; take them out of one part"
    ]
    assert warned("imagefolder:photos", whole=True) == []


def test_shards_and_masks_with_copies():
    images = [image() for _ in range(9)]
    images.append(images[0])  # the tenth is one of the test
    with tarfile.open("s.tar", "w") as archive:
        for i, content in enumerate(images):
            for name, held in ((f"{i:03d}.png", content), (f"{i:03d}.cls", b"01"[i % 2 : i % 2 + 1])):
                member = tarfile.TarInfo(name)
                member.size = len(held)
                archive.addfile(member, io.BytesIO(held))
    assert [note[:30] for note in warned("tar:s.tar")] == ["warning: 1 of 2 test images is"]
    ids = np.arange(36, dtype=np.uint8).reshape(6, 6) % 2
    for part, chosen in (("train", images[:6]), ("val", [images[0], images[8]])):
        for i, content in enumerate(chosen):
            write(f"m/{part}/images/{i}.png", content)
            write(f"m/{part}/masks/{i}.png", png(ids))
    assert [note[:30] for note in warned("masks:m")] == ["warning: 1 of 2 test images is"]


def test_arrays_of_numbers_are_no_images():
    series = check(NetSpec("s", (12, 3), (nn.Dense(4),)))
    flat = check(NetSpec("f", (7,), (nn.Dense(4),)))
    assert {examples_of(series), examples_of(flat)} == {"examples"} and examples_of(flat, table=True) == "rows"
    assert predictions(series, 5) == "60 places (5 examples)"


def test_emit_jax_refuses_an_order_by_windows(monkeypatch):
    monkeypatch.setattr(replay, "refuse_other_function", lambda config, command: None)  # of a run's devices
    places = np.array([[0, 0, 0], [0, 0, 1], [0, 1, 0]], np.int64)
    split = EncodedSplit(
        Path("p"), ("a", "b", "c"), np.zeros(3, np.int32), (4, 4, 3), reader=SimpleNamespace(blocks=True), places=places
    )
    config = SimpleNamespace(feeding=Feeding(), data="parquet:p")
    with pytest.raises(UserError, match="shuffled as a whole, got parquet:p, which is shuffled by windows"):
        _script(SimpleNamespace(config=config, data=SimpleNamespace(train=KeptSplit(split))))
