"""Draw docs/architecture.svg from the code: the rooms, the imports between them, and the types that pass along.

    python scripts/make_architecture.py [--check]

An arrow is an import that tests/test_rooms.py allows; it is dashed where no file uses it. The types and the functions
that make them are looked up in their files: one that is not there stops the script.
"""

from __future__ import annotations

import argparse
import ast
import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "architecture.svg"
sys.path.insert(0, str(ROOT))

from tests.test_rooms import SOURCES, TABLE, imports, ours, room_of, tree_of  # noqa: E402

# room -> centre of its box, colour, the question that it answers
ROOMS: dict[str, tuple[int, int, str, str]] = {
    "netc": (460, 50, "#e5e7eb", "the front door"),
    "proofs_oracle": (180, 155, "#fde68a", "WHETHER it is right"),
    "proofs": (110, 300, "#fef3c7", "for all sizes"),
    "runtime": (700, 235, "#bfdbfe", "WHERE it runs"),
    "codegen": (420, 340, "#bbf7d0", "HOW it is computed"),
    "traces": (880, 360, "#ddd6fe", "WHAT happened"),
    "netspec": (200, 455, "#fecaca", "WHAT is trained"),
}
WIDE, HIGH = 190, 50
# arrow -> its two ends and the point that bends it, where a straight one would cross a box
BENT = {
    ("runtime", "netspec"): ((720, 260), (690, 470), (295, 460)),
    ("netc", "traces"): ((555, 45), (905, 50), (895, 335)),
}
# (type, what it is, its file, what makes it of the one before, the file of that)
Flow = tuple[tuple[str, str, str, str, str], ...]
FLOW: Flow = (
    ("NetSpec", "layers as values", "netspec/spec.py", "", ""),
    ("CheckedNet", "every shape is known", "netspec/check.py", "check", "netspec/check.py"),
    ("Program", "init, step, eval, predict", "codegen/program.py", "build", "codegen/program.py"),
    ("Module", "typed operations", "codegen/ir.py", "lower", "codegen/rewrite/lower.py"),
    ("text", "what is compiled", "", "text_of", "codegen/text.py"),
    ("Prepared", "the artefact, by digest", "runtime/prepare.py", "prepare", "runtime/prepare.py"),
    ("Session", "state on the device", "runtime/session.py", "Session", "runtime/session.py"),
    ("StepRecord", "a line of the trace", "traces/schema.py", "train", "runtime/train.py"),
    ("Report", "do two runs agree?", "traces/diff.py", "diff", "traces/diff.py"),
)
ASKED: Flow = (
    ("words", "keywords or flags", "", "", "netc/requests.py"),
    ("TrainRequest", "one typed request", "netc/train_request.py", "request_training", "netc/requests.py"),
    ("Plan", "config, data, start", "netc/requests.py", "planned", "netc/requests.py"),
    ("Outcome", "what the loop did", "runtime/run/outcome.py", "run_plan", "netc/training.py"),
    ("Run", "a folder, with a trace", "netc/runs.py", "train", "netc/training.py"),
)


def used() -> set[tuple[str, str]]:
    """Each room with another that one of its files imports."""
    found = {(room_of(path), ours(name)) for path in SOURCES for name in imports(tree_of(path))}
    return {(room, other) for room, other in found if other and other != room}


