"""Emission looks for no cycles, and leaves the collector as it was."""

import gc

import pytest

from netc.codegen.collector import no_collector
from netc.codegen.program import build
from netc.codegen.rewrite.lower import lower
from netc.netspec.check import check
from netc.netspec.find import find
from netc.netspec.recipe import Recipe


@pytest.mark.parametrize("enabled", [True, False])
def test_it_is_left_as_it_was(enabled):
    was = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        with pytest.raises(KeyError), no_collector():
            assert not gc.isenabled()
            raise KeyError
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if was else gc.disable)()


def test_nothing_is_collected_while_a_net_is_emitted():
    runs = []

    def note(phase, info):
        runs.append(phase)

    gc.collect()
    gc.callbacks.append(note)
    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        net = check(find("mnist-linear"))
        runs.clear()
        lower(build(net, Recipe(), 2).module, "cpu")
        held = len(runs)
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(note)
    assert held < 100  # around the calls, 18 to 20; with a collector in them there are thousands
