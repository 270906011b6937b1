"""`netc emit-c`: a training that needs a C compiler alone, beside the same training by the evaluator."""

import json
import re
import struct
import subprocess

import numpy as np
import pytest
import safetensors.numpy

from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.find import find
from netc.netspec.recipe import SGD, Recipe
from netc.runtime.cache.store import Cache
from netc.runtime.data.batches import epoch_order, statistics
from netc.runtime.data.dataset import ArraySplit
from netc.runtime.prepare import prepare
from netc.runtime.session import Session
from netc.runtime.target import parse_target

WORDS = ("--input", "4x4x1", "--batch", "8", "--optimizer", "sgd", "--momentum", "0.9")


def idx(path, array):
    sizes = b"".join(struct.pack(">I", n) for n in array.shape)
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes())
    return str(path)


@pytest.fixture
def place(tmp_path):
    return tmp_path


@pytest.fixture
def program(netc, c_compiler, tmp_path):
    """The compiled program, its images and their labels."""
    code, out, err = netc("emit-c", "mnist-linear", *WORDS, "-o", "c")
    assert code == 0, err
    assert "net.h, net.c, main.c, Makefile, CMakeLists.txt" in out
    folder = tmp_path / "c"
    flags = ["-std=c11", "-O1", "-ffp-contract=off", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    files = [str(folder / "main.c"), str(folder / "net.c"), "-o", str(folder / "net"), "-lm"]
    subprocess.run([c_compiler, *flags, *files], check=True)
    rng = np.random.default_rng(0)
    pixels, labels = rng.integers(0, 256, (21, 4, 4), np.uint8), rng.integers(0, 10, 21).astype(np.uint8)
    words = ["--images", idx(tmp_path / "images", pixels), "--labels", idx(tmp_path / "labels", labels)]

    def run(*more):
        return subprocess.run([str(folder / "net"), *words, *more], capture_output=True, text=True, check=False)

    return run, pixels[..., None], labels


def test_it_trains_as_netc_does(program, tmp_path):
    run, pixels, labels = program
    done = run("--epochs", "2", "--lr", "0.1", "--seed", "5", "--save", str(tmp_path / "state.safetensors"))
    assert done.returncode == 0, done.stderr
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    net = check(find("mnist-linear").with_input((4, 4, 1)))
    session = Session(prepare(build(net, Recipe(SGD(0.9)), 8), parse_target("reference"), Cache(tmp_path)))
    state, normalise = session.init(5), statistics(ArraySplit(pixels, labels.astype(np.int32)), 1)
    for number, record in enumerate(steps):
        chosen = epoch_order(len(pixels), 5, number // 2)[number % 2 * 8 : number % 2 * 8 + 8]
        y = labels[chosen].astype(np.int32)
        state, metrics = session.train(state, normalise(pixels[chosen]), y, record["lr"])
        assert (record["kind"], record["step"], record["epoch"]) == ("step", number, number // 2)
        for name in ("loss", "grad_norm", "param_norm"):
            assert record[name] == pytest.approx(metrics[name], rel=2e-6)
    assert [s["lr"] for s in steps] == pytest.approx([0.1, 0.0853553, 0.05, 0.0146447], rel=1e-5)
    # half a step of warm-up is none, as Python rounds
    short = run("--epochs", "1", "--lr", "0.1", "--warmup", "0.25").stdout.splitlines()
    assert [json.loads(line)["lr"] for line in short] == pytest.approx([0.1, 0.05])
    saved = safetensors.numpy.load_file(tmp_path / "state.safetensors")
    for name, value in session.fetch(session.restore(saved)).items():
        np.testing.assert_allclose(value, session.fetch(state)[name], rtol=1e-5, atol=1e-6)
    again = run("--epochs", "0", "--init", str(tmp_path / "state.safetensors"), "--save", str(tmp_path / "again"))
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "again").read_bytes() == (tmp_path / "state.safetensors").read_bytes()


def test_what_main_is_given_wrong_is_a_sentence(program, tmp_path):
    run, _, labels = program
    assert run("--images", "nowhere").stderr == ""  # the first one counts
    assert run("--label", "x").stderr == "wants options of the first lines of main.c, each with a value, got --label\n"
    done = run("--init", idx(tmp_path / "no.safetensors", labels))
    assert done.returncode == 1
    assert "wants a" in done.stderr


def test_a_file_is_no_folder(netc, tmp_path):
    (tmp_path / "taken").write_text("")
    code, _, err = netc("emit-c", "mnist-linear", "-o", "taken")
    assert code == 2
    assert "-o wants a folder, got the file taken; name another one" in err
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "Makefile").write_text("all:\n")
    code, _, err = netc("emit-c", "mnist-linear", "-o", "own")
    assert code == 2
    assert "-o wants a folder of its own, got own, which has Makefile; name another one" in err
    code, _, err = netc("emit-mlir", "mnist-linear", "--target", "c")
    assert code == 2
    assert "emit-mlir writes StableHLO, got --target c; netc emit-c writes the C" in err


SMALL = ("--input", "4x4x1", "--batch", "1", "--optimizer", "sgd", "--momentum", "0")
DEVICE_MAIN = """#include "net_static.h"
int main(void)
{
    static const uint32_t seed[2] = {0, 5};
    static const float x[16] = {1, 2, 3};
    static const int32_t y[1] = {3};
    float first, loss, correct, grad_norm, param_norm;
    net_init(&net_static_work, &net_static_state, seed);
    net_train_step(&net_static_work, &net_static_state, x, y, 0.1f, &first, &correct, &grad_norm, &param_norm);
    net_train_step(&net_static_work, &net_static_state, x, y, 0.1f, &loss, &correct, &grad_norm, &param_norm);
    return loss < first && first > 0 ? 42 : 1;
}
"""


def test_a_program_without_files_and_malloc_has_its_memory_in_it(netc, c_compiler, tmp_path):
    code, out, err = netc("emit-c", "mnist-linear", *SMALL, "--static", "--no-stdio", "--ram", "4kB", "-o", "c")
    assert code == 0, err
    assert "net.h, net.c, CMakeLists.txt, net_static.h, net_static.c" in out
    folder = tmp_path / "c"
    (folder / "main.c").write_text(DEVICE_MAIN)
    flags = ["-std=c11", "-Os", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-o", str(folder / "net")]
    files = [str(folder / name) for name in ("main.c", "net.c", "net_static.c")]
    subprocess.run([c_compiler, *flags, *files, "-lm"], check=True)
    assert subprocess.run([str(folder / "net")], check=False).returncode == 42
    assert "malloc" not in (text := (folder / "net.c").read_text()) and "stdio" not in text


def test_a_device_too_small_is_a_sentence_before_anything_is_written(netc, tmp_path):
    code, _, err = netc("emit-c", "mnist-linear", *SMALL, "--no-stdio", "--ram", "1kB", "-o", "c")
    assert code == 2
    wanted = (
        r"--ram wants [\d,]+ bytes for mnist-linear \(state 692, arena \d+, a batch 68\), got 1kB; choose a smaller"
    )
    assert re.search(wanted, err)
    assert not (tmp_path / "c").exists()
    code, _, err = netc("emit-c", "mnist-linear", "--ram", "much", "-o", "c")
    assert code == 2 and "--ram wants a size such as 500MB or 2GB, got 'much'" in err
    code, _, err = netc("emit-c", "mnist-linear", "--static", "-o", "c")
    assert code == 2 and "--static is for a program without main.c, which has memory of its own; add --no-stdio" in err


def test_memory_of_c_says_what_goes_into_flash(netc, c_compiler, monkeypatch):
    code, out, err = netc("memory", "mnist-linear", *SMALL, "--target", "c", "--json")
    assert code == 0, err
    flash = json.loads(out)["flash"]
    assert 1000 < flash["code"] < 20000 and flash["constants"] < 4000 and "-O1" in flash["compiler"]
    monkeypatch.setenv("CFLAGS", "-no-such-flag")
    code, _, err = netc("memory", "mnist-linear", *SMALL, "--target", "c")
    assert code == 2 and "--target c wants a C compiler that works, got" in err and "no-such-flag" in err
