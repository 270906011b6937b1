"""The target c: the system's compiler, the same first bits, the same training, loops, and who has no compiler."""

import ctypes
import math

import numpy as np
import pytest

from netc.codegen.builder import Builder
from netc.codegen.c.pieces import called_in
from netc.codegen.c.source import c_source
from netc.codegen.evaluator import run
from netc.codegen.ir import Module
from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.find import find
from netc.netspec.recipe import SGD, Recipe
from netc.netspec.types import TensorType
from netc.runtime import c_compiler as compilers
from netc.runtime.backends.c import load_c
from netc.runtime.backends.protocol import Source
from netc.runtime.cache.store import Cache
from netc.runtime.compile import CompileError
from netc.runtime.prepare import prepare
from netc.runtime.session import Session
from netc.runtime.target import parse_target

SEED = (1 << 40) + 3
WHERE = parse_target("c")


@pytest.fixture
def session(tiny, compiled, c_compiler):
    return Session(prepare(tiny, WHERE, compiled))


def test_the_first_state_has_the_same_bits(session, tiny):
    words = np.array([SEED >> 32, SEED & 0xFFFFFFFF], np.uint32)
    ours, theirs = session.fetch(session.init(SEED)), run(tiny.module, "init", [words], "f32")
    for (name, value), wanted in zip(ours.items(), theirs, strict=True):
        assert value.tobytes() == wanted.tobytes(), name


def test_three_steps_agree_to_float32_noise(session, tiny, batches):
    state = session.init(SEED)
    exact = [*session.fetch(state).values()]
    for x, y in batches:
        state, metrics = session.train(state, x, y, 0.01)
        *exact, loss, correct, _, _ = run(tiny.module, "train_step", [*exact, x, y, np.float32(0.01)], "f64")
        assert metrics["loss"] == pytest.approx(float(loss), rel=1e-5)
        assert metrics["correct"] == correct
    for slot, (name, ours), wanted in zip(tiny.state, session.fetch(state).items(), exact, strict=True):
        # as for the other targets: some roundings of 6e-8, enlarged by batch norm and by Adam's division
        assert np.linalg.norm(ours - wanted) <= 1e-5 * max(np.linalg.norm(wanted), 1e-3) or slot.role == "key", name
    x, y = batches[0]
    kept = exact[: len(tiny.kept)]
    assert session.evaluate(state, x, y) == pytest.approx(
        [float(v) for v in run(tiny.module, "eval_step", [*kept, x, y, np.ones(4, np.float32)], "f64")], rel=1e-4
    )


def test_a_state_is_taken_over_and_what_was_fetched_stays(session, batches):
    state = session.init(SEED)
    before = session.fetch(state)
    held = {n: v.copy() for n, v in before.items()}
    session.train(state, *batches[0], 0.01)
    assert all(np.array_equal(before[n], held[n]) for n in held)
    with pytest.raises(UserError, match="a step wants a state"):
        session.fetch(state)


def test_steps_in_one_call_and_parts_of_a_batch_are_loops(compiled, c_compiler, batches):
    """What a loop carries is written where it lies: K steps are bit for bit those of K calls."""
    net = check(find("mnist-linear").with_input((6, 6, 2)).with_classes(3))
    looped = Session(prepare(build(net, Recipe(SGD(0.9)), 4, steps_per_call=3), WHERE, compiled))
    parts = Session(prepare(build(net, Recipe(SGD(0.9), accumulate=2), 4), WHERE, compiled))
    xs, ys = zip(*batches, strict=True)
    one, metrics = looped.run(looped.init(1), looped.upload(xs, ys, [0.1, 0.05, 0.02]))
    step, losses = looped.init(1), []
    for x, y, lr in zip(xs, ys, (0.1, 0.05, 0.02), strict=True):
        step, said = looped.train(step, x, y, lr)
        losses.append(said["loss"])
    assert metrics["loss"].tolist() == losses
    wanted = looped.fetch(step)
    assert all(np.array_equal(v, wanted[n]) for n, v in looped.fetch(one).items())
    other, said = parts.run(parts.init(1), parts.upload(xs, ys, [0.1, 0.05, 0.02]))
    np.testing.assert_allclose(said["loss"], losses, rtol=1e-6)
    for name, value in parts.fetch(other).items():
        np.testing.assert_allclose(value, wanted[name], rtol=1e-5, atol=1e-6)


