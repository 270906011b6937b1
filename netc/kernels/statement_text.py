"""Statements of a kernel in a language of C's family: what C and its dialects for GPUs write alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

from netc.kernels.ir import Expr, If, Stmt


class Statements:
    """Statements one after the other, each by the function that `table` has for its kind; `say` writes expressions."""

    table: ClassVar[Mapping[type[Stmt], Callable[[Any, Any, str], Iterator[str]]]]
    say: Callable[[Expr], str]

    def _body(self, body: tuple[Stmt, ...], indent: str) -> Iterator[str]:
        for s in body:
            yield from self.table[type(s)](self, s, indent)

    def _if(self, s: If, indent: str) -> Iterator[str]:
        yield f"{indent}if ({self.say(s.condition)}) {{"
        yield from self._body(s.then, indent + "    ")
        if s.otherwise:
            yield f"{indent}}} else {{"
            yield from self._body(s.otherwise, indent + "    ")
        yield f"{indent}}}"
