"""The loop: one function called K times, in the evaluator, in both forms' text, and in XLA."""

from dataclasses import replace

import numpy as np
import pytest

from netc.codegen.builder import Builder
from netc.codegen.evaluator import evaluate, run
from netc.codegen.ir import IrError, Module
from netc.codegen.render import render
from netc.codegen.rewrite.cse import cse
from netc.codegen.rewrite.dce import dce
from netc.codegen.rewrite.form_tables import FORM_TABLES
from netc.codegen.rewrite.lower import lower
from netc.codegen.text import text_of
from netc.codegen.verify import verify
from netc.netspec.types import TensorType
from tests.codegen.witness import by_evaluator, by_xla, parsed

K = 4
FORM = {"reverse": False, "apart": True}
VECTOR, SCALAR = TensorType((3,)), TensorType(())


def step(name="step"):
    """(c, n, x, s, w) -> (c w + x s, n + 1, the sum of c, the old c)."""
    b = Builder(name)
    c, n = b.parameter("c", VECTOR), b.parameter("n", TensorType((), "i32"))
    x, s, w = b.parameter("x", VECTOR), b.parameter("s", SCALAR), b.parameter("w", VECTOR)
    after = b.add(b.mul(c, w), b.mul(x, b.broadcast(s, VECTOR, ())))
    return b.finish([("c", after), ("n", b.add(n, 1)), ("sum", b.sum(c, (0,))), ("old", c)])


def looping(callee=None, trips=K, **form):
    callee = callee or replace(step(), private=True)
    b = Builder("f")
    values = [b.parameter(p, v.type) for p, v in zip(callee.names, callee.params, strict=True)]
    xs, ss = (b.parameter(f"{p}s", TensorType((trips, *v.shape))) for p, v in zip("xs", values[2:4], strict=True))
    results = b.loop(callee, trips, values[:2], (xs, ss), values[4:], **form)
    return Module("looping", (callee, b.finish([(f"r{i}", v) for i, v in enumerate(results)])))


def operands(trips=K):
    rng = np.random.default_rng(0)
    c, x, w = (rng.integers(-4, 5, 3) / 2 for _ in range(3))
    return [c, np.int32(7), x, np.float64(1), w, rng.integers(-4, 5, (trips, 3)) / 2, rng.integers(-2, 3, trips) / 2]


def by_hand(c, n, _x, _s, w, xs, ss):
    sums, olds = [], []
    for x, s in zip(xs, ss, strict=True):
        sums.append(c.sum())
        olds.append(c)
        c, n = c * w + x * s, n + 1
    return [c, n, np.array(sums), np.array(olds)]


def same(ours, theirs):
    assert len(ours) == len(theirs)
    for x, y in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(np.asarray(x, np.float64), np.asarray(y, np.float64))


def as32(args):
    return [np.asarray(a, np.int32 if np.asarray(a).dtype.kind == "i" else np.float32) for a in args]


@pytest.mark.parametrize("trips", [1, K])
@pytest.mark.parametrize("family", [None, *sorted(FORM_TABLES)])
def test_the_evaluator_calls_in_turn(family, trips):
    module = verify(looping(trips=trips))
    if family:
        module = lower(module, family)
    same(by_evaluator(module, operands(trips)), by_hand(*operands(trips)))


@pytest.mark.parametrize("trips", [1, K])
def test_xla_runs_the_while(trips):
    module = lower(looping(trips=trips), "xla")
    assert "stablehlo.while" in render(module)
    same(by_xla(module, "f", as32(operands(trips))), by_hand(*operands(trips)))


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("trips", [1, K])
def test_rows_are_taken_and_put_from_the_last_to_the_first(trips, apart):
    module = looping(trips=trips, reverse=True, apart=apart)
    *args, xs, ss = operands(trips)
    c, n, sums, olds = by_hand(*args, xs[::-1], ss[::-1])
    expected = [c, n, sums[::-1], olds[::-1]]
    same(by_evaluator(verify(module), [*args, xs, ss]), expected)
    same(by_xla(lower(module, "xla"), "f", as32([*args, xs, ss])), expected)


def test_rows_that_may_be_fused_with_the_call_stand_behind_no_barrier():
    for family, word, barrier in (
        ("xla", "stablehlo.while", "optimization_barrier"), ("cpu", "scf.for", "compute_barrier"),
    ):  # fmt: skip
        text = text_of(lower(looping(apart=False), family), family)
        parsed(text)
        assert text.count(word) == 1
        assert barrier not in text
        assert barrier in text_of(lower(looping(), family), family)


def test_both_texts_parse_and_the_callee_is_private():
    for family, word in (("xla", "stablehlo.while"), ("cpu", "cf.cond_br"), ("gpu", "cf.cond_br")):
        text = text_of(lower(looping(), family), family)
        parsed(text)
        assert text.count(word) == 1
        assert text.count("func.call @step(") == 1  # written once, however many trips
        assert "func.func private @step(" in text