def test_long_sums_are_made_of_shares_whose_bits_no_thread_changes(c_compiler, monkeypatch):
    b = Builder("predict")
    x, y = b.parameter("x", TensorType((4099, 24))), b.parameter("y", TensorType((70001,)))
    sums = {"over_rows": b.sum(b.mul(x, x), (0,)), "most": b.max_over(x, (0,)), "over_all": b.sum(b.mul(y, y), (0,))}
    module = Module("sums", (b.finish([*sums.items()]),))
    text = c_source(module).text
    assert text.count("for (size_t share = 0; share < 16; share++)") == 5
    assert "i < net_least((share + 1) * 257, 4099)" in text and "i0 < net_least((share + 1) * 4608, 70001)" in text
    rng = np.random.default_rng(0)
    given = [rng.normal(size=p.shape).astype(np.float32) for p in module.functions[0].params]
    found = []
    for flags in ("-O1", "-O1 -fno-openmp"):
        monkeypatch.setenv("CFLAGS", flags)
        found.append(load_c(Source(module, text)).call("predict", given))
    exact = [v.astype(np.float64) for v in given]
    wanted = (exact[0] ** 2).sum(0), given[0].max(0), (exact[1] ** 2).sum()
    for one, other, right in zip(*found, wanted, strict=True):
        assert one.tobytes() == other.tobytes()
        np.testing.assert_allclose(one, right, rtol=1e-6)


# image, taps, channels in and out, groups, stride, dilation, padding
WINDOWS = (
    ((2, 7, 9), (3, 3), (16, 40), 1, (1, 1), (1, 1), ((1, 1), (1, 1))),  # seen by all taps
    ((2, 7, 8), (2, 1), (3, 5), 1, (3, 2), (1, 1), ((0, 0), (0, 0))),  # pixels that no window sees
    ((1, 9, 8), (3, 2), (4, 6), 2, (2, 3), (2, 2), ((0, 3), (2, 1))),  # taps that see every other pixel
    ((3, 5, 5), (5, 4), (1, 7), 1, (2, 1), (1, 2), ((3, 2), (4, 1))),  # zeros further out than a tap reaches
)


