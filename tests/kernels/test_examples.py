"""The kernels of examples/kernels: simulation, C and NumPy agree; simulation and C in every bit."""

import runpy

import numpy as np
import pytest

from netc.kernels.find import find
from netc.kernels.run import run_once
from tests.kernels.cases import CASES, EXAMPLES, NAMES, agrees


def test_every_example_has_a_case():
    assert {c.file for c in CASES} == {p.name for p in EXAMPLES.glob("*.lean")}


def test_the_examples_program_runs(c_compiler, capsys):
    runpy.run_path(str(EXAMPLES / "kernels.py"))["main"](600)
    assert capsys.readouterr().out == "saxpy of 600: 1, 3.5, .., 1498.5; numpy agrees: True\n"


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_python_gives_the_bits_of_lean(case):
    python = find(f"{EXAMPLES / 'kernels.py'}:{case.file.removesuffix('.lean')}")
    one, other = (run_once(k, (case.grid, case.block), case.numbers, case.arrays) for k in (case.kernel, python))
    assert not other.faults
    assert [a.tobytes() for a in one.results.values()] == [a.tobytes() for a in other.results.values()]


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_simulation_c_and_numpy_agree(case, c_compiler):
    simulated, compiled = (
        run_once(case.kernel, (case.grid, case.block), case.numbers, case.arrays, target=target)
        for target in ("simulate", "c")
    )
    assert not simulated.faults and not compiled.faults
    agrees(case, simulated.results)
    for name, array in simulated.results.items():
        if case.file == "dot.lean":  # two blocks add to one float, in any order
            np.testing.assert_allclose(compiled.results[name], array, rtol=1e-14)
        else:
            assert array.tobytes() == compiled.results[name].tobytes(), name
