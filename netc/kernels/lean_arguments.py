"""What a kernel takes, in Lean's syntax: `kernelArgs NAME(N: Nat) global[x: Array Float] shared[tile: Array Float]`."""

from __future__ import annotations

from dataclasses import dataclass

from netc.kernels.ir import Array, Const, Scalar
from netc.kernels.lean_terms import Scope, Terms, type_of
from netc.kernels.maker import Wrong
from netc.kernels.names import checked
from netc.netspec.lean.parse import Parser
from netc.netspec.lean.source import Misread
from netc.netspec.lean.stream import plain, shown
from netc.netspec.lean.tokens import Kind, Token

MOST_ARGUMENTS = 64


@dataclass(frozen=True)
class Arguments:
    """What `kernelArgs` declares."""

    scalars: tuple[Scalar, ...]
    arrays: tuple[Array, ...]


class Declarations(Parser):
    """Reads what stands behind `kernelArgs NAME`. Every method raises Misread."""

    def arguments(self) -> Arguments:
        """`(N: Nat, alpha: Float) global[x y: Array Float] shared[tile: Vector Float 256]`."""
        scalars: list[Scalar] = []
        arrays: list[Array] = []
        if self.token.text == "(":
            opened = self.take()
            while self.token.text != ")" and not self.ended:
                names = self._names()
                at = self.token
                words = self.type_until(",", ":=")
                scalars += (Scalar(self._checked(n), type_of(words, at)) for n in names)
                if not self.accept(","):
                    break
            self.close(opened, " or a comma")
        while self.token.text in ("global", "shared"):
            shared = self.take().text == "shared"
            opened = self.token
            self.expect("[", "after global or shared")
            while self.token.text != "]" and not self.ended:
                arrays += self._arrays(shared)
                if not self.accept(","):
                    break
            self.close(opened, " or a comma")
        if not self.ended:
            raise Misread(self.token.span, f"wants (..), global[..] or shared[..], got {shown(self.token)}")
        return self._once(Arguments(tuple(scalars), tuple(arrays)))

    def _once(self, found: Arguments) -> Arguments:  # type: ignore[override]
        names = [*(s.name for s in found.scalars), *(a.name for a in found.arrays)]
        twice = next((n for i, n in enumerate(names) if n in names[:i]), "")
        if twice or len(names) > MOST_ARGUMENTS:
            what = (
                f"the argument {twice} is declared twice; rename one" if twice else f"wants {MOST_ARGUMENTS} arguments"
            )
            raise Misread(self.tokens[0].span, what)
        return found

    def _names(self) -> list[Token]:
        names = [self.name("an argument's name")]
        while self.token.kind is Kind.NAME:
            names.append(self.take())
        self.expect(":", "and the argument's type")
        return names

    def _checked(self, token: Token) -> str:
        try:
            return checked(plain(token), "an argument")
        except Wrong as error:
            raise Misread(token.span, str(error)) from None

    def _arrays(self, shared: bool) -> list[Array]:
        names = self._names()
        at = self.token
        kind = self.name("Array or Vector").text
        sized = kind == "Vector" and shared
        if kind != "Array" and not sized:
            raise Misread(at.span, f"wants Array TYPE{' or Vector TYPE SIZE' if shared else ''}, got {kind}")
        element = type_of((self.take().text,), self.tokens[self.index - 1])
        if element == "bool":
            raise Misread(at.span, "wants an array of numbers, got Bool; UInt8 holds 0 and 1")
        size = self._size() if sized else 0
        return [Array(self._checked(n), element, shared, size) for n in names]

    def _size(self) -> int:
        at = self.token
        value = Terms(Scope({}), str).expr(self.atom())
        if not isinstance(value, Const) or value.type != "i32" or not 0 < value.value < 2**20:
            raise Misread(at.span, "a Vector's size wants a number of 1 or more, such as 256 or (16 * 16)")
        return int(value.value)
