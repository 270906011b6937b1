"""`netc trace` and `netc emit-jax` as a user calls them: what is printed, and the exit codes."""

import json
import runpy
import shutil
import sys

import pytest

from netc.cli.main import _run
from netc.netspec import layers as nn
from netc.netspec.spec import NetSpec
from netc.netspec.toml import to_toml
from netc.traces.read import read
from tests.runtime.test_train import NET

TRAIN = ("train", "net.toml", "--epochs", "1", "--batch", "64", "--quiet")  # 22 steps


@pytest.fixture(scope="module")
def place(tmp_path_factory, artefacts):
    """Two equal runs, one of another seed, and the JAX twin's trace."""
    place = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("NETC_CACHE_DIR", str(artefacts))
        (place / "net.toml").write_text(to_toml(NET))
        for name, *more in (("a",), ("again",), ("seed", "--seed", "1")):
            assert _run([*TRAIN, "--target", "reference", "--out", name, *more]) == 0
        assert _run(["emit-jax", "a", "-o", "twin.py"]) == 0
        patch.setattr(sys, "argv", ["twin.py", "--out", "twin.jsonl"])
        runpy.run_path("twin.py", run_name="__main__")
        assert _run(["trace", "noise", "a", "--steps", "22", "-o", "floor.json"]) == 0
    return place


def test_a_run_repeated_is_the_same_bit_for_bit(netc):
    code, out, _ = netc("trace", "diff", "a", "again")
    assert code == 0
    assert "every number is the same, bit for bit" in out
    assert "the runs agree (ulp)" in out
    assert "program before any target's forms: the same for both runs" in out


def test_the_jax_twin_agrees_within_the_floor(netc):
    code, out, _ = netc("trace", "diff", "a", "twin.jsonl", "--noise", "floor.json")
    assert code == 0, out
    assert "times the noise floor (8 are allowed" in out
    assert "the runs agree (cross-compiler)" in out
    assert "program before any target's forms: not known, since a trace does not name it" in out


def test_the_jax_twin_is_not_the_same_bits(netc):
    code, out, _ = netc("trace", "diff", "a", "twin.jsonl", "--mode", "ulp")
    assert code == 1
    assert "the first divergence is at step" in out


def test_a_run_that_went_on_on_another_engine_is_held_to_what_fits_its_parts(netc, place):
    trace = place / "a" / "trace.jsonl"
    lines = trace.read_bytes().splitlines(keepends=True)
    change = b'{"kind": "change", "step": 20, "fields": {"target": "xla"}}\n'
    (place / "changed.jsonl").write_bytes(b"".join([*lines[:21], change, *lines[21:]]))
    code, out, _ = netc("trace", "diff", "a", "changed.jsonl", "--noise", "floor.json")
    assert code == 0
    assert "the runs agree (cross-compiler)" in out


def test_a_floor_is_measured_where_none_lies(netc):
    code, out, _ = netc("trace", "diff", "a", "again", "--mode", "same-compiler", "--steps", "4", "--json")
    assert code == 0
    report = json.loads(out)
    assert report["agree"] is True
    assert report["mode"] == "same-compiler"
    assert report["steps"] == 4


def test_another_seed_is_refused_and_named(netc):
    code, _, err = netc("trace", "diff", "a", "seed")
    assert code == 2
    assert "seed (the initial state and the order of the data): 0 and 1" in err


def test_traces_without_their_runs_want_a_floor(netc, place):
    bare = place / "bare"
    bare.mkdir(exist_ok=True)
    shutil.copyfile(place / "twin.jsonl", bare / "b.jsonl")
    code, _, err = netc("trace", "diff", "bare/b.jsonl", "bare/b.jsonl", "--mode", "cross-compiler")
    assert code == 2
    assert "wants a noise floor, got neither noise.json nor run.json beside the traces" in err


@pytest.mark.parametrize(
    "options, said",
    [
        (("--mode", "cross-compiler", "--ulp", "1"), "--ulp belongs to --mode ulp"),
        (("--mode", "ulp", "--noise", "floor.json"), "--noise belongs to the other modes"),
        (("--mode", "cross-compiler", "--noise", "net.toml"), "net.toml: wants a file that `netc trace noise` wrote"),
    ],
)
def test_options_that_say_nothing_are_refused(netc, options, said):
    code, _, err = netc("trace", "diff", "a", "again", *options)
    assert code == 2
    assert said in err


def test_a_trace_that_is_not_there(netc):
    code, _, err = netc("trace", "diff", "a", "nowhere")
    assert code == 2
    assert "nowhere: wants a file that can be read" in err


def test_noise_of_a_net_by_name(netc):
    code, out, _ = netc("trace", "noise", "net.toml", "--steps", "2", "--batch", "32", "--json")
    assert code == 0
    floor = json.loads(out)
    assert (floor["kind"], floor["steps"], floor["batch"]) == ("noise", 2, 32)


