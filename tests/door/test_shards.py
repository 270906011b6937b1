"""Shards and Parquet at the front door: they train, resume in the middle of an epoch bit for bit, and are evaluated."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import netc
from netc import layers as nn
from netc.cli.main import _run

RNG = np.random.default_rng(0)
LABELS = np.arange(40) % 2
PIXELS = (RNG.integers(0, 120, (40, 8, 8, 3)) + 130 * LABELS[:, None, None, None]).astype(np.uint8)
NET = netc.NetSpec("mine", (8, 8, 3), (nn.Flatten(), nn.Dense(3)))


def png(pixels):
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG")
    return held.getvalue()


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETC_CACHE_DIR", str(tmp_path / "cache"))
    for number in range(2):
        with tarfile.open(f"s-{number}.tar", "w") as archive:
            for i in range(number * 20, number * 20 + 20):
                for ending, content in (("png", png(PIXELS[i])), ("label", (b"dark", b"light")[LABELS[i]])):
                    member = tarfile.TarInfo(f"{i:03d}.{ending}")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))


def parquet():
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    table = pa.table({"image": [png(p) for p in PIXELS], "label": [("dark", "light")[i] for i in LABELS]})
    pq.write_table(table, "p.parquet", row_group_size=6)


@pytest.mark.parametrize("data", ["tar:s-{0..1}.tar", "parquet:p.parquet"])
def test_images_in_larger_files_train_resume_and_are_evaluated(data, capsys):
    if data.startswith("parquet"):
        parquet()
    words = {"target": "reference", "epochs": 3, "batch": 5, "lr": 0.01, "flip": True}
    words |= {"shuffle_buffer": 8} if data.startswith("parquet") else {}
    run = netc.train(NET, data, out="run", **words)
    assert run.config.net.out.shape == (2,) and run.accuracy == 1
    netc.train(NET, data, out="part", on_step=lambda done: done.step == 8, **words)
    assert netc.resume("part").steps == run.steps
    assert Path("part/trace.jsonl").read_bytes() == Path("run/trace.jsonl").read_bytes()
    assert _run(["eval", "run"]) == 0 and f"of 8 test images of {data}" in capsys.readouterr().out
    # the same images in a folder, whole
    for i, pixels in enumerate(PIXELS[:10]):
        Path(f"f/{('dark', 'light')[LABELS[i]]}").mkdir(parents=True, exist_ok=True)
        Path(f"f/{('dark', 'light')[LABELS[i]]}/{i}.png").write_bytes(png(pixels))
    assert netc.load("run").evaluate("imagefolder:f").count == 10
    guess = next(netc.load("run").classify(["f/light/1.png"]))
    assert guess.classes[0][0] == "light"
    fold = netc.train(NET, data, out="fold", fold="1/4", **words)
    assert fold.evaluate().count == 10


def test_a_shard_that_is_cut_short_stops_a_training_before_it_begins(capsys):
    Path("s-1.tar").write_bytes(Path("s-1.tar").read_bytes()[:5000])
    Path("net.toml").write_text(
        'name="m"\ninput=[8,8,3]\n[[layers]]\nkind="flatten"\n[[layers]]\nkind="dense"\nfeatures=2\n'
    )
    assert _run(["train", "net.toml", "--data", "tar:.", "--target", "reference", "--out", "run"]) == 2
    assert "s-1.tar: wants a whole tar, got 5,000 bytes" in capsys.readouterr().err and not Path("run").exists()
    words = ["--on-damaged", "skip", "--out", "run", "--epochs", "1", "--quiet"]
    assert _run(["train", "net.toml", "--data", "tar:.", "--target", "reference", *words]) == 0
