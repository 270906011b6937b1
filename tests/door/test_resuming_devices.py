"""On which devices a run goes on."""

import pytest

import netc
from netc.cli import train
from netc.resuming import on_devices
from tests.runtime.test_train import config


@pytest.mark.parametrize(
    ("words", "devices", "mesh", "shard"),
    [
        ({}, 1, "data=2", "fsdp"),
        ({"devices": 2}, 2, "", ""),  # in the place of the mesh
        ({"mesh": "data=4"}, 1, "data=4", "fsdp"),
        ({"shard": "zero1"}, 1, "data=2", "zero1"),
        ({"mesh": "model=2", "shard": "tensor"}, 1, "model=2", "tensor"),
    ],
)
def test_words_take_the_place_of_what_a_run_was_begun_on(words, devices, mesh, shard):
    found = on_devices(config(mesh="data=2", shard="fsdp"), words)
    assert (found.devices, found.mesh, found.shard) == (devices, mesh, shard)


def test_a_mesh_takes_the_place_of_devices_but_not_beside_them():
    found = on_devices(config(devices=4), {"mesh": "data=2"})
    assert (found.devices, found.mesh) == (1, "data=2")
    with pytest.raises(netc.UserError, match="`devices` and `mesh` both say on which devices to continue"):
        on_devices(config(), {"devices": 2, "mesh": "data=2"})
    with pytest.raises(netc.UserError, match="`shard` wants a `mesh` to split over, got 'fsdp' alone"):
        on_devices(config(), {"shard": "fsdp"})


@pytest.mark.parametrize(("words", "count"), [({}, 4), ({"devices": 2}, 2), ({"mesh": "data=2"}, 2)])
def test_processes_share_the_devices_of_the_run_unless_words_say_others(monkeypatch, tmp_path, words, count):
    monkeypatch.setattr("netc.runtime.run.config.read_config", lambda folder: config(devices=4))
    monkeypatch.setattr(train, "given", lambda: words)
    assert train._shared(tmp_path, None).count == count
