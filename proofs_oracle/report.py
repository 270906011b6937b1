"""The results as one self-contained HTML page."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from netc.proofs_oracle.result import Result, summary

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #1d2329 }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: .2rem .6rem; border-bottom: 1px solid #e3e7eb }
th:first-child, td:first-child, td.word { text-align: left }
tr.bad { background: #fde8e6 } details { margin: .4rem 0 } summary { cursor: pointer }
.bar { display: inline-block; height: .6em; background: #4c8bd6; border-radius: 2px }
"""
FLOOR, CEILING = 1e-17, 1e-5  # ends of the bar's logarithmic scale


def _row(cells: Sequence[str], tag: str = "td", *, bad: bool = False) -> str:
    mark = ' class="bad"' if bad else ""
    return f"<tr{mark}>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"


def _bar(error: float) -> str:
    """Longer is worse; full at the ceiling."""
    span = math.log10(CEILING) - math.log10(FLOOR)
    share = (math.log10(min(max(error, FLOOR), CEILING)) - math.log10(FLOOR)) / span
    return f'<span class="bar" style="width:{share * 8:.2f}em"></span>'


def _error(error: float) -> str:
    return f"{error:.1e}" if math.isfinite(error) else "infinite"


def page(results: Sequence[Result], title: str) -> str:
    """The page: one line for each kind, and its cases when it is opened."""
    kinds: dict[str, list[Result]] = {}
    for result in results:
        kinds.setdefault(result.kind, []).append(result)
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>',
        f"<style>{STYLE}</style><h1>{html.escape(title)}</h1><p>{html.escape(summary(results))}</p>",
        "<table>",
        _row(("kind", "cases", "tensors", "worst error", "", "worst difference"), "th"),
    ]
    for kind, own in kinds.items():
        worst = max(result.jax_error for result in own)
        differences = [c.difference_error for c in own if c.difference_error is not None]
        shown = _error(max(differences)) if differences else "-"
        counts = (str(len(own)), str(sum(c.tensors for c in own)))
        bad = not all(c.passed for c in own)
        parts.append(_row((html.escape(kind), *counts, _error(worst), _bar(worst), shown), bad=bad))
    parts.append("</table><h2>Cases</h2>")
    for kind, own in kinds.items():
        opened = "" if all(c.passed for c in own) else " open"
        parts.append(f"<details{opened}><summary>{html.escape(kind)}</summary><table>")
        parts.append(_row(("case", "tensors", "worst error", "in", "difference", "seconds", "verdict"), "th"))
        for c in own:
            cells = (c.case, str(c.tensors), _error(c.jax_error), c.worst, c.difference(), f"{c.seconds:.2f}")
            verdict = c.verdict() or "agrees"
            parts.append(_row([html.escape(cell) for cell in (*cells, verdict)], bad=not c.passed))
        parts.append("</table></details>")
    return "\n".join(parts) + "</html>\n"
