"""The verifier: it sees each planted fault, and says where."""

from dataclasses import replace

import pytest

from netc.codegen.ir import Function, IrError, Module, Op, Value
from netc.codegen.modules import layer_module
from netc.codegen.rewrite.lower import lower
from netc.codegen.verify import verify
from netc.netspec.layers import AvgPool, Conv2d, MaxPool
from netc.netspec.types import TensorType
from tests.codegen.rewrite.test_rewrites import F2


def planted(*ops, params=(), results=None):
    names = tuple(f"a{i}" for i in range(len(params)))
    results = (ops[-1].result,) if results is None else results
    return Module("m", (Function("f", params, names, ops, results, tuple(f"r{i}" for i in range(len(results)))),))


def exp(x, result=None):
    return Op("exp", (x,), (), result or Value(F2), "here")


def fault(module, **options):
    with pytest.raises(IrError) as caught:
        verify(module, **options)
    return str(caught.value)


def test_the_verifier_sees_planted_faults():
    x, y = Value(F2), Value(F2)
    first = exp(x)
    assert verify(planted(first, params=(x,)))
    assert "f: here: exp(f32[2]) -> f32[2] uses a value that no operation before it makes" in fault(
        planted(exp(y), params=(x,))
    )
    later = exp(x, y)
    assert "uses a value that no" in fault(planted(exp(y), later, params=(x,)))
    assert "makes a value a second time" in fault(planted(first, exp(x, first.result), params=(x,)))
    assert "makes a value a second time" in fault(planted(exp(x, x), params=(x,)))
    wrong = exp(x, Value(TensorType((3,))))
    assert "is written as f32[3], but its type is f32[2]" in fault(planted(wrong, params=(x,)))
    assert "distinct arguments" in fault(planted(first, params=(x, x)))
    assert "result r0 is made by no operation" in fault(planted(first, params=(x,), results=(y,)))
    twice = planted(first, params=(x,))
    assert "functions of different names" in fault(replace(twice, functions=twice.functions * 2))


@pytest.mark.parametrize("kind", ["no_such_op", "convert"])  # convert lacks its attribute
def test_the_verifier_sees_an_op_that_is_none(kind):
    x = Value(F2)
    assert "here" in fault(planted(Op(kind, (x,), (), Value(F2), "here"), params=(x,)))


def test_the_verifier_sees_results_without_names():
    x = Value(F2)
    good = planted(exp(x), params=(x,)).functions[0]
    assert "f" in fault(Module("m", (replace(good, result_names=()),)))


@pytest.mark.parametrize("layer", [MaxPool(2), AvgPool(2), Conv2d(2)])
def test_what_stablehlo_has_not_is_no_lowered_module(layer):
    made = layer_module(layer, TensorType((4, 4, 1)), 1)
    assert verify(made)
    assert "has no StableHLO form; a pass must replace it" in fault(made, lowered=True)
    assert verify(lower(made, "cpu"), lowered=True)
