"""The kernels of examples/kernels: simulation, C and NumPy agree; simulation and C in every bit."""

import numpy as np
import pytest

from netc.kernels.run import run_once
from tests.kernels.cases import CASES, EXAMPLES, NAMES, agrees


def test_every_example_has_a_case():
    assert {c.file for c in CASES} == {p.name for p in EXAMPLES.glob("*.lean")}


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
