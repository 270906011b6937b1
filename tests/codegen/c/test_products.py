"""Products of the C: a value's bits depend on its row, its column and their length, not on what else is computed."""

import ctypes
import subprocess

import numpy as np
import pytest

from netc.codegen.c.pieces import called_in
from netc.codegen.c.source import MARKS

# m, n, k: many blocks of rows, the last uneven; many runs of panels; more than one depth and stretch; less than a tile
SIZES = {
    "rows": (1100, 70, 300), "columns": (37, 1500, 260), "both": (800, 900, 64), "long": (130, 40, 1300),
    "small": (3, 5, 2), "one": (1, 1, 1), "none": (5, 6, 0),
}  # fmt: skip
HEAD = """#include <stddef.h>
#include <stdint.h>
#include <string.h>
#define NET_ALIGNED _Alignas(64)"""
PRODUCT = """void product(size_t m, size_t n, size_t k, const float *a, size_t ai, size_t ak, const float *b, size_t bk,
             size_t bj, float *c, size_t ci, size_t cj)
{
    net_matmulf(m, n, k, a, ai, ak, b, bk, bj, c, ci, cj);
}
"""
WAYS = [(a, b) for a in ("plain", "turned") for b in ("plain", "turned")]


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    """`net_matmul` in float32 as a function of arrays, compiled once for each set of flags."""
    made: dict[str, ctypes.CDLL] = {}

    def build(compiler, flags):
        if flags not in made:
            folder = tmp_path_factory.mktemp("products")
            pieces = "\n".join(piece.text for piece in called_in("net_matmulf("))
            text = "\n".join((HEAD, MARKS, pieces, PRODUCT))
            (folder / "product.c").write_text(text)
            command = [compiler, "-std=c11", *flags.split(), "-fPIC", "-shared", "product.c", "-o", "product.so", "-lm"]
            subprocess.run(command, cwd=folder, check=True)
            made[flags] = ctypes.CDLL(str(folder / "product.so"))
        return made[flags].product

    return build


def computed(function, a, b):
    """a b, read where the two arrays lie."""
    out = np.full((a.shape[0], b.shape[1]), np.nan, np.float32)
    args = []
    for array in (a, b, out):
        args += [ctypes.c_void_p(array.ctypes.data), *(ctypes.c_size_t(s // 4) for s in array.strides)]
    function(*(ctypes.c_size_t(s) for s in (*out.shape, a.shape[1])), *args)
    return out


@pytest.mark.parametrize("flags", ["-O2 -march=native -fopenmp", "-O2", "-O1 -DNET_SMALL"])
@pytest.mark.parametrize("size", SIZES)
def test_a_value_is_the_same_in_any_product(size, flags, c_compiler, product):
    function = product(c_compiler, flags)
    m, n, k = SIZES[size]
    rng = np.random.default_rng(0)
    for left, right in WAYS:
        a, b = (rng.standard_normal(s).astype(np.float32) for s in ((m, k), (k, n)))
        a, b = (np.asfortranarray(x) if way == "turned" else x for x, way in ((a, left), (b, right)))
        got = computed(function, a, b)
        wanted = a.astype(float) @ b.astype(float)
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=2e-7 * k + 1e-6, err_msg=f"{left} {right}")
        rows, columns = slice(m // 3, m // 3 + 9), slice(n // 2, n // 2 + 33)
        np.testing.assert_array_equal(computed(function, a[rows], b), got[rows])
        if right == "plain":  # the other is turned or not by how many rows there are
            np.testing.assert_array_equal(computed(function, a, b[:, columns]), got[:, columns])
