"""Published weights: from a hub's cache that the test makes, with no network."""

import hashlib
import json

import pytest
import safetensors.numpy
from click.testing import CliRunner

from netc.cli.main import cli
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.find import find
from netc.netspec.toml import to_toml
from netc.netspec.zoo import ZOO
from netc.runtime.run.config import read_config
from netc.runtime.weights.hub import cached, fetched
from netc.runtime.weights.names import naming_for
from netc.runtime.weights.published import PUBLISHED, Published, published
from tests.runtime.weights.other_models import torch_here
from tests.runtime.weights.test_read import NET, SMALL, drawn

ROW = published("resnet18")[1]


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The second of resnet18's rows in a cache, laid out as the hub's own package does: blobs and links to them."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = tmp_path / "hf" / "hub" / f"models--{ROW.repository.replace('/', '--')}"
    content = safetensors.numpy.save(drawn(NET))
    blob = folder / "blobs" / hashlib.sha256(content).hexdigest()
    for each in (blob.parent, folder / "refs", folder / "snapshots" / "abc123"):
        each.mkdir(parents=True)
    blob.write_bytes(content)
    (folder / "refs" / "main").write_text("abc123")
    (folder / "snapshots" / "abc123" / ROW.file).symlink_to(blob)
    return folder


def test_the_cache_is_read(hub, monkeypatch):
    path = hub / "snapshots" / "abc123" / "model.safetensors"
    assert cached(ROW) == fetched("resnet18") == path
    assert cached(published("resnet18")[0]) is None
    (hub / "refs" / "main").write_text("gone")
    assert cached(ROW) == path  # another revision than main's, but the only one
    (hub / "refs" / "main").write_text("../../..")
    assert cached(ROW) == path
    monkeypatch.setenv("HF_HUB_CACHE", str(hub.parent / "elsewhere"))
    assert cached(ROW) is None


def test_the_package_finds_what_netc_finds(hub):
    package = pytest.importorskip("huggingface_hub")
    assert package.try_to_load_from_cache(ROW.repository, ROW.file, cache_dir=hub.parent) == str(cached(ROW))


def test_a_training_begins_with_them(hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(to_toml(SMALL))
    train = ["train", "small.toml", "--data", "digits", "--input", "8x8x3", "--target", "reference", "--max-steps", "1"]
    words = ["--pretrained", "--new-head", "--out", "run", "--quiet"]
    done = CliRunner().invoke(cli, [*train, *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    config = read_config(tmp_path / "run")
    assert config.init == hashlib.sha256(cached(ROW).read_bytes()).hexdigest()
    assert config.init_path == str(cached(ROW))
    assert str(cached(ROW)) in (tmp_path / "run" / "config.toml").read_text()
    with pytest.raises(UserError, match="`pretrained` and `init` both say which weights to start from"):
        CliRunner().invoke(cli, [*train, "--pretrained", "--init", "run"], catch_exceptions=False)


def test_what_is_not_there_is_named(hub, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"wants timm/resnet34\.a1_in1k in .*hub, got none; fetch it by: hf down"):
        fetched("resnet34")
    with pytest.raises(UserError, match="`pretrained` wants a net whose weights are published, got unet"):
        fetched("unet")
    import sys

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match="got none, and no package huggingface_hub; fetch it by: hf download"):
        fetched("resnet34")


def test_the_command_lists_them(hub):
    said = CliRunner().invoke(cli, ["weights", "resnet18"], catch_exceptions=False).output
    assert "timm/resnet18.a1_in1k: names of timm, fetch: hf download timm/resnet18.a1_in1k model.safetensors" in said
    assert f"{ROW.repository}: names of timm, in the cache:" in said
    assert "torchvision has weights of resnet18 too" in said
    found = json.loads(CliRunner().invoke(cli, ["weights", "gpt2", "--json"], catch_exceptions=False).output)
    assert [row["repository"] for row in found] == ["openai-community/gpt2"]
    assert "no published weights of unet" in CliRunner().invoke(cli, ["weights", "unet"], catch_exceptions=False).output


def test_every_row_is_of_a_net_whose_names_are_known():
    words = {"timm": "timm", "Hugging Face": "hf"}
    for name, rows in PUBLISHED.items():
        assert name in ZOO and rows
        for row in rows:
            assert isinstance(row, Published)
            naming = naming_for(name, words[row.project])
            net = check(find(name))
            assert len(naming.sources(net)) == len(net.params) + len(net.state)


def test_rows_of_timm_are_those_of_its_own_table():
    torch_here()
    timm = pytest.importorskip("timm")
    for rows in PUBLISHED.values():
        for row in (r for r in rows if r.project == "timm"):
            config = timm.get_pretrained_cfg(row.repository.removeprefix("timm/"))
            assert config is not None and config.hf_hub_id == row.repository, row
