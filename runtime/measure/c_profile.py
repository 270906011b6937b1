"""Where the time of a call goes in emitted C: each loop nest, and each call of a function that computes.

The C is compiled once more with a mark behind each of them (codegen/c/source.py), which reads two clocks. A part counts
for the place of its last operation; the operations of other layers that are in its loops are named beside it.
"""

from __future__ import annotations

from dataclasses import replace
from statistics import median

import numpy as np

from netc.codegen.c.source import Marked, c_source
from netc.codegen.ops import OPS
from netc.runtime.backends.c import CLoaded
from netc.runtime.backends.protocol import Array, Source
from netc.runtime.measure.calls import Batch, timed_calls
from netc.runtime.measure.dispatches import Site, Timed
from netc.runtime.prepare import Prepared
from netc.runtime.trainer import Trainer

COUNTED = ("dot", "conv", "conv_input_grad", "conv_kernel_grad")
FEW = 3  # operations of a nest that are named


def profile_c(prepared: Prepared, batch: Batch, function: str, steps: int) -> tuple[float, float, tuple[Timed, ...]]:
    """Run calls on a batch without marks, and with them: the seconds of both, and each part's, slowest first."""
    module = prepared.source.module
    source = c_source(module, timed=True)
    plain, trainer = Trainer(prepared), Trainer(replace(prepared, source=Source(module, source.text)))
    loaded = trainer.session.loaded
    assert isinstance(loaded, CLoaded)
    clocks = [loaded.numbers(name, len(source.marked) + 1) for name in ("net_seconds", "net_processor")]
    rows: list[Array] = []
    without = median(timed_calls(plain, batch, function, steps))
    within = median(timed_calls(trainer, batch, function, steps, lambda: rows.append(np.stack(clocks))))
    seconds, core = np.median(np.diff(np.stack(rows), axis=0), axis=0)
    ran = (n for n in range(len(source.marked)) if seconds[n] > 0)
    found = [
        Timed(_site(source.marked[n], n), float(seconds[n]), float(core[n]), _flops(source.marked[n])) for n in ran
    ]
    return without, within, tuple(sorted(found, key=lambda t: -t.seconds))


def _site(part: Marked, number: int) -> Site:
    kinds = list(dict.fromkeys(op.kind for op in part.ops))
    more = f" + {len(kinds) - FEW} more" if len(kinds) > FEW else ""
    name = f"{' + '.join(kinds[:FEW])}{more} {part.ops[-1].result.type}"
    locs = dict.fromkeys(op.loc for op in part.ops if op.loc != part.loc)
    return Site(name, part.loc, number, tuple(locs))


def _flops(part: Marked) -> int | None:
    """Of products and convolutions, as for any other target."""
    return sum(OPS[op.kind].flops(op) for op in part.ops if op.kind in COUNTED) or None
