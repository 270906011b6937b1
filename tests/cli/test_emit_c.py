"""`netc emit-c`: a training that needs a C compiler alone, beside the same training by the evaluator."""

import json
import re
import shutil
import struct
import subprocess

import numpy as np
import pytest
import safetensors.numpy

from netc.codegen.c.folder import Origin, c_files
from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.find import find
from netc.netspec.recipe import SGD, Recipe, TrainConfig
from netc.runtime.cache.store import Cache
from netc.runtime.data.augment import Augment
from netc.runtime.data.batches import epoch_order, statistics
from netc.runtime.data.dataset import ArraySplit, array_digest
from netc.runtime.prepare import prepare, program_sha256
from netc.runtime.run.config import RunConfig
from netc.runtime.run.records import written
from netc.runtime.session import Session
from netc.runtime.target import parse_target
from netc.runtime.weights.pretrained import read_start
from netc.traces.line import from_line
from netc.traces.schema import Header

# the warnings that fail the build, by name: those that a newer compiler adds do not
C_WARNINGS = (
    "-Wall", "-Wextra", "-Wconversion", "-Werror=conversion", "-Werror=sign-compare", "-Werror=unused-variable",
    "-Werror=unused-function", "-Werror=unused-parameter", "-Werror=format", "-Werror=uninitialized",
)  # fmt: skip


def idx(path, array):
    sizes = b"".join(struct.pack(">I", n) for n in array.shape)
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes())
    return str(path)


