"""Damaged Lean files: each is read or refused with a message, and soon.

    python scripts/fuzz_lean.py [--number N] [--seed S] [FILE.lean ...]

Changes bytes, words, lines and brackets of the given files (of the samples below, if none is given), reads the result
with everything that `netc show` does before it prints, and prints how many were read, how many refused, the slowest,
and the process's largest resident memory. Ends with 1, and prints the file, at an exception that is no message for the
user, at 2 s, and at 512 MB.
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.lean import file
from netc.netspec.lean.config import config_of
from netc.netspec.lean.listing import summaries
from netc.netspec.lean.meaning import read

SLOWEST = 2.0  # seconds of the processor that one file may take
LARGEST = 512  # MB resident, of the whole process
SAMPLES = (
    """import LeanMlir
/-! Residual nets. -/
open Layer
def stage (ic oc n : Nat) (stride : Nat := 2) : List Layer := [.residualBlock ic oc n stride]
/-- ResNet-34 -/
@[simp] private def resnet34 : NetSpec where
  name   := "ResNet-34"
  imageH := 224
  imageW := 224
  layers := [
    .convBn 3 64 7 2 .same,   -- stem
    .maxPool 2 2,
  ] ++ stage 64 64 3 1 ++ stage 64 128 4 ++ stage 128 256 6 ++ stage 256 512 3 ++ [
    .globalAvgPool,
    .dense 512 10 .identity
  ]
def wide : NetSpec := { resnet34 with name := s!"wide-{64 * 2}", imageH := 32, imageW := 32 }
theorem same : wide.imageH = 32 := by simp [wide]
""",
    """namespace Nets
structure Stage where
  c : Nat
  n : Nat := 2
def stages : List Stage := [⟨64, 3⟩, { c := 128 }]
def blocks (w : Nat) : Nat → List Layer
  | 0 => []
  | n+1 => .dense w w .relu :: blocks w n
def mlp (w : Nat := 64) : NetSpec where
  name := s!"mlp-{w}"
  imageH := 28
  imageW := 28
  channels := 1
  layers :=
    let hidden := (List.range 3).map fun i => if i % 2 == 0 then .dense w w .relu else .dense w w .gelu
    [.flatten, .dense 784 w .relu] ++ hidden ++ (stages.map fun s => blocks w s.n).flatten ++ [.dense w 10 .identity]
end Nets
open Nets in
def vit : NetSpec where
  name := "vit"; imageH := 32; imageW := 32
  layers := [.patchEmbed 3 64 4 64, .transformerEncoder 64 4 128 (match 2 with | 0 => 1 | n+1 => n) (rope := false),
    .dense 64 10 .identity]
def cfg : TrainConfig := { learningRate := 1 / 1000, batchSize := 32, epochs := 2 ^ 3, useAdam := true }
/- /- nested -/ -/
def main : IO Unit := do
  for i in [0:3] do IO.println s!"{i} {", ".intercalate ["a", "b"]}"
#eval main
""",
)
PIECES = (
    *"()[]{}⟨⟩\"'«».,;:|+-*/%^!?@#$_λ·\\\n\t\0", "/-", "-/", "--", 's!"', "{", "}", ":=", "=>", "|>.", "++", "::", "..",
    "def ", "where", "fun ", "match ", "with ", "let ", "if ", "then ", "else ", "namespace ", "end ", "theorem ",
    "99999999999999999999", "1e999", "0x", "-1", "0.5", "⟨⟨⟨", "((((((((", "[[[[[[", "日本", "\ufeff", "\u202e",
    "List.replicate 9999 ", "List.range 99999", " ^ 9999", ".dense ", "Nat", "NetSpec", "none", "x",
)  # fmt: skip


def mutated(source: str, draw: random.Random) -> str:
    """The text with one to six changes."""
    for _ in range(draw.randint(1, 6)):
        source = draw.choice(CHANGES)(source, draw)
    return source[: 1 << 16]


def _flip(source: str, draw: random.Random) -> str:
    """One bit of one byte; what is not valid UTF-8 then is put right."""
    raw = bytearray(source.encode("utf-8", "replace") or b"x")
    raw[draw.randrange(len(raw))] ^= 1 << draw.randrange(8)
    return raw.decode("utf-8", "replace")


def _insert(source: str, draw: random.Random) -> str:
    at = draw.randint(0, len(source))
    return source[:at] + draw.choice(PIECES) * draw.choice((1, 1, 1, 2, 50)) + source[at:]


def _cut(source: str, draw: random.Random) -> str:
    at, more = draw.randint(0, len(source)), draw.choice((1, 3, 30, 3000))
    return source[:at] + source[at + more :]


def _words(source: str, draw: random.Random) -> str:
    """A word is dropped, doubled, or changes places with another."""
    words = re.findall(r"\s+|\w+|.", source)
    if not words:
        return source
    i, j = draw.randrange(len(words)), draw.randrange(len(words))
    action = draw.randrange(3)
    if action == 0:
        del words[i]
    elif action == 1:
        words.insert(i, words[i])
    else:
        words[i], words[j] = words[j], words[i]
    return "".join(words)


def _lines(source: str, draw: random.Random) -> str:
    """A line is dropped, doubled, moved or indented otherwise."""
    lines = source.split("\n")
    i = draw.randrange(len(lines))
    line = lines.pop(i)
    action = draw.randrange(4)
    if action == 1:
        lines[i:i] = [line, line]
    elif action == 2:
        lines.insert(draw.randint(0, len(lines)), line)
    elif action == 3:
        lines.insert(i, " " * draw.randint(0, 6) + line.strip())
    return "\n".join(lines)


def _end(source: str, draw: random.Random) -> str:
    return source[: draw.randint(0, len(source))]


CHANGES: tuple[Callable[[str, random.Random], str], ...] = (_flip, _insert, _insert, _cut, _words, _words, _lines, _end)


def understood(source: str) -> int:
    """Read everything in the text; how many nets fit together. Raises only UserError."""
    found = file.from_text(source)
    whole = 0
    for spec in found.specs:
        try:
            check(spec.read(read).spec)
        except UserError:
            continue
        whole += 1
    if found.specs:
        summaries(found)
    for config in found.configs:
        try:
            config.read(config_of)
        except UserError:
            continue
    return whole


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--number", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sources: Sequence[str] = [f.read_text(encoding="utf-8") for f in options.files] or SAMPLES
    draw = random.Random(options.seed)
    slowest, refused, nets = 0.0, 0, 0
    for number in range(options.number):
        source = mutated(draw.choice(sources), draw)
        start = time.process_time()
        try:
            nets += understood(source)
        except UserError:
            refused += 1
        except Exception:  # noqa: BLE001 (what this script looks for)
            traceback.print_exc()
            sys.stdout.write(source)
            return 1
        took = time.process_time() - start
        if took > slowest:
            slowest = took
            print(f"{number:6}: {took:.3f} s", flush=True)
        resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        if took > SLOWEST or resident > LARGEST:
            sys.stdout.write(source)
            print(f"\n{took:.1f} s, {resident} MB")
            return 1
    print(
        f"{options.number} files: {refused} refused whole, {nets} nets read; the slowest took {slowest:.3f} s, and "
        f"{resident} MB were resident at most"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