def test_a_loop_in_a_loop():
    inner = looping()
    callee = inner.function("f")
    b = Builder("g")
    values = [b.parameter(n, v.type) for n, v in zip(callee.names, callee.params, strict=True)]
    # f's first two results are its first two arguments; all else is the same in each trip
    results = b.loop(callee, 2, values[:2], (), values[2:])
    module = Module("nested", (*inner.functions, b.finish([(f"r{i}", v) for i, v in enumerate(results)])))
    args = operands()
    once = by_hand(*args)
    twice = by_hand(once[0], once[1], *args[2:])
    expected = [*twice[:2], *(np.stack(pair) for pair in zip(once[2:], twice[2:], strict=True))]
    same(run(verify(module), "g", args), expected)
    same(by_xla(lower(module, "xla"), "g", as32(args)), expected)


def test_a_module_holds_what_a_function_needs():
    module = looping()
    extra = replace(module, functions=(step("other"), *module.functions))
    assert [f.name for f in extra.needed("f")] == ["step", "f"]
    assert [f.name for f in extra.needed("other")] == ["other"]
    with pytest.raises(KeyError):
        extra.needed("g")


def test_a_loop_stays_while_one_result_is_read():
    module = looping()
    f = module.function("f")
    kept = replace(f, results=f.results[2:3], result_names=("sums",))
    assert [op.kind for op in dce(replace(module, functions=(step(), kept))).function("f").ops].count("loop") == 1
    none = replace(f, results=f.params[:1], result_names=("c",))
    assert dce(replace(module, functions=(step(), none))).function("f").ops == ()


def test_cse_leaves_two_loops():
    callee = step()
    b = Builder("f")
    values = [b.parameter(n, v.type) for n, v in zip(callee.names, callee.params, strict=True)]
    xs, ss = b.parameter("xs", TensorType((K, 3))), b.parameter("ss", TensorType((K,)))
    first, second = (b.loop(callee, K, values[:2], (xs, ss), values[4:]) for _ in range(2))
    module = Module("two", (callee, b.finish([("a", first[2]), ("b", second[3])])))
    before = by_evaluator(module, operands())
    same(by_evaluator(verify(cse(module)), operands()), before)


def test_a_function_without_its_module_is_an_error():
    function = looping().function("f")
    from netc.codegen.evaluator import FloatArithmetic

    with pytest.raises(IrError, match="f calls step, and was given without its module"):
        evaluate(function, [np.asarray(a) for a in operands()], FloatArithmetic("f64"))


def test_the_verifier_wants_the_callee_before():
    module = looping()
    callee, caller = module.functions
    with pytest.raises(IrError, match="calls step, which is no function before this one"):
        verify(replace(module, functions=(caller, callee)))
    with pytest.raises(IrError, match="calls step, which is no function before this one"):
        verify(replace(module, functions=(caller,)))


def test_the_verifier_wants_the_callee_to_fit():
    module = looping()
    b = Builder("step")
    other = b.finish([("c", b.parameter("c", VECTOR))])
    with pytest.raises(IrError, match=r"wants step of arguments f32\[3\], i32\[\], .*, got f32\[3\]"):
        verify(replace(module, functions=(other, module.function("f"))))
    made = step()
    short = replace(made, results=made.results[:2], result_names=made.result_names[:2])
    with pytest.raises(IrError, match=r"wants step of results f32\[3\], i32\[\], f32\[\], f32\[3\], got f32\[3\], i32"):
        verify(replace(module, functions=(short, module.function("f"))))


def test_the_verifier_knows_the_further_results():
    module = looping()
    callee, caller = module.functions
    (loop,) = (op for op in caller.ops if op.kind == "loop")
    wrong = replace(loop, extra_results=loop.extra_results[:-1])
    with pytest.raises(IrError, match="is written as"):
        verify(replace(module, functions=(callee, replace(caller, ops=(*caller.ops[:-1], wrong)))))


@pytest.mark.parametrize(
    ("trips", "rows", "sentence"),
    [(0, K, "wants at least one trip, got 0"), (K + 1, K, r"wants stacked tensors of 5 rows, got f32\[4, 3\]")],
)
def test_a_wrong_loop_says_what_it_wants(trips, rows, sentence):
    b = Builder("f")
    first, x = b.scalar(0, "i32"), b.parameter("x", TensorType((rows, 3)))
    with pytest.raises(IrError, match=sentence):
        b.op("loop", first, x, callee="step", trips=trips, carried=0, outputs=0, stacked=1, **FORM)


def test_a_wrong_index_or_count_says_what_it_wants():
    b = Builder("f")
    with pytest.raises(IrError, match=r"wants a first index i32\[\], got f32\[\]"):
        b.op("loop", b.scalar(0.0), callee="step", trips=1, carried=0, outputs=0, stacked=0, **FORM)
    with pytest.raises(IrError, match="wants at least 2 operands, got 0"):
        b.op("loop", b.scalar(0, "i32"), callee="step", trips=1, carried=2, outputs=0, stacked=0, **FORM)