@pytest.fixture
def place(tmp_path):
    return tmp_path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of the compiled program and of its images, the images and their labels."""
    compiler = next((path for word in ("cc", "gcc", "clang") if (path := shutil.which(word))), None)
    if compiler is None:
        pytest.skip("no C compiler is on the PATH: cc, gcc or clang")
    place = tmp_path_factory.mktemp("c")
    recipe = Recipe(SGD(0.9))
    program = build(check(find("mnist-linear").with_input((4, 4, 1))), recipe, 8)
    files, _ = c_files(program, Origin(program_sha256(program), json.dumps(written(recipe)), "1.2"))
    assert [*files] == ["net.h", "net.c", "main.c", "Makefile", "CMakeLists.txt"]
    for name, text in files.items():
        (place / name).write_text(text)
    built(compiler, place)
    rng = np.random.default_rng(0)
    pixels, labels = rng.integers(0, 256, (21, 4, 4), np.uint8), rng.integers(0, 10, 21).astype(np.uint8)
    idx(place / "images", pixels)
    idx(place / "labels", labels)
    return place, program, pixels[..., None], labels


@pytest.fixture
def run(made, monkeypatch, tmp_path):
    """Runs the program; files are in the current folder."""
    place, *_ = made
    monkeypatch.chdir(tmp_path)
    data = ["--images", str(place / "images"), "--labels", str(place / "labels")]

    def call(*words, data=data):
        return subprocess.run([str(place / "net"), *data, *words], capture_output=True, text=True, check=False)

    return call


def built(compiler, folder, *more, libraries=("-lm",), name="net"):
    """Compile a program, with the warnings that its C must not cause."""
    flags = ["-std=c11", "-O1", "-ffp-contract=off", *C_WARNINGS, *more]
    files = [str(folder / "main.c"), str(folder / "net.c"), "-o", str(folder / name), *libraries]
    subprocess.run([compiler, *flags, *files], check=True)


def records(done):
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_it_trains_as_netc_does(made, run, tmp_path):
    _, program, pixels, labels = made
    header, *steps = records(run("--epochs", "2", "--lr", "0.1", "--seed", "5"))
    session = Session(prepare(program, parse_target("reference"), Cache(tmp_path)))
    split = ArraySplit(pixels, labels.astype(np.int32))
    state, normalise = session.init(5), statistics(split, 1)
    for number, record in enumerate(steps):
        chosen = epoch_order(len(pixels), 5, number // 2)[number % 2 * 8 : number % 2 * 8 + 8]
        y = labels[chosen].astype(np.int32)
        state, metrics = session.train(state, normalise(pixels[chosen]), y, record["lr"])
        assert (record["kind"], record["step"], record["epoch"]) == ("step", number, number // 2)
        for name in ("loss", "grad_norm", "param_norm"):
            assert record[name] == pytest.approx(metrics[name], rel=2e-6)
    assert [s["lr"] for s in steps] == pytest.approx([0.1, 0.0853553, 0.05, 0.0146447], rel=1e-5)
    # half a step of warm-up is none, as Python rounds
    assert [s["lr"] for s in records(run("--epochs", "1", "--lr", "0.1", "--warmup", "0.25"))[1:]] == pytest.approx(
        [0.1, 0.05]
    )
    training, none = TrainConfig(2, 8, lr=0.1, warmup=0), ArraySplit(pixels[:0], split.labels[:0])
    config = RunConfig(program.net, program.recipe, training, "idx", 5, "c", Augment(0, flip=False))
    wanted = Header(
        net="mnist-linear", spec_sha256=program.net.digest, program_sha256=program_sha256(program), data="idx",
        module_sha256=prepare(program, parse_target("c"), Cache(tmp_path)).sha256, recipe=config.recipe_json, seed=5,
        data_sha256=array_digest(tuple("0123456789"), split, none), batch=8, target="c", versions={"netc": "1.2"},
    )  # fmt: skip
    assert from_line(json.dumps(header).encode() + b"\n") == wanted


def test_its_state_is_read_by_netc_and_netcs_by_it(made, run, tmp_path):
    _, program, pixels, _ = made
    records(run("--epochs", "1", "--save", "state"))
    records(run("--epochs", "0", "--init", "state", "--save", "own"))
    assert (tmp_path / "state").read_bytes() == (tmp_path / "own").read_bytes()
    saved = safetensors.numpy.load_file("state")
    saved["head.bias"] += 1
    safetensors.numpy.save_file(saved, "state")  # as a run's checkpoint is, without C's own words
    records(run("--epochs", "0", "--init", "state", "--save", "own"))
    again = safetensors.numpy.load_file("own")
    assert again.keys() == saved.keys()
    assert all(np.array_equal(value, saved[name]) for name, value in again.items())
    start = read_start(program.net, tmp_path / "own")
    normalise = statistics(ArraySplit(pixels, np.zeros(21, np.int32)), 1)
    assert start.normalise.mean == pytest.approx(normalise.mean)
    assert start.normalise.std == pytest.approx(normalise.std)
    np.testing.assert_array_equal(start.tensors["head.bias"], saved["head.bias"])


def test_a_table_and_raw_numbers_are_the_same_training(made, run, tmp_path):
    _, _, pixels, labels = made
    wanted = records(run("--epochs", "1"))[1:]
    rows = "".join(f"{','.join(map(str, p.ravel()))},{y}\n" for p, y in zip(pixels, labels, strict=True))
    table, x, y = (tmp_path / name for name in ("t.csv", "x", "y"))
    table.write_text(rows)
    assert records(run("--epochs", "1", data=["--csv", str(table)]))[1:] == wanted
    table.write_text("label," + ",".join("abcdefghijklmnop") + "\r\n" + "".join(
        f"{line.rpartition(',')[2]},{line.rpartition(',')[0]}\r\n" for line in rows.splitlines()
    ))  # fmt: skip
    assert records(run("--epochs", "1", data=["--csv", str(table)]))[1:] == wanted
    split = ArraySplit(pixels, labels.astype(np.int32))
    statistics(split, 1)(pixels).tofile(x)
    split.labels.tofile(y)
    assert records(run("--epochs", "1", data=["--x", str(x), "--y", str(y)]))[1:] == wanted


REFUSED = [
    (["--label", "x"], "the command line wants options, got --label; --help lists them"),
    (["--epochs"], "--epochs wants a value behind it, got none; --help lists what"),
    (["--epochs", "abc"], "--epochs wants a whole number from 0 to 1000000, got abc; give one"),
    (["--lr", "-1"], "--lr wants a number from 0 to 1e+06, got -1; give one"),
    (["--images", "nowhere"], "nowhere wants a file that can be read, got No such file or directory; check the path"),
    (["--csv", "t"], "the data wants --images and --labels, --csv, or --x and --y, got several; give one of these"),
    (["--labels", "no"], "no wants an IDX file of bytes, got another file; give MNIST's, or --csv"),
    (["--init", "no"], "no wants a .safetensors file, got another one; give what --save wrote, or state.safetensors"),
    (["--save", "no/where"], "--save wants a file that can be written, got Not a directory; check its folder"),
]
CELLS = [
    ("1,x,3", "table, line 2, column 1 wants a number, got x; fix it, or name the column of classes"),
    ("1,2", "table, line 2, column 2 wants as many columns as the net has inputs, and one of classes, got nothing; f"),
    (",".join(["300"] * 17), "table, line 2, column 0 wants a pixel, a whole number from 0 to 255, got 300; fix it"),
    (",".join(["12"] * 17), "table, line 2, column 16 wants a class, a whole number below the net's classes, got 12"),
    (",".join(["1"] * 18), "table, line 2, column 17 wants no more columns than the net has inputs, and one of clas"),
]


def test_what_main_is_given_wrong_is_a_sentence(run, tmp_path):
    (tmp_path / "no").write_text("nothing")
    for words, said in REFUSED:
        done = run(*words)
        assert done.returncode == 2, words
        assert done.stderr.startswith(f"net: {said}"), words
    for row, said in CELLS:
        (tmp_path / "table").write_text(f"{','.join(['1'] * 17)}\n{row}\n")
        assert run(data=["--csv", "table"]).stderr.startswith(f"net: {said}"), row


@pytest.mark.parametrize("precision", ["f32", "f64"])
def test_products_may_be_those_of_a_blas(precision, c_compiler, openblas, tmp_path):
    files, _ = c_files(build(check(find("mnist-linear").with_input((4, 4, 1))), Recipe(precision=precision), 8))
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    np.random.default_rng(0).standard_normal((16, 16)).astype(np.float32).tofile(tmp_path / "x")
    (np.arange(16) % 10).astype(np.int32).tofile(tmp_path / "y")
    built(c_compiler, tmp_path)
    built(c_compiler, tmp_path, "-DNETC_BLAS", libraries=(openblas, "-lm"), name="blas")
    found = subprocess.run(["nm", str(tmp_path / "blas")], capture_output=True, text=True, check=False)
    assert {"f32": "cblas_sgemm", "f64": "cblas_dgemm"}[precision] in found.stdout
    words = ["--x", str(tmp_path / "x"), "--y", str(tmp_path / "y"), "--epochs", "2"]
    own, others = (
        records(subprocess.run([str(tmp_path / n), *words], capture_output=True, text=True, check=False))[1:]
        for n in ("net", "blas")
    )
    assert [s["loss"] for s in others] == pytest.approx([s["loss"] for s in own], rel=1e-6)


def test_batches_may_come_from_a_function(netc, c_compiler, tmp_path):
    code, out, err = netc("emit-c", "tiny-gpt", "--batch", "1", "-o", "c")
    assert code == 0, err
    assert "net.h, net.c, main.c, Makefile, CMakeLists.txt" in out
    main = (tmp_path / "c" / "main.c").read_text()
    assert "typedef int32_t net_x; /* what the net takes of an example: [64] */" in main
    own = tmp_path / "c" / "own.c"
    own.write_text("""#include <stddef.h>