def test_convolutions_of_any_window_are_those_of_the_evaluator(c_compiler):
    b, results, given = Builder("predict"), [], []
    rng = np.random.default_rng(0)

    def parameter(name, *shape):
        given.append(rng.normal(size=shape).astype(np.float32))
        return b.parameter(name, TensorType(shape))

    for n, (image, taps, (inputs, outputs), groups, stride, dilation, padding) in enumerate(WINDOWS):
        window = {"stride": stride, "dilation": dilation, "padding": padding, "groups": groups}
        x = parameter(f"x{n}", *image, inputs)
        w = parameter(f"w{n}", *taps, inputs // groups, outputs)
        y = b.op("conv", x, w, **window)
        dy = parameter(f"dy{n}", *y.shape)
        dx = b.op("conv_input_grad", dy, w, size=image[1:], **window)
        dw = b.op("conv_kernel_grad", x, dy, kernel=taps, **window)
        results += [(f"y{n}", y), (f"dx{n}", dx), (f"dw{n}", dw)]
    x = parameter("x", 2, 5, 5, 70)
    pool = {"kernel": (2, 3), "stride": (1, 2), "padding": ((1, 0), (1, 1))}
    y = b.op("max_pool", x, **pool)
    results.append(("dx", b.op("max_pool_grad", x, y, parameter("dy", *y.shape), **pool)))
    module = Module("windows", (b.finish(results),))
    found = load_c(Source(module, c_source(module).text)).call("predict", given)
    for (name, _), one, wanted in zip(results, found, run(module, "predict", given, "f64"), strict=True):
        np.testing.assert_allclose(one, wanted, rtol=1e-5, atol=1e-5, err_msg=name)


def test_no_compiler_is_a_sentence(tiny, compiled, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    compilers._found.cache_clear()
    session = Session(prepare(tiny, WHERE, compiled))
    with pytest.raises(UserError, match="`target=c` wants a C compiler, cc, gcc, clang, got none on the PATH; install"):
        session.init()
    monkeypatch.setenv("CC", "no-such-cc -m64")
    with pytest.raises(UserError, match="wants a C compiler, no-such-cc, got none"):
        session.init()
    (tmp_path / "no-script").write_bytes(b"\0")
    (tmp_path / "no-script").chmod(0o755)
    monkeypatch.setenv("CC", "no-script")
    with pytest.raises(UserError, match=r"wants a C compiler that works, got .*no-script: .*; set CC to another"):
        session.init()


def test_words_behind_the_compiler_in_cc_are_taken(c_compiler, monkeypatch):
    monkeypatch.setenv("CC", f"env LC_ALL=C {c_compiler}")
    found = compilers.c_compiler()
    assert found.command[1:] == ("LC_ALL=C", c_compiler) and found.version.endswith(f"LC_ALL=C {c_compiler}")


def test_what_the_compiler_refuses_is_a_sentence_and_leaves_nothing(tmp_path, c_compiler):
    cache = Cache(tmp_path / "cache")
    with pytest.raises(CompileError, match=r"failed: .*error"):
        compilers.compile_c("int f(void) { return }\n", "wrong", cache)
    assert not cache.entries()
    entry = compilers.compile_c("int answer(void) { return 42; }\n", "right", cache)
    assert ctypes.CDLL(str(entry.path)).answer() == 42
    assert compilers.compile_c("int answer(void) { return 42; }\n", "right", cache).hit


FUNCTIONS = {
    "exp": math.exp, "log": math.log, "tanh": math.tanh, "erf": math.erf, "logistic": lambda x: 1 / (1 + math.exp(-x)),
}  # fmt: skip
LIMITS = {"exp": (np.inf, 0), "log": (np.inf, np.inf), "tanh": (1, -1), "erf": (1, -1), "logistic": (1, 0)}  # at ±inf


def test_our_own_functions_are_within_two_units_of_the_last_place(tmp_path, c_compiler):
    wrappers = "\n".join(
        f"void of_{f}(int n, const float *x, float *y) {{ for (int i = 0; i < n; i++) y[i] = net_{f}f(x[i]); }}"
        for f in FUNCTIONS
    )
    pieces = "\n".join(piece.text for piece in called_in(wrappers))
    text = f"#include <math.h>\n#include <stdint.h>\n#include <string.h>\n{pieces}\n{wrappers}\n"
    library = ctypes.CDLL(str(compilers.compile_c(text, "functions", Cache(tmp_path)).path))
    ends = [1e-30, -1e-30, 87.0, -0.0, np.nan, np.inf, -np.inf]
    x = np.concatenate([np.linspace(-12, 12, 4001), ends], dtype=np.float32)
    for name, exact in FUNCTIONS.items():
        given = np.ascontiguousarray(np.abs(x) + np.float32(1e-20) if name == "log" else x)
        got = np.empty_like(given)
        getattr(library, f"of_{name}")(len(given), *(ctypes.c_void_p(a.ctypes.data) for a in (given, got)))
        wanted = np.array([exact(float(v)) if np.isfinite(v) else np.nan for v in given])
        finite = np.isfinite(wanted)
        np.testing.assert_allclose(got[finite], wanted[finite], rtol=2.5e-7, err_msg=name)
        assert np.isnan(got[-3]) and got[-2:] == pytest.approx(LIMITS[name], abs=1e-40), name
