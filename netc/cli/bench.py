"""`netc bench`: the time of a training step, alone or beside JAX and PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from netc.cli.options import (
    json_option,
    net_argument,
    net_options,
    print_json,
    resolve_net,
    tuned_choices,
    tuned_option,
)

if TYPE_CHECKING:
    from netc.runtime.measure.bench import Timing


@click.command()
@net_argument
@net_options
@click.option(
    "--target", default="cpu", show_default=True, metavar="T,..", help="One or more targets, such as cpu,xla."
)
@click.option("--batch", type=click.IntRange(min=1), default=32, show_default=True, help="Batch size.")
@click.option("--rounds", type=click.IntRange(min=1), default=30, show_default=True, help="Number of rounds.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0),
    default=60,
    show_default=True,
    help="Start no new round after this many seconds.",
)
@click.option("--against", default="", metavar="P,..", help="Peers to compare with: jax, torch, torch.compile.")
@tuned_option
@json_option
def bench(
    *,
    net: str,
    classes: int | None,
    input_: str | None,
    target: str,
    batch: int,
    rounds: int,
    seconds: float,
    against: str,
    tuned: bool,
    as_json: bool,
    **sizes: int | None,
) -> None:
    """Benchmark a training step of NET: forward, loss, backward and Adam in float32, on a random batch on the device.

    Contestants run in separate processes and take turns; a peer that fails shows as a dash with its reason. GFLOP/s
    counts only what the mathematics needs; its percentage is of this machine's matrix-multiply throughput (see `netc
    cost`). Peers start from the same parameters, and their first loss must match netc's.
    """
    from netc.cli.views.waiting import waiting, watched_cache
    from netc.netspec.errors import UserError
    from netc.runtime.backends import check_device
    from netc.runtime.measure.bench import Job, flops_of, ours, unbroken
    from netc.runtime.measure.ceilings import ceilings, cores
    from netc.runtime.measure.race import race
    from netc.runtime.target import parse_target

    targets = [parse_target(word) for word in target.split(",")]
    if len({t.word for t in targets}) < len(targets):
        raise UserError(f"--target wants each target once, got {target}; leave one out")
    checked = resolve_net(net, classes, input_, sizes)
    for where in targets:
        check_device(where)
    peers: tuple[Any, ...] = ()
    if against:
        _require_peers(against)
        from netc.proofs_oracle.peers.contestants import contestants

        peers = contestants(tuple(dict.fromkeys(against.split(","))), checked)
    job = Job(checked, batch, cores())
    flops = flops_of(job)
    compiled = [where for where in targets if where.compiled]
    peak = max((ceilings(where, watched_cache()).flops for where in compiled), default=None)
    own = [ours(where.word, tuned_choices(where.word, tuned=tuned)) for where in targets]
    with waiting("") as tell:
        timings = race(job, [*own, *peers], rounds, seconds, tell)
    unbroken(timings[: len(own)])
    best = min((t.fair for t in timings[len(own) :] if not t.failed), default=None)
    found = {
        "net": checked.spec.name, "batch": batch, "threads": job.threads, "rounds": len(timings[0].times),
        "flops": flops, "gemm_flops_per_s": peak,
        "rows": [facts(t, batch, flops, peak, best) for t in timings],
    }  # fmt: skip
    if as_json:
        print_json(found)
    else:
        _show(found)


def _require_peers(against: str) -> None:
    """Raise UserError where a library is missing; all that are, by the one extra that has them."""
    from importlib.util import find_spec

    from netc.netspec.errors import UserError
    from netc.netspec.install import install_extra

    missing = [name for name in ("jax", "torch") if find_spec(name) is None and (name == "jax" or name in against)]
    if missing:
        said = f"`against={against}` wants {' and '.join(missing)}, got no module of that name"
        raise UserError(f"{said}; {install_extra('bench' if 'torch' in missing else 'oracle')}")


def facts(t: Timing, batch: int, flops: int, peak: float | None, best: float | None) -> dict[str, Any]:
    """One contestant's row, as JSON has it; `to_best_peer` is None without peers, `gemm_share` without a ceiling.

    A peer that failed has its reason in `failed`, and no figures.
    """
    if t.failed:
        return {"name": t.name, "failed": str(t.failed)}
    return {
        "name": t.name, "median_ms": t.median * 1e3, "fastest_ms": t.fastest * 1e3, "steps_per_s": 1 / t.median,
        "examples_per_s": batch / t.median, "gflops": flops / t.median / 1e9,
        "gemm_share": None if peak is None else flops / t.median / peak,
        "to_best_peer": None if best is None else t.fair / best,
        "resident_mb": t.resident, "first_loss": t.losses[0],
    }  # fmt: skip


# the key of a row, its heading, how it is written; left out where it is None
COLUMNS = (
    ("median_ms", "median ms", ".2f"),
    ("fastest_ms", "fastest ms", ".2f"),
    ("steps_per_s", "steps/s", ".1f"),
    ("examples_per_s", "examples/s", ".0f"),
    ("gflops", "GFLOP/s", ".1f"),
    ("gemm_share", "of matmul peak", ".0%"),
    ("to_best_peer", "/ best peer", ".2f"),
    ("resident_mb", "resident MB", ".0f"),
)


def _show(found: dict[str, Any]) -> None:
    from netc.cli.views.table import Column, print_line, print_table

    peak, rows = found["gemm_flops_per_s"], found["rows"]
    title = "{net}, batch {batch}, {threads} threads, {rounds} rounds".format_map(found)
    print_line(title, "bold")
    said = f"one step is {found['flops'] / 1e9:.3f} GFLOP of mathematics"
    print_line(said + (f"; a matrix multiply reaches {peak / 1e9:.0f} GFLOP/s here" if peak else ""), "dim")
    print_line("")
    shown = [column for column in COLUMNS if rows[0][column[0]] is not None]
    columns = [Column(""), *(Column(head, right=True) for _, head, _ in shown)]
    print_table(
        columns,
        [
            (row["name"], *("-" if "failed" in row else format(row[key], form) for key, _, form in shown))
            for row in rows
        ],
    )
    for row in rows:
        if "failed" in row:
            print_line(row["failed"], "yellow")
