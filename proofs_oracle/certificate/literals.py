"""Literals and indices of a text as tensors of the IR."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from jaxlib.mlir import ir as mlir

from netc.codegen.evaluator import INTEGER_DTYPES, rounded_to_bf16
from netc.codegen.ir import Value
from netc.netspec.types import TensorType
from netc.proofs_oracle.certificate.dual import CertifyError
from netc.proofs_oracle.certificate.reader import Reader, type_of
from netc.proofs_oracle.certificate.residues import Array


def constant(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    """The numbers of a constant. Raises CertifyError for those that no array holds."""
    t = type_of(op.results[0].type)  # first: jaxlib has no attributes of some other types
    attribute = op.attributes["value"]
    if not isinstance(attribute, mlir.DenseElementsAttr):
        raise CertifyError(f"{r.loc}: literals that are not written out ({type(attribute).__name__}) have no rule")
    numbers, splat = _elements(r, attribute, t), bool(attribute.is_splat)
    whole = t.dtype in INTEGER_DTYPES
    values = tuple(bool(v) if t.dtype == "i1" else int(v) if whole else float(v) for v in numbers)
    return [r.add("constant", value=values[0] if splat else values, shape=t.shape, dtype=t.dtype, type=t)]


def _elements(r: Reader, attribute: Any, t: TensorType) -> Array:
    """The elements in order; one of them for all if they are the same."""
    if t.dtype == "bf16":
        numbers = _of_bf16(str(attribute))
    else:
        try:
            numbers = np.array(attribute).reshape(-1)
        except (TypeError, ValueError) as error:
            raise CertifyError(f"{r.loc}: literals of {t} as {type(attribute).__name__} have no rule") from error
    return numbers[:1] if attribute.is_splat else numbers


def _of_bf16(text: str) -> Array:
    """Of `dense<[[1.0, 0x7F80]]> : tensor<..>`, which jaxlib does not turn into an array."""
    inside = text[text.index("<") + 1 : text.rindex(">", 0, text.rindex(":"))]
    if inside.startswith('"'):
        bits = np.frombuffer(bytes.fromhex(inside.strip('"')[2:]), "<u2")
        return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    words = re.findall(r"[-+\w.]+", inside)
    return np.array([_word_of_bf16(word) for word in words])


def _word_of_bf16(word: str) -> float:
    if word.startswith("0x"):
        return float(np.array([int(word, 16) << 16], np.uint32).view(np.float32)[0])
    return float(rounded_to_bf16(np.array(float(word))))


def iota(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    """The index along an axis."""
    t = type_of(op.results[0].type)
    return [r.add("iota", dim=op.attributes["iota_dimension"].value, shape=t.shape, dtype=t.dtype, type=t)]
