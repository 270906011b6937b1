"""Metrics as people read them: a table of the numbers, then a table for each that has one for every class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netc.cli.views.table import Cell, Column, print_line, print_table

MOST_CLASSES = 32  # of a confusion matrix that is printed whole


def show_metrics(metrics: Mapping[str, Any]) -> None:
    """Print them on standard output."""
    numbers = [(word, *line) for word, result in metrics.items() for line in _numbers(word, result)]
    if numbers:
        print_line("")
        print_table([Column("metric", style="cyan"), Column("", style="dim"), Column("value", right=True)], numbers)
    for word, result in metrics.items():
        if word in TABLES and result:
            print_line("")
            print_line(word, "bold")
            TABLES[word](result)


def _numbers(word: str, result: Any) -> list[tuple[str, Cell]]:
    """The lines of a metric in the table of numbers: what they are, and their values."""
    if word in TABLES:
        return []
    if not isinstance(result, Mapping):
        return [("", shown(result))]
    named = {name: value for name, value in result.items() if not isinstance(value, list)}
    lines = [("" if name in (word, "mean") else name.replace("_", " "), shown(value)) for name, value in named.items()]
    each = result.get("classes", [])
    return lines + ([(row["class"], shown(row["value"])) for row in each] if len(each) > 1 else [])


def shown(value: float | None) -> str:
    """A number of a metric: four decimals, or as many digits where it is large; a dash for what is not defined."""
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}" if abs(value) < 1e4 else f"{value:.6g}"


def _per_class(result: Any) -> None:
    columns = [Column("class", fit="cut", style="cyan")]
    columns += [Column(name, right=True) for name in ("precision", "recall", "f1", "support")]
    rows = [(r["class"], *(shown(r[n]) for n in ("precision", "recall", "f1")), f"{r['support']:,}") for r in
            result["classes"]]  # fmt: skip
    rows += [(f"({mean})", *map(shown, result[mean].values()), "") for mean in ("macro", "weighted")]
    print_table(columns, rows)


def _confusion(result: Any) -> None:
    names: Sequence[str] = result["classes"]
    if len(names) > MOST_CLASSES:
        print_line(f"{len(names)} classes are too many for a terminal; --json and netc report have them all")
        return
    columns = [Column("true \\ predicted", fit="cut", style="cyan"), *(Column(name, right=True) for name in names)]
    matrix = result["true_by_predicted"]
    print_table(columns, [(n, *(f"{c:,}" for c in row)) for n, row in zip(names, matrix, strict=True)])


def _by_position(result: Any) -> None:
    rows = [(_range(r["first"], r["last"]), shown(r["perplexity"])) for r in result["ranges"]]
    print_table([Column("position", right=True, style="cyan"), Column("perplexity", right=True)], rows)


def _range(first: int, last: int) -> str:
    return f"{first:,}" if first == last else f"{first:,} to {last:,}"


TABLES = {"per-class": _per_class, "confusion": _confusion, "by-position": _by_position}
