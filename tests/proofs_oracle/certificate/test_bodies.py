"""Regions of a text: judged as the programs that they are, never by the name of an operation inside."""

from __future__ import annotations

import pytest

from netc.proofs_oracle.certificate.certify import certify_foreign
from netc.proofs_oracle.certificate.dual import CertifyError
from netc.proofs_oracle.certificate.statement import Settings

POOL = """
func.func @main(%w: tensor<4xf32>) -> (tensor<f32>, tensor<4xf32>) {
  %z = stablehlo.constant dense<0.0> : tensor<f32>
  %ninf = stablehlo.constant dense<0xFF800000> : tensor<f32>
  %one = stablehlo.constant dense<1.0> : tensor<2xf32>
  %m = "stablehlo.reduce_window"(%w, %ninf) ({
    ^bb0(%a: tensor<f32>, %b: tensor<f32>):
      WINDOW
      stablehlo.return %s : tensor<f32>
  }) {window_dimensions = array<i64: 2>, window_strides = array<i64: 2>} : (tensor<4xf32>, tensor<f32>) -> tensor<2xf32>
  %l = "stablehlo.reduce"(%m, %z) ({
    ^bb0(%a: tensor<f32>, %b: tensor<f32>):
      REDUCE
      stablehlo.return %s : tensor<f32>
  }) {dimensions = array<i64: 0>} : (tensor<2xf32>, tensor<f32>) -> tensor<f32>
  %g = "stablehlo.select_and_scatter"(%w, %one, %z) ({
    ^bb0(%a: tensor<f32>, %b: tensor<f32>):
      SELECT
      stablehlo.return %c : tensor<i1>
  }, {
    ^bb0(%a: tensor<f32>, %b: tensor<f32>):
      SCATTER
      stablehlo.return %s : tensor<f32>
  }) {window_dimensions = array<i64: 2>, window_strides = array<i64: 2>}
    : (tensor<4xf32>, tensor<2xf32>, tensor<f32>) -> tensor<4xf32>
  return %l, %g : tensor<f32>, tensor<4xf32>
}
"""
RIGHT = {
    "WINDOW": "%s = stablehlo.maximum %a, %b : tensor<f32>",
    "REDUCE": "%s = stablehlo.add %a, %b : tensor<f32>",
    "SELECT": "%c = stablehlo.compare GE, %a, %b : (tensor<f32>, tensor<f32>) -> tensor<i1>",
    "SCATTER": "%s = stablehlo.add %a, %b : tensor<f32>",
}
NOTHING = "%u = stablehlo.add %a, %b : tensor<f32>\n"
OTHERS = [
    ("WINDOW", "%s = stablehlo.maximum %b, %a : tensor<f32>", True),
    ("WINDOW", NOTHING + RIGHT["WINDOW"], True),  # what is not returned does nothing
    ("WINDOW", "%s = stablehlo.maximum %a, %a : tensor<f32>", None),
    ("WINDOW", "%s = stablehlo.maximum %a, %z : tensor<f32>", None),
    ("WINDOW", "%t = stablehlo.maximum %a, %b : tensor<f32>\n%s = stablehlo.negate %t : tensor<f32>", None),
    ("WINDOW", "%s = stablehlo.minimum %a, %b : tensor<f32>", None),  # does not start from -inf
    ("REDUCE", "%s = stablehlo.add %a, %a : tensor<f32>", None),
    ("REDUCE", "%t = stablehlo.add %a, %b : tensor<f32>\n%s = stablehlo.add %t, %l0 : tensor<f32>", None),
    ("REDUCE", "%s = stablehlo.subtract %a, %b : tensor<f32>", None),
    ("SELECT", RIGHT["SELECT"].replace("GE, %a, %b", "LE, %b, %a"), True),
    ("SELECT", RIGHT["SELECT"].replace("GE", "GT"), True),  # another place only where two are equal
    ("SELECT", RIGHT["SELECT"].replace("GE, %a, %b", "GE, %b, %a"), False),
    ("SELECT", RIGHT["SELECT"].replace("GE", "LE"), False),
    ("SELECT", RIGHT["SELECT"].replace("GE", "NE"), None),
    ("SELECT", RIGHT["SELECT"].replace("%a, %b :", "%a, %a :"), None),
    ("SELECT", RIGHT["SELECT"].replace("%a, %b :", "%a, %z :"), None),
    ("SELECT", RIGHT["SELECT"].replace("%b :", "%b, TOTALORDER :"), None),
    ("SELECT", RIGHT["SELECT"].replace("%c =", "%d =") + "\n%c = stablehlo.not %d : tensor<i1>", None),
    ("SCATTER", "%s = stablehlo.add %b, %a : tensor<f32>", True),
    ("SCATTER", "%s = stablehlo.add %b, %b : tensor<f32>", None),
    ("SCATTER", "%s = stablehlo.maximum %a, %b : tensor<f32>", None),
]