#include "net.h"
size_t net_batches(void) { return 1; }
void net_batch(size_t epoch, size_t number, int32_t *x, int32_t *y)
{
    for (int i = 0; i < 64; i++)
        x[i] = i, y[i] = (int32_t)(epoch + number);
}
""")
    built(c_compiler, tmp_path / "c", "-O0", "-DNET_BATCHES", str(own))
    done = subprocess.run([str(tmp_path / "c" / "net"), "--epochs", "2"], capture_output=True, text=True, check=False)
    header, *steps = records(done)
    assert header["data"] == "batches"
    assert [s["epoch"] for s in steps] == [0, 1]
    assert steps[0]["loss"] == pytest.approx(np.log(65), rel=0.1)


def test_main_takes_what_is_told_of_experts(netc, c_compiler, tmp_path):
    """Those of frozen layers are told by an evaluation alone."""
    for name, words in (("trained", ()), ("frozen", ("--freeze", "model.body.block0"))):
        code, _, err = netc("emit-c", "tiny-moe", "--layers", "1", "--width", "16", *words, "-o", str(tmp_path / name))
        assert code == 0, err
        main = (tmp_path / name / "main.c").read_text()
        assert "choices[8]" in main and ("&told[0]" in main) == (name == "trained")
        subprocess.run(
            [c_compiler, "-std=c11", "-Wall", "-Werror", "-fsyntax-only", "main.c"], cwd=tmp_path / name, check=True
        )


def test_a_file_is_no_folder(netc, tmp_path):
    (tmp_path / "taken").write_text("")
    code, _, err = netc("emit-c", "mnist-linear", "-o", "taken")
    assert code == 2
    assert "--out wants a folder, got the file taken; give another name" in err
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "Makefile").write_text("all:\n")
    code, _, err = netc("emit-c", "mnist-linear", "-o", "own")
    assert code == 2
    assert "-o wants a folder of its own, got own, which has Makefile; name another one" in err
    code, _, err = netc("emit-mlir", "mnist-linear", "--target", "c")
    assert code == 2
    assert "emit-mlir writes StableHLO, got --target c; netc emit-c writes the C" in err


def test_a_folder_written_again_keeps_nothing_of_the_first_program(netc, tmp_path):
    folder = tmp_path / "c"
    netc("emit-c", "mnist-linear", *SMALL, "-o", "c")
    code, _, err = netc("emit-c", "mnist-linear", *SMALL, "--static", "--no-stdio", "-o", "c")
    whole = {"net.h", "net.c", "CMakeLists.txt", "net.json"}
    assert code == 0 and {p.name for p in folder.iterdir()} == whole | {"net_static.h", "net_static.c"}, err
    (folder / "main.c").write_text("int main(void) { return 0; }\n")  # of one's own
    assert netc("emit-c", "mnist-linear", *SMALL, "--no-stdio", "-o", "c")[0] == 0
    assert {p.name for p in folder.iterdir()} == whole | {"main.c"}


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
    flags = ["-std=c11", "-Os", *C_WARNINGS, "-o", str(folder / "net")]
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
    assert (
        code == 2 and "--static is for a program without main.c, which allocates its own memory; add --no-stdio" in err
    )


def test_memory_of_c_says_what_goes_into_flash(netc, c_compiler, monkeypatch):
    code, out, err = netc("memory", "mnist-linear", *SMALL, "--target", "c", "--json")
    assert code == 0, err
    flash = json.loads(out)["flash"]
    assert 1000 < flash["code"] < 20000 and flash["constants"] < 4000 and "-O1" in flash["compiler"]
    monkeypatch.setenv("CFLAGS", "-no-such-flag")
    code, _, err = netc("memory", "mnist-linear", *SMALL, "--target", "c")
    assert code == 2 and "--target c wants a C compiler that works, got" in err and "no-such-flag" in err