def test_noise_of_a_run_goes_into_its_folder(netc, place):
    code, out, _ = netc("trace", "noise", "seed", "--steps", "3")
    assert code == 0
    assert "worst gradient at step 0" in out
    assert json.loads((place / "seed" / "noise.json").read_text())["steps"] == 3


def test_a_run_says_itself_how_it_was_trained(netc):
    code, _, err = netc("trace", "noise", "a", "--batch", "32")
    assert code == 2
    assert "a is a run with its own options, got also --batch" in err


def test_plot_draws(netc, place):
    pytest.importorskip("matplotlib")
    code, out, _ = netc("trace", "plot", "a", "twin.jsonl", "-o", "runs.html")
    assert code == 0
    assert "runs.html" in out
    assert (place / "runs.html").exists()


def test_bisect_of_equal_runs_has_nothing_to_do(netc):
    code, out, _ = netc("trace", "bisect", "a", "again")
    assert code == 0
    assert "the runs are the same, bit for bit" in out


def test_bisect_clears_a_sound_target(netc):
    code, out, _ = netc("trace", "bisect", "a", "reference", "--step", "3", "--json")
    assert code == 0
    assert json.loads(out)["finding"] is None


def test_bisect_names_what_a_backend_gets_wrong(netc, monkeypatch):
    from netc.runtime.compare import bisect

    honest, calls = bisect.observed, []

    def broken(function, target, args, cache):
        """The second side's square roots are wrong."""
        values = honest(function, target, args, cache)
        calls.append(target)
        made = {op.result: op for op in function.ops}
        wrong = len(calls) % 2 == 0
        return [
            v * 2 if wrong and made[r].kind == "rsqrt" else v for v, r in zip(values, function.results, strict=True)
        ]

    monkeypatch.setattr(bisect, "observed", broken)
    monkeypatch.setattr(bisect, "_leaves_its_place", lambda function, index: True)
    code, out, _ = netc("trace", "bisect", "a", "reference")
    assert code == 1
    assert "rsqrt at batchNorm2 (f32[6]) leaves the noise floor on reference" in out


def test_bisect_wants_runs_of_one_training(netc):
    code, _, err = netc("trace", "bisect", "a", "seed")
    assert code == 2
    assert "bisect wants two runs of the same training, got a different seed" in err


def test_the_twin_can_be_stopped_and_refuses_other_images(netc, place, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["twin.py", "--out", "short.jsonl", "--steps", "0"])
    runpy.run_path("twin.py", run_name="__main__")
    assert read(place / "short.jsonl").header.target == "jax"
    monkeypatch.setattr(sys, "argv", ["twin.py", "--images", "net.toml", "--out", "other.jsonl"])
    with pytest.raises((SystemExit, ValueError)):
        runpy.run_path("twin.py", run_name="__main__")


def test_emit_jax_of_a_net_prints(netc):
    code, out, _ = netc("emit-jax", "net.toml", "--lr", "0.25", "--label-smoothing", "0.1")
    assert code == 0
    assert "\nLR = 0.25\n" in out
    assert "cross_entropy(logits, y, smoothing=0.1).mean()" in out


def test_emit_jax_wants_a_python_file(netc):
    code, _, err = netc("emit-jax", "net.toml", "-o", "folder")
    assert code == 2
    assert "-o wants a file FILE.py, got folder" in err


def test_emit_jax_names_a_loss_that_it_does_not_have(netc):
    code, _, err = netc("emit-jax", "net.toml", "--loss", "meanSquaredError")
    assert code == 2
    assert "digits has class ids, and meanSquaredError wants floats" in err


def test_the_twin_of_a_language_model_that_drops_out_agrees(netc, place, monkeypatch):
    blocks = nn.Chain((nn.MultiHeadAttention(2, causal=True, dropout=0.2, name="attention"), nn.RMSNorm(name="norm")))
    model = nn.TiedHead(nn.TokenPositionEmbed(8, 8), blocks, name="model")
    (place / "words.toml").write_text(to_toml(NetSpec("words", (6,), (model,), dtype="i32")))
    (place / "words.txt").write_text("abcdefgh hgfedcba " * 40)
    what = ("words.toml", "--data", "text:words.txt", "--epochs", "1", "--batch", "8", "--loss", "focal")
    assert netc("train", *what, "--target", "reference", "--out", "words", "--quiet")[0] == 0
    assert netc("emit-jax", "words", "-o", "words.py")[0] == 0
    monkeypatch.setattr(sys, "argv", ["words.py", "--out", "words.jsonl"])
    runpy.run_path("words.py", run_name="__main__")
    assert netc("trace", "noise", "words", "-o", "words.json")[0] == 0
    code, out, _ = netc("trace", "diff", "words", "words.jsonl", "--noise", "words.json")
    assert code == 0, out
    ours, theirs = read(place / "words" / "trace.jsonl"), read(place / "words.jsonl")
    assert ours.evals[-1].accuracy == theirs.evals[-1].accuracy
    assert ours.evals[-1].count == theirs.evals[-1].count
