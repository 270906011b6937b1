"""What keeps the host from waiting inside a step: barriers in IREE's own form, and a calm thread."""

import os
import subprocess
import sys

import pytest

from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.find import find
from netc.netspec.recipe import Recipe
from netc.runtime.prepare import emit_text
from netc.runtime.target import parse_target

CALM = """
import os, numpy as np
from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.recipe import Recipe
from netc.netspec.find import find
from netc.runtime.cache.store import Cache
from netc.runtime.prepare import prepare
from netc.runtime.trainer import Trainer
from netc.runtime.target import parse_target

session = Trainer(prepare(build(check(find("mnist-linear")), Recipe(), 2), parse_target("cpu"), Cache()))
os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))  # a parent that has run a step hands its own down
session.init(0)
print(os.sched_getscheduler(0) == os.SCHED_BATCH)
"""


def test_no_barrier_of_a_small_net_makes_the_host_wait() -> None:
    text = emit_text(build(check(find("mnist-mlp")), Recipe(), 4), parse_target("cpu")).text
    assert "stablehlo.optimization_barrier" not in text
    assert "iree_tensor_ext.compute_barrier.start" in text


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="the system has no such policy")
def test_the_thread_that_waits_for_steps_does_not_preempt_the_workers() -> None:
    done = subprocess.run([sys.executable, "-c", CALM], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True"]