def verdict(text, pairs=(("0", "1"),), limit=3):
    """Whether the claim holds; None where the program is refused."""
    wrt = [f"{a}={b}" for a, b in pairs]
    try:
        found = certify_foreign(text, None, Settings(), manifest=None, loss="0", wrt=wrt, scale=1, limit=limit)
    except CertifyError:
        return None
    return found.holds


def pool(**other):
    text = POOL.replace("%l = ", "%l0 = stablehlo.constant dense<1.0> : tensor<f32>\n%l = ")
    for name, right in RIGHT.items():
        text = text.replace(name, other.get(name, right))
    return text


@pytest.mark.parametrize(("name", "body", "wanted"), OTHERS)
def test_a_body_is_judged_as_the_program_that_it_is(name, body, wanted):
    assert verdict(pool()) is True
    assert verdict(pool(**{name: body})) is wanted


SCATTER = """
func.func @main(%w: tensor<4xf32>, %i: tensor<2x1xi32>, %u: tensor<2xf32>)
    -> (tensor<f32>, tensor<4xf32>, tensor<2xf32>) {
  %z = stablehlo.constant dense<0.0> : tensor<f32>
  %at = stablehlo.constant dense<AT> : tensor<2x1xi32>
  %s = "stablehlo.scatter"(%w, %at, %u) <{scatter_dimension_numbers = #stablehlo.scatter<inserted_window_dims = [0],
    scatter_dims_to_operand_dims = [0], index_vector_dim = 1>, FLAGS}> ({
    ^bb0(%a: tensor<f32>, %b: tensor<f32>):
      BODY
  }) : (tensor<4xf32>, tensor<2x1xi32>, tensor<2xf32>) -> tensor<4xf32>
  %l = stablehlo.reduce(%s init: %z) applies stablehlo.add across dimensions = [0]
    : (tensor<4xf32>, tensor<f32>) -> tensor<f32>
  %dw = stablehlo.constant dense<DW> : tensor<4xf32>
  %du = stablehlo.constant dense<DU> : tensor<2xf32>
  return %l, %dw, %du : tensor<f32>, tensor<4xf32>, tensor<2xf32>
}
"""
ADDING = "%c = stablehlo.add %a, %b : tensor<f32>\nstablehlo.return %c : tensor<f32>"
SETTING = "stablehlo.return %b : tensor<f32>"


@pytest.mark.parametrize(
    ("at", "flags", "body", "dw", "du", "wanted"),
    [
        ("[[3], [0]]", "unique_indices = true", ADDING, "1.0", "1.0", True),
        ("[[3], [3]]", "unique_indices = false", ADDING, "1.0", "1.0", True),
        ("[[3], [3]]", "unique_indices = true", ADDING, "1.0", "1.0", None),
        ("[[3], [0]]", "indices_are_sorted = true", ADDING, "1.0", "1.0", None),
        ("[[0], [3]]", "indices_are_sorted = true", ADDING, "1.0", "1.0", True),
        ("[[3], [0]]", "unique_indices = true", SETTING, "[0.0, 1.0, 1.0, 0.0]", "1.0", True),
        ("[[3], [0]]", "unique_indices = true", SETTING, "1.0", "1.0", False),
        ("[[3], [9]]", "unique_indices = true", SETTING, "[1.0, 1.0, 1.0, 0.0]", "[1.0, 0.0]", True),
        ("[[3], [3]]", "unique_indices = false", SETTING, "[1.0, 1.0, 1.0, 0.0]", "[0.0, 1.0]", None),
        ("[[3], [0]]", "unique_indices = true", "stablehlo.return %a : tensor<f32>", "1.0", "0.0", None),
    ],
)  # fmt: skip
def test_what_a_scatter_promises_and_does(at, flags, body, dw, du, wanted):
    text = SCATTER.replace("AT>", f"{at}>").replace("FLAGS", flags).replace("BODY", body)
    text = text.replace("DW", dw).replace("DU", du)
    assert verdict(text, (("0", "1"), ("2", "2"))) is wanted


UNARY = """
func.func @main(%x: tensor<3xf32>, %k: tensor<3xi32>) -> (tensor<f32>, tensor<3xf32>) {
  %z = stablehlo.constant dense<0.0> : tensor<f32>
  %two = stablehlo.constant dense<2.0> : tensor<3xf32>
  BODY
  %l = stablehlo.reduce(%y init: %z) applies stablehlo.add across dimensions = [0]
    : (tensor<3xf32>, tensor<f32>) -> tensor<f32>
  return %l, %g : tensor<f32>, tensor<3xf32>
}
"""
SEVERAL = """
  %one = stablehlo.constant dense<1.0> : tensor<3xf32>
  %y:2 = "stablehlo.reduce"(%x, %two, %z, %n) ({
    ^bb0(%a: tensor<f32>, %b: tensor<f32>, %c: tensor<f32>, %d: tensor<f32>):
      %s = stablehlo.add FIRST : tensor<f32>
      %t = stablehlo.maximum %d, %b : tensor<f32>
      stablehlo.return RETURNED : tensor<f32>, tensor<f32>
  }) {dimensions = array<i64: 0>} : (tensor<3xf32>, tensor<3xf32>, tensor<f32>, tensor<f32>)
    -> (tensor<f32>, tensor<f32>)
  %l = stablehlo.multiply %y#0, %y#1 : tensor<f32>
  return %l, %two : tensor<f32>, tensor<3xf32>
}
"""


