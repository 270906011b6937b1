"""What Lean itself needs to check a spec that netc wrote: the types and constructors that its text speaks of.

The Lean that netc can get has no library, and so no lists, no strings and no numerals until somebody defines them; the
file begins with those. Of the constructors it has those that the text uses, each with the arguments that netc's tables
give it. Lean has the notation of lists from its library too, so a list is written out in its constructors, which is
what the notation means. Nothing else of the text is changed.
"""

from __future__ import annotations

import re
import types
import typing
from typing import Any, get_args, get_origin

from netc.netspec.layer import Layer
from netc.netspec.layers import VOCABULARY
from netc.netspec.lean.arguments import ACTIVATION_WORDS, NORM_WORDS, PADDING_WORDS
from netc.netspec.lean.constructors import TABLE
from netc.netspec.lean.kinds import hints_of, required_of

PRELUDE = """prelude
set_option autoImplicit false
set_option genCtorIdx false
set_option genInjectivity false
set_option linter.all false
universe u v
-- names that Lean's code generator asks for
unsafe axiom lcAny : Type
unsafe axiom lcErased : Type
unsafe axiom lcVoid : Type

-- What Lean's own library begins with: numerals, strings, arguments with a default, values taken as of another type

def id {α : Sort u} (a : α) : α := a

@[reducible] def optParam (α : Sort u) (default : α) : Sort u := α

@[reducible] def outParam (α : Sort u) : Sort u := α

inductive Nat where
  | zero : Nat
  | succ (n : Nat) : Nat

inductive Bool where
  | false : Bool
  | true : Bool

export Bool (false true)

structure String where
  mk :: (length : Nat)

class OfNat (α : Type u) (_ : Nat) where
  ofNat : α

class OfScientific (α : Type u) where
  ofScientific (mantissa : Nat) (exponentSign : Bool) (decimalExponent : Nat) : α

class CoeT (α : Sort u) (_ : α) (β : Sort v) where
  coe : β

attribute [coe_decl] CoeT.coe

class CoeFun (α : Sort u) (β : outParam (α → Sort v)) where
  coe : (x : α) → β x

instance instOfNatNat (n : Nat) : OfNat Nat n where
  ofNat := n

-- The values of options

/-- A number with or without a fraction. -/
inductive Number where
  | whole (n : Nat)
  | scientific (mantissa : Nat) (small : Bool) (exponent : Nat)
  | minus (x : Number)

/-- An option of several types: none, a number, a word, a truth value or a list. -/
inductive Value where
  | none
  | number (x : Number)
  | word (s : String)
  | truth (b : Bool)
  | nil
  | cons (head tail : Value)

instance (n : Nat) : OfNat Number n where
  ofNat := Number.whole n

instance : OfScientific Number where
  ofScientific := Number.scientific

instance (n : Nat) : OfNat Value n where
  ofNat := Value.number (Number.whole n)

instance : OfScientific Value where
  ofScientific m s e := Value.number (Number.scientific m s e)

instance (s : String) : CoeT String s Value where
  coe := Value.word s

instance (b : Bool) : CoeT Bool b Value where
  coe := Value.truth b

instance (x : Number) : CoeT Number x Value where
  coe := Value.number x

class Absent (α : Type u) where
  none : α

export Absent (none)

instance : Absent Value where
  none := Value.none

-- Nets

/-- What comes after it is given by name alone. -/
inductive Named where
  | only

inductive Layer where
  | made
  | absent

inductive Layers where
  | nil
  | cons (head : Layer) (tail : Layers)

instance : Absent Layer where
  none := Layer.absent

structure NetSpec where
  name : String
  imageH : Nat := 28
  imageW : Nat := 28
  input : Value := Value.nil
  inputDtype : String := "f32"
  source : String := ""
  layers : Layers
"""
WORDS = {"activation": ACTIVATION_WORDS, "padding": PADDING_WORDS, "norm": NORM_WORDS}
ENUMERATIONS = {name: name.capitalize() for name in WORDS}
POSITIONAL = {"size": "Nat", "nat": "Nat", "bool": "Bool", "sizes": "Value", **ENUMERATIONS}
DEFAULTS = {
    "Nat": "0", "Bool": "false", "Value": "Value.none", "Number": "0", "String": '""', "Layer": "Layer.absent",
    "Layers": "Layers.nil", **{kind: f"{kind}.{next(iter(WORDS[name]))}" for name, kind in ENUMERATIONS.items()},
}  # fmt: skip
STRING = re.compile(r'"(?:\\.|[^"\\])*"')
COMMENT = re.compile(r"/-(?:.|\n)*?-/")


