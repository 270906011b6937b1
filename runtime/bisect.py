"""Which operation of a train step goes wrong: two programs, or two backends, asked for every value in between.

Both are given one state and one batch. The values of the step as the rules emitted it, before a schedule replaced
anything, are the points of comparison: they exist for every family of targets. A copy of the step that returns some
of them is lowered and run on either backend, and by the evaluator in float64 and in float32. How far the float32 runs
are from float64 is the noise floor of that value; the first value that is further from float64 than `FACTOR` floors on
one side names the operation. First the values that pass from one place (`loc`) to another are asked for, then all of
the place that was found.

Does not find a fault that the extra results themselves make go away: a compiler fuses such a step in other ways.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import batched as in_pieces  # type: ignore[attr-defined]
from typing import Any

import numpy as np

from netc.codegen.evaluator import FloatArithmetic, evaluate
from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.rewrite.lower import lower
from netc.codegen.rewrite.schedule import Family
from netc.runtime.backends import load
from netc.runtime.backends.protocol import Array, Source
from netc.runtime.cache import Cache
from netc.runtime.compile import compile_cached
from netc.runtime.noise import InTurn
from netc.runtime.target import Target

FUNCTION = "train_step"
FACTOR = 8.0  # floors; as traces/diff.py allows another compiler
SMALLEST = 2.0**-21  # no floor is below it: a few float32 numbers, what libraries of exp and tanh differ by
FEWEST = 8.0  # truth values or integers that may differ: elements that lie on an edge
PIECE = 24  # values asked for at once: IREE's CPU backend refuses dispatches of more than 64 operands
DULL = frozenset({"constant", "iota"})