@pytest.mark.parametrize(
    ("first", "returned", "wanted"),
    [("%a, %c", "%s, %t", True), ("%a, %a", "%s, %t", None), ("%a, %b", "%s, %t", None), ("%a, %c", "%t, %s", None)],
)
def test_several_reductions_at_once_are_each_judged(first, returned, wanted):
    head = UNARY[: UNARY.index("BODY")] + "%n = stablehlo.constant dense<0xFF800000> : tensor<f32>\n"
    assert verdict(head + SEVERAL.replace("FIRST", first).replace("RETURNED", returned)) is wanted


PRODUCT = """
func.func @main(%w: tensor<2x3xf32>, %x: tensor<3xf32>) -> (tensor<f32>, tensor<2x3xf32>) {
  %z = stablehlo.constant dense<0.0> : tensor<f32>
  %h = stablehlo.dot %w, %x : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2xf32>
  %l = stablehlo.reduce(%h init: %z) applies stablehlo.add across dimensions = [0]
    : (tensor<2xf32>, tensor<f32>) -> tensor<f32>
  %g = stablehlo.broadcast %x, sizes = [2] : (tensor<3xf32>) -> tensor<2x3xf32>
  return %l, %g : tensor<f32>, tensor<2x3xf32>
}
"""


def test_the_short_product_and_broadcast():
    assert verdict(PRODUCT) is True
    assert (
        verdict(
            PRODUCT.replace("%w, %x :", "%w, %w0 :").replace("%h =", "%w0 = stablehlo.negate %x : tensor<3xf32>\n%h =")
        )
        is False
    )


COMPARED = """
  %t = stablehlo.constant dense<-1> : tensor<3xi32>
  %c = stablehlo.compare LT, %t, %k, HOW : (tensor<3xi32>, tensor<3xi32>) -> tensor<3xi1>
  %y = stablehlo.multiply %x, %two : tensor<3xf32>
  %g = stablehlo.select %c, %two, %x : tensor<3xi1>, tensor<3xf32>
"""


@pytest.mark.parametrize(("how", "wanted"), [("SIGNED", True), ("UNSIGNED", None)])
def test_the_type_of_a_comparison_is_judged(how, wanted):
    assert verdict(UNARY.replace("BODY", COMPARED.replace("HOW", how))) is wanted


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("%y = stablehlo.tanh %x : tensor<3xf32>", True),
        ("%y = stablehlo.tanh %x {result_accuracy = #stablehlo.result_accuracy<mode = "
         "#stablehlo.result_accuracy_mode<HIGHEST>>} : tensor<3xf32>", True),
        ('%y = stablehlo.tanh %x {mhlo.sharding = "{replicated}"} : tensor<3xf32>', True),
        ("%y = stablehlo.tanh %x {some.meaning = 1 : i32} : tensor<3xf32>", None),
        ("%i = stablehlo.constant dense<0x7F800000> : tensor<3xf32>\n%s = stablehlo.add %x, %i : tensor<3xf32>\n"
         "%y = stablehlo.tanh %s : tensor<3xf32>", None),  # of infinity it is 1
    ],
)  # fmt: skip
def test_an_attribute_that_nobody_knows_is_refused(line, wanted):
    slope = """
      %t = stablehlo.tanh %x : tensor<3xf32>
      %q = stablehlo.multiply %t, %t : tensor<3xf32>
      %one = stablehlo.constant dense<1.0> : tensor<3xf32>
      %g = stablehlo.subtract %one, %q : tensor<3xf32>
    """
    assert verdict(UNARY.replace("BODY", line + slope)) is wanted


PICKED = """
func.func @main(%w: tensor<3x2xf32>) -> (tensor<f32>, tensor<3x2xf32>) {
  %z = stablehlo.constant dense<0.0> : tensor<f32>
  %at = stablehlo.constant dense<[[0], [2]]> : tensor<2x1xi32>
  %p = "stablehlo.gather"(%w, %at) <{dimension_numbers = #stablehlo.gather<offset_dims = [1],
    collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>, indices_are_sorted = true,
    slice_sizes = array<i64: SIZE, 2>}> : (tensor<3x2xf32>, tensor<2x1xi32>) -> tensor<2x2xf32>
  %l = stablehlo.reduce(%p init: %z) applies stablehlo.add across dimensions = [0, 1]
    : (tensor<2x2xf32>, tensor<f32>) -> tensor<f32>
  %g = stablehlo.constant dense<[[1.0, 1.0], [0.0, 0.0], [1.0, 1.0]]> : tensor<3x2xf32>
  return %l, %g : tensor<f32>, tensor<3x2xf32>
}
"""


@pytest.mark.parametrize(("size", "wanted"), [("1", True), ("0", None)])
def test_a_slice_of_no_rows_is_no_row(size, wanted):
    assert verdict(PICKED.replace("SIZE", size)) is wanted