def look_up(name: str, file: str) -> None:
    """Stop if a file does not define a class or function."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    if name not in {n.name for n in tree.body if isinstance(n, ast.ClassDef | ast.FunctionDef)}:
        sys.exit(f"{file} wants a definition of {name}, got none; say in scripts/make_architecture.py where it went")


def _text(x: float, y: float, words: str, size: int = 13, style: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="middle"{style}>{escape(words)}</text>'


def _box(x: float, y: float, wide: int, colour: str, first: str, second: str) -> list[str]:
    return [
        f'<rect x="{x - wide / 2:g}" y="{y - HIGH / 2:g}" width="{wide}" height="{HIGH}" rx="7" fill="{colour}" '
        'stroke="#374151"/>',
        _text(x, y - 3, first, 15, ' font-weight="bold"'),
        _text(x, y + 16, second, 12),
    ]


def _edge(room: str, other: str) -> tuple[tuple[float, float], tuple[float, float], tuple[float, float]]:
    """Start, bend and end of an arrow between two boxes."""
    if (room, other) in BENT:
        return BENT[room, other]
    (x, y, *_), (u, v, *_) = ROOMS[room], ROOMS[other]
    share = min(WIDE / 2 / max(abs(u - x), 1), HIGH / 2 / max(abs(v - y), 1))  # where the line leaves a box
    start, end = (x + share * (u - x), y + share * (v - y)), (u - share * (u - x), v - share * (v - y))
    return start, ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2), end


def _arrows() -> list[str]:
    real, lines = used(), []
    for room, (others, _) in TABLE.items():
        for other in sorted(others):
            start, bend, end = _edge(room, other)
            path = f"M{start[0]:.0f} {start[1]:.0f} Q{bend[0]:.0f} {bend[1]:.0f} {end[0]:.0f} {end[1]:.0f}"
            dashes = "" if (room, other) in real else ' stroke-dasharray="4 4"'
            lines.append(
                f'<path d="{path}" fill="none" stroke="#6b7280" stroke-width="1.4"{dashes} marker-end="url(#tip)"/>'
            )
    return lines


def _flow(top: int, heading: str, flow: Flow) -> list[str]:
    lines = [_text(500, top, heading, 15, ' font-weight="bold"')]
    wide, step, row = 150, 200, 5
    for index, (name, about, file, maker, made_in) in enumerate(flow):
        if file:
            look_up(name, file)
        if maker:
            look_up(maker, made_in)
        x, y = 100 + step * (index % row), top + 50 + 100 * (index // row)
        room = (file or made_in).split("/", maxsplit=1)[0]
        lines += _box(x, y, wide, ROOMS[room][2], name, about)
        if index % row:
            lines += [
                f'<path d="M{x - step + wide // 2} {y} H{x - wide // 2}" stroke="#374151" marker-end="url(#tip)"/>',
                _text(x - step / 2, y - 31, maker, 12, ' font-style="italic"'),
            ]
        elif index:  # the next row begins
            lines += [
                f'<path d="M900 {y - 100 + HIGH // 2} V{y - 50} H{x} V{y - HIGH // 2}" fill="none" stroke="#374151" '
                'marker-end="url(#tip)"/>',
                _text(500, y - 54, maker, 12, ' font-style="italic"'),
            ]
    return lines


def drawn() -> str:
    """The picture."""
    if ROOMS.keys() != TABLE.keys():
        sys.exit(f"the picture wants the rooms {sorted(TABLE)}, got {sorted(ROOMS)}; give the new room a place")
    boxes = [line for room, (x, y, colour, about) in ROOMS.items() for line in _box(x, y, WIDE, colour, room, about)]
    return "\n".join([
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 860" font-family="sans-serif">',
        "<title>The rooms of netc, who may import whom, and the types that pass along</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="#374151"/></marker></defs>',
        '<rect width="1000" height="860" rx="8" fill="white"/>',
        *_arrows(), *boxes,
        *_flow(535, "What passes along, and the function that makes it", FLOW),
        *_flow(765, "How a training is asked for", ASKED),
        "</svg>", "",
    ])  # fmt: skip


def main() -> None:
    """Write the picture, or say that it is stale."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only compare")
    if parser.parse_args().check:
        if drawn() != PICTURE.read_text(encoding="utf-8"):
            sys.exit(f"{PICTURE} is stale; run python scripts/make_architecture.py")
    else:
        PICTURE.write_text(drawn(), encoding="utf-8")


if __name__ == "__main__":
    main()
