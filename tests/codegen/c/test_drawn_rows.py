"""The C draws each parameter where it lies, row by row, and its bits are those of the one long vector."""

from dataclasses import replace

import numpy as np
import pytest

from netc.codegen.builder import Builder
from netc.codegen.c.drawn_rows import draw_in_rows
from netc.codegen.c.source import c_source
from netc.codegen.evaluator import run
from netc.codegen.ir import Module
from netc.codegen.random import initial_values
from netc.codegen.rewrite.lower import lower
from netc.codegen.verify import verify
from netc.netspec.types import Normal, TensorType
from netc.programs import request_program

RECIPE = {"input": "8x8x1", "batch": 1, "optimizer": "sgd", "momentum": 0.0}
SEED = np.array([0, 7], np.uint32)


@pytest.mark.parametrize("net", ["mnist-mlp", "mnist-cnn"])
def test_rows_are_parts_of_the_vector(net):
    """Kernels of rows of several lengths, by both kinds of draw."""
    plain = request_program(net, **RECIPE).build().module
    drawn = verify(draw_in_rows(plain))
    assert any(op.kind == "loop" for op in drawn.function("init").ops)
    wanted, got = run(plain, "init", [SEED], "f32"), run(drawn, "init", [SEED], "f32")
    for name, x, y in zip(plain.function("init").result_names, wanted, got, strict=True):
        np.testing.assert_array_equal(x, y, err_msg=name)


@pytest.mark.parametrize("shape", [(), (5,), (3, 4)])
def test_a_number_is_drawn_as_well(shape):
    b = Builder("init")
    key = b.parameter("seed", TensorType((2,), "ui32"))
    values = initial_values(b, key, [(Normal(0.1), shape), (Normal(0.5), (7, 5))])
    module = Module("m", (b.finish([*zip(("gain", "kernel"), values, strict=True)]),))
    drawn = verify(draw_in_rows(module))
    for wanted, got in zip(run(module, "init", [SEED], "f32"), run(drawn, "init", [SEED], "f32"), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_init_needs_no_memory_of_its_own():
    program = request_program("mnist-mlp", **RECIPE).build()
    largest = max(slot.type.bytes for slot in program.state)
    vector = sum(slot.type.bytes for slot in program.state if slot.name.endswith("kernel"))
    arena = c_source(lower(program.module, "c")).arena
    assert largest <= arena < largest + 2**14 < vector  # the gradient of the largest kernel, and little besides


def test_a_module_without_draws_stays_as_it_is():
    module = request_program("mnist-mlp", **RECIPE).build().module
    steps = replace(module, functions=tuple(f for f in module if f.name != "init"))
    assert draw_in_rows(steps) is steps