def checkable(text: str) -> str:
    """The file that Lean checks for a text of `to_lean`."""
    comment = COMMENT.match(text)
    body = text[comment.end() :] if comment else text
    plain = STRING.sub('""', body)
    heads: dict[str, bool] = {}  # whether every use has arguments in order
    for head, follows in re.findall(r"(?<![\w.])\.(\w+)\s*(\S?)", plain):
        heads[head] = heads.get(head, True) and bool(re.match(r"[\w.\[]", follows))
    made = [_constructor(head, in_order) for head, in_order in heads.items() if head in TABLE or head in VOCABULARY]
    enumerations = [f"inductive {ENUMERATIONS[n]} where\n  | {' | '.join(WORDS[n])}\n" for n in WORDS]
    return "\n".join((PRELUDE, *enumerations, *made, "\nnoncomputable section", _written_out(body), "end\n"))


def _constructor(head: str, in_order: bool) -> str:
    """A constructor as a function: the original's arguments in order, then netc's options by name.

    Where a text has the head without arguments, as a kind of netc's own, all may be left out.
    """
    row, cls = TABLE.get(head), VOCABULARY.get(head)
    own = {} if cls is None else hints_of(cls)
    if row is not None and cls is None:  # the first layer that it makes takes further options
        own = hints_of(VOCABULARY[row.kind]) if row.kind in VOCABULARY else {"name": str}
    must = () if cls is None or row is not None else required_of(cls)
    arguments = (
        [_argument(p.name, POSITIONAL[p.type], in_order and not p.optional) for p in row.parameters] if row else []
    )
    arguments.append(" (_named : Named := Named.only)")
    taken = {p.name for p in row.parameters} if row else set()
    arguments += [_argument(name, _type(hint), name in must) for name, hint in own.items() if name not in taken]
    return f"def Layer.{head}" + "".join(arguments) + " : Layer := Layer.made"


def _argument(name: str, kind: str, must: bool) -> str:
    return f" ({name} : {kind})" if must else f" ({name} : {kind} := {DEFAULTS[kind]})"


def _type(hint: Any) -> str:
    """The Lean type of an option."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, typing.Union):
        kinds = {_type(a) for a in arguments if a is not type(None)}
        return "Layer" if kinds == {"Layer"} else "Value"
    if origin is tuple:
        return "Layers" if _type(arguments[0]) == "Layer" else "Value"
    if origin is typing.Literal or hint is str:
        return "String"
    if isinstance(hint, type) and issubclass(hint, Layer):
        return "Layer"
    return {bool: "Bool", int: "Number", float: "Number"}.get(hint, "Value")


def _written_out(text: str) -> str:
    """Lists in their constructors, and `(-x)` as what it means."""
    out, counts, place = [], [], 0
    for found in re.finditer(rf"{STRING.pattern}|\[\s*\]|[][,]|\(-", text):
        mark = found.group()
        out.append(text[place : found.start()])
        place = found.end()
        if mark[0] == "[" and mark[-1] == "]":
            mark = ".nil"
        elif mark == "[":
            counts.append(1)
            mark = "(.cons ("
        elif mark == "]":
            mark = ") .nil" + ")" * counts.pop()
        elif mark == ",":
            counts[-1] += 1
            mark = ") (.cons ("
        elif mark == "(-":
            mark = "(.minus "
        out.append(mark)
    return "".join((*out, text[place:]))
