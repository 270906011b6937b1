"""Programs as people have them: bytecode, damaged files, parts that no claim needs; and what is said of the rest."""

from __future__ import annotations

import io
import random
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from jax import lax
from jaxlib.mlir.dialects import stablehlo

from netc.netspec.errors import NetcError, UserError
from netc.proofs_oracle.certificate.certify import certify_foreign
from netc.proofs_oracle.certificate.dual import CertifyError
from netc.proofs_oracle.certificate.parse import parse
from netc.proofs_oracle.certificate.reader import EVERYWHERE
from netc.proofs_oracle.certificate.rows import ROWS
from netc.proofs_oracle.certificate.statement import Settings
from netc.proofs_oracle.certificate.text import module_of

ADDED = """func.func @main(%w: tensor<4xf32>) -> (tensor<f32>, tensor<4xf32>) {
  %z = stablehlo.constant dense<0.0> : tensor<f32>
  %one = stablehlo.constant dense<1.0> : tensor<4xf32>
  %l = SUM
  return %l, %one : tensor<f32>, tensor<4xf32>
}
"""
SUM = "stablehlo.reduce(%w init: %z) applies stablehlo.add across dimensions = [0] : (tensor<4xf32>, tensor<f32>)"
SUM += " -> tensor<f32>"
CALLED = "call @other(%w) : (tensor<4xf32>) -> tensor<f32>"
AGAIN = """func.func private @other(%w: tensor<4xf32>) -> tensor<f32> {
  %l = call @other(%w) : (tensor<4xf32>) -> tensor<f32>
  return %l : tensor<f32>
}
"""


def added(line=SUM, program=ADDED):
    return program.replace("SUM", line)


def judged(program, pairs=("0=1",), limit=3):
    return certify_foreign(program, None, Settings(3), manifest=None, loss="0", wrt=pairs, scale=1, limit=limit)


def lowered(function, *args):
    return jax.jit(jax.value_and_grad(function)).lower(*args).as_text()


def f32(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


# -- what is no program ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("", "wants a StableHLO program, got an empty file"),
        ("\n  \n", "got an empty file"),
        ("module {}", "got a module without any"),
        (b"\xff\xfe\x00", "wants StableHLO as UTF-8 text or MLIR bytecode, got byte 0xff at 0"),
        (b"ML\xefR\x06", "wants intact MLIR bytecode"),
        (
            added().replace("%one :", "%two :").encode(),
            "line 5: .*'return %l, %two.*use of undeclared SSA value",
        ),
        (added("stablehlo.redduce %w : tensor<f32>"), "line 4: .*custom op 'stablehlo.redduce' is unknown"),
        (added().replace("-> (tensor<f32>", "-> (tensor<f64>"), "line 5: .*type of return operand 0"),
        (added().replace("4", "\0"), "got a NUL character in line 1"),
        (added().replace("%l =", "%l:99999999 ="), "got a number of results as large as 99999999"),
    ],
)
def test_what_mlir_refuses_is_said_with_its_line_and_reason(program, said):
    with pytest.raises(UserError, match=said):
        parse(program)


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (added().replace("4xf32", "?xf32").replace("dense<1.0> : tensor<?", "dense<1.0> : tensor<4")
         .replace("return %l, %one", "return %l, %w"), "argument 0 of main: wants tensors of fixed sizes"),
        ("func.func private @other(tensor<4xf32>) -> tensor<f32>\n" + added(CALLED), "other wants a body, got none"),
        (added(CALLED) + AGAIN, "other calls itself"),
        (added().replace("  %one =", "  cf.br ^a\n  ^a:\n  cf.br ^a\n  ^b:\n  %one ="), "wants at most 100,000 jumps"),
    ],
)  # fmt: skip
def test_programs_that_cannot_be_judged_are_a_sentence(program, said):
    with pytest.raises(CertifyError, match=said):
        judged(program)


