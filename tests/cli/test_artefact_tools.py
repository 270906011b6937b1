"""A compiled program driven without Python: by iree-run-module, and by a host in C where IREE's headers are."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from netc.codegen.rewrite.iree import given_scratch
from netc.programs import request_program
from netc.runtime.cache.store import Cache
from netc.runtime.prepare import prepare
from netc.runtime.session import Session
from netc.runtime.target import parse_target

EXAMPLES = Path(__file__).parents[2] / "examples" / "artefact"
WORDS = {"input": "4x4x1", "batch": 8, "optimizer": "sgd"}


@pytest.fixture
def place(tmp_path):
    return tmp_path


@pytest.mark.parametrize("large", [False, True])
def test_iree_run_module_trains_by_the_manifest(netc, place, monkeypatch, large):
    wheel = importlib.util.find_spec("iree")
    folders = [str(Path(path) / "_runtime_libs") for path in (wheel.submodule_search_locations if wheel else ())]
    tools = os.pathsep.join([*folders, os.environ["PATH"]])
    if shutil.which("iree-run-module", path=tools) is None:
        pytest.skip("iree-run-module is neither in the wheel of iree-base-runtime nor on the PATH")
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((8, 4, 4, 1)).astype(np.float32), (np.arange(8) % 10).astype(np.int32)
    np.save(place / "x.npy", x)
    np.save(place / "y.npy", y)
    if large:  # as a step that takes a gigabyte: it is given memory as its last argument
        monkeypatch.setattr(given_scratch, "LARGE", 1)
    code, _, err = netc("compile", "mnist-linear", *(f"--{n}={v}" for n, v in WORDS.items()), "-o", "linear.vmfb")
    assert code == 0, err
    step = json.loads((place / "linear.vmfb.json").read_text())["functions"]["train_step"]
    assert (step.get("scratch_bytes", 0) > 0) == large
    command = ["sh", str(EXAMPLES / "train.sh"), "linear.vmfb", "3", "0.05"]
    env = {**os.environ, "PATH": tools}
    done = subprocess.run(command, cwd=place, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = [float(v) for v in re.findall(r"^f32=(\S+)$", done.stdout, re.MULTILINE)]
    program = request_program("mnist-linear", **WORDS).build()
    session = Session(prepare(program, parse_target("reference"), Cache(place)))
    state, wanted = session.init(7), []
    for _ in range(3):
        state, metrics = session.train(state, x, y, 0.05)
        wanted += [metrics[name] for name in ("loss", "correct", "grad_norm", "param_norm")]
    assert said == pytest.approx(wanted, rel=1e-5)  # iree-run-module prints six digits
    with (place / "state.npy").open("rb") as file:
        for name, want in session.fetch(state).items():
            np.testing.assert_allclose(np.load(file), want, rtol=1e-5, atol=1e-6, err_msg=name)


def test_the_host_in_c_compiles_where_iree_is(c_compiler, tmp_path):
    include = os.environ.get("IREE_INCLUDE")
    if include is None:
        pytest.skip("the variable IREE_INCLUDE names no folder with iree/runtime/api.h")
    files = [str(EXAMPLES / "host.c"), "-o", str(tmp_path / "host.o")]
    subprocess.run([c_compiler, "-std=c11", "-Wall", "-Wextra", "-c", f"-I{include}", *files], check=True)
