"""Nested boxes as a self-contained HTML page: each as wide as what it holds; no script, no outside resource."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; padding: 0 1rem; max-width: 100rem; color: #1d2329 }
.box { flex: 1 1 0; min-width: 0; overflow: hidden; border-left: 1px solid #fff; font-size: 12px; line-height: 1.6 }
.row { display: flex; border-top: 1px solid #fff }
.name { display: block; padding: 0 .3em; white-space: nowrap; overflow: hidden; text-overflow: ellipsis;
        background: #e6e9ed }
.box:hover > .name { outline: 2px solid #1d2329; outline-offset: -2px }
.t0 { background: #8fc1ee } .t1 { background: #f3b779 } .t2 { background: #a8d8a0 } .t3 { background: #d5c3ec }
.key span { padding: 0 .5em; margin-right: .5em }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1rem 0 }
th, td { text-align: right; padding: .15rem .7rem; border-bottom: 1px solid #e3e7eb }
th:first-child, td:first-child { text-align: left }
"""
TONES = 4


@dataclass(frozen=True)
class Slice:
    """One innermost box: the path of boxes around it, its label, its value, a tone of `tones`, what a pointer shows."""

    path: tuple[str, ...]
    label: str
    value: float
    tone: str
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table under the boxes."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass
class _Node:
    name: str
    value: float = 0.0
    parts: dict[str, _Node] = field(default_factory=dict)
    slices: list[Slice] = field(default_factory=list)


def flame(
    title: str,
    lines: Iterable[str],
    slices: Sequence[Slice],
    tones: Sequence[str],
    unit: str,
    tables: Sequence[Table] = (),
) -> str:
    """The page. `lines` stand under the title; a slice's width is its value's share; values are shown in `unit`.

    Raises ValueError for more tones than there are colours.
    """
    if len(tones) > TONES:
        raise ValueError(f"flame wants at most {TONES} tones, got {len(tones)}")
    root = _Node("all")
    for s in slices:
        node = root
        node.value += s.value
        for part in s.path:
            node = node.parts.setdefault(part, _Node(part))
            node.value += s.value
        node.slices.append(s)
    key = "".join(f'<span class="t{i}">{html.escape(tone)}</span>' for i, tone in enumerate(tones))
    return "\n".join(
        [
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>',
            f"<style>{STYLE}</style><h1>{html.escape(title)}</h1>",
            *(f"<p>{html.escape(line)}</p>" for line in lines),
            f'<p class="key">{key}</p>',
            f'<div class="row">{_box(root, root.value, root.value, tones, unit)}</div>',
            *map(_table, tables),
            "</html>\n",
        ]
    )


def _box(node: _Node, within: float, whole: float, tones: Sequence[str], unit: str) -> str:
    inner = [(p.value, _box(p, node.value, whole, tones, unit)) for p in node.parts.values()]
    inner += [(s.value, _leaf(s, node.value, whole, tones, unit)) for s in node.slices]
    boxes = "".join(text for value, text in sorted(inner, key=lambda pair: -pair[0]) if value > 0)
    row = f'<div class="row">{boxes}</div>' if boxes else ""
    return _drawn(node.name, node.value, within, whole, unit, "", "", row)


def _leaf(s: Slice, within: float, whole: float, tones: Sequence[str], unit: str) -> str:
    return _drawn(s.label, s.value, within, whole, unit, f" t{tones.index(s.tone)}", s.note, "")


def _drawn(label: str, value: float, within: float, whole: float, unit: str, tone: str, note: str, inner: str) -> str:
    share = 100 * value / whole if whole else 0.0
    width = 1000 * value / within if within else 0.0  # of the box around it; growth factors below 1 would not fill it
    shown = f"{label}: {value:.3g} {unit}, {share:.1f} %" + (f"\n{note}" if note else "")
    return (
        f'<div class="box" style="flex-grow:{width:.6g}" title="{html.escape(shown)}">'
        f'<span class="name{tone}">{html.escape(label)}</span>{inner}</div>'
    )


def _table(table: Table) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "\n".join(row(cells, "td") for cells in table.rows)
    return f"<h2>{html.escape(table.title)}</h2><table>{row(table.heads, 'th')}\n{body}</table>"