def test_damaged_texts_are_sentences():
    text = lowered(lambda w, x: jnp.sum(jnp.tanh(jax.nn.relu(x @ w)) ** 2), f32(3, 2), f32(4, 3)).encode()
    rng, words = random.Random(0), re.compile(rb"[\w.]+|[^\w\s]")
    for _ in range(150):
        a, b = rng.choice(list(words.finditer(text))), rng.choice(list(words.finditer(text)))
        flipped = bytearray(text)
        flipped[rng.randrange(len(text))] ^= 1 << rng.randrange(8)
        cut, swapped = text[: rng.randrange(len(text))], text[: a.start()] + b[0] + text[a.end() :]
        for damaged in (cut, swapped, bytes(flipped)):
            try:
                judged(damaged)
            except NetcError as error:
                assert len(str(error)) < 1000


def test_bytecode_is_read_as_its_text_is():
    text = lowered(lambda w, x: jnp.sum(jnp.tanh(x @ w)), f32(3, 2), f32(4, 3))
    module, out = module_of(text), io.BytesIO()
    module.operation.write_bytecode(out)
    portable = stablehlo.serialize_portable_artifact_str(text, stablehlo.get_current_version())
    for program in (text, text.encode(), text.encode("utf-8-sig"), out.getvalue(), portable):
        assert judged(program).holds
    with pytest.raises(UserError, match="wants intact MLIR bytecode"):
        judged(out.getvalue()[:-20])


# -- what no claim needs ---------------------------------------------------------------------------------------------


def test_what_no_claim_needs_is_passed_over():
    def step(w, x):
        loss, gradient = jax.value_and_grad(lambda w: jnp.sum((x @ w) ** 2))(w)
        return loss, gradient, jnp.abs(jnp.fft.fft(w[:, 0])), jnp.linalg.det(w[:2]), w.astype(jnp.float8_e5m2)

    text = jax.jit(step).lower(f32(3, 2), f32(4, 3)).as_text()
    assert judged(text).holds
    with pytest.raises(CertifyError, match="fft has no rule"):
        judged(lowered(lambda w: jnp.abs(jnp.fft.fft(w)).sum(), f32(4)))


def test_an_accuracy_beside_the_loss():
    def step(w, x, y):
        def loss(w):
            z = x @ w
            return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1)), z

        (value, z), gradient = jax.value_and_grad(loss, has_aux=True)(w)
        return value, gradient, jnp.mean(jnp.argmax(z, 1) == y)

    assert judged(jax.jit(step).lower(f32(4, 3), f32(2, 4), jax.ShapeDtypeStruct((2,), jnp.int32)).as_text()).holds


# -- operations ------------------------------------------------------------------------------------------------------


def scanned(w, x):
    def step(h, v):
        h = jnp.tanh(h * w + v)
        return h, h

    return jnp.sum(lax.scan(step, jnp.zeros(4), x)[1])


