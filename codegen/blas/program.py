"""A routine of BLAS, with sizes and letters, as a module of the IR; and the words that a user may give for it."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from netc.codegen.blas import ROUTINES
from netc.codegen.blas.table import OPTIONS, Letters, Routine, Sizes
from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module
from netc.netspec.errors import UserError
from netc.netspec.nearest import did_you_mean
from netc.netspec.types import DType

DTYPES: Mapping[str, DType] = {"s": "f32", "d": "f64"}
"""BLAS's letters for the types of numbers, which may stand before a routine's name."""
MOST_BYTES = 1 << 40
"""Of all operands: what the largest machines hold, and sizes below stay far from the end of 64 bits."""
COMPLEX = ("c", "z")
OF_COMPLEX = frozenset(("dotu", "dotc", "geru", "gerc", "hemv", "hemm", "herk", "her2k"))


def find_routine(word: str, dtype: DType | None = None) -> tuple[Routine, DType]:
    """The routine that a word names, with or without the letter of its type, and the type; float32 by default.

    Raises UserError for a word that names none, for complex numbers, and for two types.
    """
    name = word.lower()
    if name in ROUTINES:
        return ROUTINES[name], dtype or "f32"
    kind, rest = _split(name)
    if rest in ROUTINES and kind in DTYPES:
        if dtype not in (None, DTYPES[kind]):
            raise UserError(f"`routine` {word} computes in {DTYPES[kind]}, got `dtype={dtype}`; leave one out")
        return ROUTINES[rest], DTYPES[kind]
    if (kind in COMPLEX and rest in ROUTINES) or {name, name[1:]} & OF_COMPLEX:
        raise UserError(
            f"`routine` wants float32 or float64 numbers, got {word}: the IR has no complex numbers; pass the parts of "
            "a complex tensor as separate tensors"
        )
    hint = did_you_mean(name, ROUTINES, "`netc blas ls` lists them")
    raise UserError(f"`routine` wants a routine of BLAS, got {word[:40]!r}; {hint}")


def _split(name: str) -> tuple[str, str]:
    """The letter of the type, and the routine: d and `gemm` of dgemm, d and `iamax` of idamax."""
    return (name[1:2], name[0] + name[2:]) if name[:1] == "i" else (name[:1], name[1:])


def check_sizes(routine: Routine, given: Sizes) -> Sizes:
    """The sizes that the routine takes; raises UserError for one that is missing, below 1, or that it has not."""
    wanted = ", ".join(f"`{letter}`" for letter in routine.sizes)
    if more := [letter for letter in given if letter not in routine.sizes]:
        raise UserError(f"{routine.name} has no size `{more[0]}`; it has {wanted}; leave `{more[0]}` out")
    if missing := [letter for letter in routine.sizes if letter not in given]:
        got = ", ".join(f"`{letter}`" for letter in given) or "none"
        raise UserError(
            f"{routine.name} wants the sizes {wanted}, got {got}; add {', '.join(f'`{x}`' for x in missing)}"
        )
    if small := [letter for letter in routine.sizes if given[letter] < 1]:
        raise UserError(f"{routine.name} wants `{small[0]}` of 1 or more, got {given[small[0]]}; give a larger one")
    return {letter: given[letter] for letter in routine.sizes}


def check_letters(routine: Routine, given: Letters) -> Letters:
    """A letter for each option of the routine; raises UserError for an option or a letter that it does not have."""
    for option, letter in given.items():
        if option not in routine.options:
            has = ", ".join(f"`{name}`" for name in routine.options) or "no options"
            raise UserError(f"{routine.name} has no `{option}`; it has {has}; leave `{option}` out")
        if letter not in OPTIONS[option]:
            meant = ", ".join(f"{known} ({meaning})" for known, meaning in OPTIONS[option].items())
            raise UserError(f"`{option}` wants {meant}, got {letter!r}")
    return {option: given.get(option, next(iter(OPTIONS[option]))) for option in routine.options}


def check_room(
    routine: Routine, sizes: Sizes, letters: Letters, dtype: DType, most: int = MOST_BYTES, what: str = ""
) -> None:
    """Raises UserError where the operands hold more than `most` bytes; `what` is what has that limit."""
    held = sum(t.bytes for t in routine.types(sizes, letters, dtype))
    if held > most:
        said = ", ".join(f"`{letter}={n}`" for letter, n in sizes.items())
        name = f"{what} of {routine.name}" if what else routine.name
        unit, size = ("GiB", 1 << 30) if most >= 1 << 30 else ("MiB", 1 << 20)
        got = ceil(100 * held / size) / 100  # rounded up, so that it is never what is allowed
        raise UserError(
            f"{name} wants operands of at most {most // size:,} {unit}, got {got:,} {unit} by {said}; give smaller "
            "sizes"
        )


def blas_module(
    routine: Routine, sizes: Sizes, letters: Letters, dtype: DType = "f32", *, pullback: bool = False
) -> Module:
    """A function by the routine's name, operands -> results; with `pullback` another behind it, `<name>_vjp`.

    That one takes the cotangent `g<result>` of each result too, and gives the gradient `d<operand>` of each operand
    behind the results. Raises UserError for sizes and letters that the routine does not take, and for a pullback of one
    that has none.
    """
    sizes, letters = check_sizes(routine, sizes), check_letters(routine, letters)
    check_room(routine, sizes, letters, dtype)
    if pullback and not routine.differentiable:
        raise UserError(f"{routine.name} gives an index, which has no derivative; choose another routine")
    forward = _function(routine, sizes, letters, dtype, pullback=False)
    back = (_function(routine, sizes, letters, dtype, pullback=True),) if pullback else ()
    return Module(routine.name, (forward, *back))


def _function(routine: Routine, sizes: Sizes, letters: Letters, dtype: DType, *, pullback: bool) -> Function:
    b = Builder(f"{routine.name}_vjp" if pullback else routine.name)
    types = routine.types(sizes, letters, dtype)
    operands = [b.parameter(o.name, t) for o, t in zip(routine.operands, types, strict=True)]
    with b.at(routine.name):
        computed = routine.emit(b, *operands, **letters)
    results = list(zip(routine.results, computed.results, strict=True))
    if pullback and computed.pull is not None:
        cotangents = [b.parameter(f"g{name}", v.type) for name, v in results]
        with b.at(routine.name, "vjp"):
            gradients = computed.pull(*cotangents)
        results += [(f"d{o.name}", v) for o, v in zip(routine.operands, gradients, strict=True)]
    return b.finish(results)