KEY = jax.ShapeDtypeStruct((2,), jnp.uint32)
BYTES = jax.ShapeDtypeStruct((3, 4), jnp.uint8)
OPERATIONS = {
    "expm1": (lambda w, x: jnp.sum(jnp.expm1(w) * x),),
    "is_finite": (lambda w, x: jnp.sum(jax.nn.logsumexp(w * x, 1)),),
    "whole power": (lambda w, x: jnp.sum(lax.pow(w, 3.0) * x),),
    "broken power": (lambda w, x: jnp.sum(jnp.exp(w) ** 1.5 * x),),
    "power of two tensors": (lambda w, x: jnp.sum(lax.pow(jnp.exp(x), w)),),
    "steps": (lambda w, x: jnp.sum(w * (jnp.sign(x) + jnp.floor(x) + jnp.ceil(x) + jnp.round(x))),),
    "remainder": (lambda w, x: jnp.sum(lax.rem(w, jnp.abs(x) + 1) * x),),
    "atan2": (lambda w, x: jnp.sum(jnp.arctan2(w, x)),),
    "tan": (lambda w, x: jnp.sum(jnp.tan(w * x)),),
    "inverse functions": (lambda w, x: jnp.sum(jnp.arctan(w) + jnp.arcsinh(w * x) + jnp.arcsin(jnp.tanh(w))),),
    "hyperbolic": (lambda w, x: jnp.sum(jnp.sinh(w) * jnp.cosh(x * w)),),
    "sort": (lambda w, x: jnp.sum(jnp.sort(w, 1) * x),),
    "sort by keys": (lambda w, x: jnp.sum(w[jnp.arange(3)[:, None], jnp.argsort(x, 1)] * x),),
    "top k": (lambda w, x: jnp.sum(lax.top_k(w, 2)[0] * x[:, :2]),),
    "argmax": (lambda w, x: jnp.sum(w[jnp.arange(3), jnp.argmax(x, 1)] ** 2),),
    "product": (lambda w, x: jnp.sum(jnp.prod(w, 0) * x[0]),),
    "cumulative sum": (lambda w, x: jnp.sum(jnp.cumsum(w, 1) * x),),
    "set": (lambda w, x: jnp.sum(w.at[jnp.array([2, 0])].set(x[:2]) ** 2),),
    "maximum at places": (lambda w, x: jnp.sum(w.at[jnp.array([2, 2])].max(x[:2]) ** 2),),
    "product at places": (lambda w, x: jnp.sum(w.at[jnp.array([2, 1])].multiply(x[:2])),),
    "dynamic slices": (
        lambda w, x: jnp.sum(lax.dynamic_update_slice(w, 2 * lax.dynamic_slice(w, (1, 1), (2, 2)), (0, 0)) * x),
    ),
    "scan": (lambda w, x: scanned(w[0], x),),
    "branch": (lambda w, x: jnp.sum(lax.cond(x[0, 0] > 0, jnp.sin, jnp.exp, w)),),
    "switch": (lambda w, x: jnp.sum(lax.switch(2, (jnp.sin, jnp.exp, jnp.tanh), w) * x),),
    "bf16": (lambda w, x: jnp.sum((w.astype(jnp.bfloat16) @ x.T.astype(jnp.bfloat16)).astype(jnp.float32) ** 2),),
    "f16": (lambda w, x: jnp.sum((w.astype(jnp.float16) * x.astype(jnp.float16)).astype(jnp.float32) * 0.5),),
    "bytes": (lambda w, x: jnp.sum((x.astype(jnp.float32) / 255 * w) ** 2), BYTES),
    "dropout": (lambda w, key: jnp.sum(jnp.where(jax.random.bernoulli(key, 0.5, (3, 4)), w / 0.5, 0.0) ** 2), KEY),
    "uniform noise": (lambda w, key: jnp.sum((w + jax.random.uniform(key, (3, 4))) ** 2), KEY),
    "dropout by random bits": (
        lambda w, key: jnp.sum(
            jnp.where(jax.random.bernoulli(jax.random.wrap_key_data(key, impl="rbg"), 0.5, (3, 4)), w / 0.5, 0.0) ** 2
        ),
        jax.ShapeDtypeStruct((4,), jnp.uint32),
    ),
    "product of bytes": (
        lambda w, x: jnp.sum(w * lax.dot(x.T[:3], x, preferred_element_type=jnp.int32).astype(jnp.float32)),
        jax.ShapeDtypeStruct((3, 4), jnp.int8),
    ),
    "less precision": (lambda w, x: jnp.sum(lax.reduce_precision(w * x, 8, 7)),),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_of_everyday_steps(name):
    function, *second = OPERATIONS[name]
    text = lowered(function, f32(3, 4), second[0] if second else f32(3, 4))
    assert judged(text).holds


def test_a_loop_without_a_fixed_number_of_rounds_is_refused():
    def step(w, n):
        return jnp.sum(w), lax.fori_loop(0, n, lambda i, h: 2 * h, jnp.ones(4))

    text = jax.jit(step).lower(f32(4), jax.ShapeDtypeStruct((), jnp.int32)).as_text()
    with pytest.raises(CertifyError, match="a loop whose iterations the text does not fix has no rule"):
        judged(text)


LOOP = """func.func @main(%w: tensor<4xf32>) -> (tensor<f32>, tensor<4xf32>) {
  %z = stablehlo.constant dense<0.0> : tensor<f32>
  %from = stablehlo.constant dense<START> : tensor<COUNTER>
  %to = stablehlo.constant dense<STOP> : tensor<COUNTER>
  %by = stablehlo.constant dense<STEP> : tensor<COUNTER>
  %i, %r = stablehlo.while(%a = %from, %b = %w) : tensor<COUNTER>, tensor<4xf32>
  cond {
    %c = stablehlo.compare LT, %a, %to : (tensor<COUNTER>, tensor<COUNTER>) -> tensor<i1>
    stablehlo.return %c : tensor<i1>
  } do {
    %d = stablehlo.add %a, %by : tensor<COUNTER>
    %e = stablehlo.add %b, %b : tensor<4xf32>
    stablehlo.return %d, %e : tensor<COUNTER>, tensor<4xf32>
  }
  %l = stablehlo.reduce(%r init: %z) applies stablehlo.add across dimensions = [0] : (tensor<4xf32>, tensor<f32>)
    -> tensor<f32>
  %g = stablehlo.constant dense<8.0> : tensor<4xf32>
  return %l, %g : tensor<f32>, tensor<4xf32>
}
"""


def test_a_loop_is_written_out_by_its_whole_counter():
    def counting(counter, start, stop, step):
        text = LOOP.replace("COUNTER", counter).replace("START", start)
        return text.replace("STOP", stop).replace("STEP", step)

    assert judged(counting("i32", "0", "3", "1")).holds
    assert judged(counting("ui8", "250", "253", "1")).holds
    assert not judged(counting("i32", "0", "4", "1")).holds
    with pytest.raises(CertifyError, match="a loop whose iterations the text does not fix"):
        judged(counting("f32", "0.0", "0.3", "0.1"))  # how often hangs on how sums are rounded
    with pytest.raises(CertifyError, match="at most 10,000 iterations"):
        judged(counting("i32", "0", "3", "0"))


def test_a_number_that_an_integer_does_not_hold_is_refused():
    def text(large):
        return lowered(
            lambda w, x: jnp.sum(w * ((x * 0 + large).astype(jnp.uint8)).astype(jnp.float32)), f32(3), f32(3)
        )

    assert judged(text(7.0)).holds
    with pytest.raises(CertifyError, match="wants numbers that ui8 holds"):
        judged(text(300.0))


def test_literals_that_are_left_out_are_refused():
    text = added().replace("dense<1.0>", "dense_resource<weights>")
    with pytest.raises(CertifyError, match="literals that are not written out"):
        judged(text)


def test_the_page_lists_every_operation_and_attribute_that_is_read():
    page = (Path(__file__).parents[3] / "docs" / "certificate.md").read_text(encoding="utf-8")
    section = page[page.index("## How a text is read") : page.index("## Programs not written by netc")]
    listed = set(re.findall(r"`([\w.]+)`", section))
    rows = {name: row for dialect in ROWS.values() for name, row in dialect.items()}
    read = {*rows, *EVERYWHERE, *(a for row in rows.values() for a in (*row.judged, *row.idle))}
    assert not read - listed
    assert {"fft", "rng", "cholesky"} <= listed - read


@pytest.mark.parametrize("dtype", ["i32", "i1", "ui8"])
def test_integers_have_no_gradient(dtype):
    program = ADDED.replace("%w: tensor<4xf32>", f"%w: tensor<4x{dtype}>").replace(
        "(tensor<f32>, tensor<4xf32>) {", f"(tensor<f32>, tensor<4x{dtype}>) {{"
    )
    program = program.replace("%l, %one : tensor<f32>, tensor<4xf32>", f"%l, %w : tensor<f32>, tensor<4x{dtype}>")
    line = f"stablehlo.convert %w : (tensor<4x{dtype}>) -> tensor<4xf32>\n  %l = {SUM.replace('%w', '%c')}"
    with pytest.raises(UserError, match="integers have no derivative"):
        judged(program.replace("%l = SUM", f"%c = {line}"))
