"""`netc kernel`: kernels of one's own, simulated, compiled and written in other languages."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netc.cli.console import say, write
from netc.cli.options import json_option, print_json
from netc.cli.out_path import OUT_FILE, OUT_FOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netc.kernels.ir import Kernel
    from netc.kernels.run import Done

SHOWN = 6  # elements of a result that a person is shown


@click.group()
def kernel() -> None:
    """Run kernels of your own, written in cLean's Lean syntax or in Python.

    KERNEL is FILE.lean:NAME or FILE.py:NAME; the name may be left out where the file has one kernel.
    """


@kernel.command("ls")
@click.argument("kernel_", metavar="FILE", type=click.Path(path_type=Path))
@json_option
def ls(kernel_: Path, as_json: bool) -> None:
    """List the kernels of FILE and their arguments."""
    from netc.kernels.find import kernels_in

    found = kernels_in(kernel_)
    if as_json:
        print_json([_about(k) for k in found])
        return
    for k in found:
        say(f"{k.name}  {_signature(k)}")
        if k.doc:
            say(f"    {k.doc.splitlines()[0]}")


def _about(k: Kernel) -> dict[str, Any]:
    from netc.kernels.ir import SPOKEN

    return {
        "name": k.name,
        "line": k.line,
        "doc": k.doc,
        "scalars": {s.name: SPOKEN[s.type] for s in k.scalars},
        "arrays": {a.name: SPOKEN[a.type] for a in k.globals},
        "shared": {a.name: {"type": SPOKEN[a.type], "size": a.size or None} for a in k.shared},
        "writes": list(k.written),
    }


def _signature(k: Kernel) -> str:
    from netc.kernels.ir import SPOKEN

    scalars = [f"{s.name}: {SPOKEN[s.type]}" for s in k.scalars]
    arrays = [f"{a.name}: {SPOKEN[a.type]}[]" for a in k.globals]
    shared = [f"shared {a.name}: {SPOKEN[a.type]}[{a.size or 'threads'}]" for a in k.shared]
    return ", ".join((*scalars, *arrays, *shared))


def _dims(text: str, flag: str) -> tuple[int, ...]:
    from netc.netspec.errors import UserError

    words = text.replace("x", ",").split(",")
    if not all(w.strip().isdecimal() and len(w) < 12 for w in words):
        raise UserError(f"--{flag} wants one to three sizes, got {text[:40]!r}; write 4 or 4,2")
    return tuple(int(w) for w in words)


def _sizes(words: tuple[str, ...]) -> dict[str, int]:
    """The elements of shared arrays; 16x16 are 256."""
    return {name: math.prod(_dims(size, "shared")) for name, size in _pairs(words, "shared").items()}


def _pairs(words: tuple[str, ...], flag: str) -> dict[str, str]:
    from netc.netspec.errors import UserError

    found: dict[str, str] = {}
    for word in words:
        name, mark, value = word.partition("=")
        if not mark or not name or not value:
            raise UserError(f"--{flag} wants NAME=VALUE, got {word[:60]!r}; write n=4")
        if name in found:
            raise UserError(f"--{flag} wants each name once, got {name} twice; drop one")
        found[name] = value
    return found


@kernel.command("run")
@click.argument("kernel_", metavar="KERNEL")
@click.option("--grid", default="1", show_default=True, metavar="X[,Y[,Z]]", help="Number of blocks.")
@click.option("--block", default="256", show_default=True, metavar="X[,Y[,Z]]", help="Threads per block.")
@click.option("--set", "set_", multiple=True, metavar="NAME=NUMBER", help="Value of a scalar argument.")
@click.option(
    "--array", "array", multiple=True, metavar="NAME=ARRAY", help="FILE.npy, FILE.json, [1, 2] or zeros:1000."
)
@click.option(
    "--shared", "shared", multiple=True, metavar="NAME=N", help="Elements of a shared array.  [default: one per thread]"
)
@click.option("--target", default="simulate", show_default=True, help="Where to run: simulate, c or opencl.")
@click.option("-o", "--out", type=OUT_FOLDER, help="Folder for the arrays that it writes, as .npy.")
@json_option
def run(
    kernel_: str,
    grid: str,
    block: str,
    set_: tuple[str, ...],
    array: tuple[str, ...],
    shared: tuple[str, ...],
    target: str,
    out: Path | None,
    as_json: bool,
) -> None:
    """Run KERNEL once, and print or write the arrays that it writes.

    `simulate` steps all threads and names races, indices out of bounds, shared memory that is read before it is
    written, and barriers that only part of a block reaches; then the exit code is 1 and nothing is written. `c` names
    the first index out of bounds or divergent barrier; `opencl` checks nothing.
    """
    from netc.kernels.find import find
    from netc.kernels.run import run_once

    found = find(kernel_)
    done = run_once(
        found,
        (_dims(grid, "grid"), _dims(block, "block")),
        _scalars(found, _pairs(set_, "set")),
        _arrays(found, _pairs(array, "array")),
        _sizes(shared),
        target,
    )
    if as_json:
        print_json(done.to_json())
    for fault in done.faults:
        say(f"netc: {found.file}:{fault.line}: {fault.kind}: {fault.sentence}", err=True)
    if done.faults:
        click.get_current_context().exit(1)
    if not as_json:
        _show(done)
    if out is not None:
        _write(done, out, as_json)


@kernel.command("emit")
@click.argument("kernel_", metavar="KERNEL")
@click.option("--c", "language", flag_value="c", default=True, help="C11, for OpenMP.  [default]")
@click.option("--cuda", "language", flag_value="cuda", help="CUDA C++.")
@click.option("--opencl", "language", flag_value="opencl", help="OpenCL C.")
@click.option("--block", default="256", show_default=True, metavar="X[,Y[,Z]]", help="Threads per block.")
@click.option(
    "--shared", "shared", multiple=True, metavar="NAME=N", help="Elements of a shared array.  [default: one per thread]"
)
@click.option("--check", "ask", is_flag=True, help="Compile the CUDA C++ to PTX with nvcc.")
@click.option("-o", "--out", type=OUT_FILE, help="File to write.  [default: standard output]")
def emit(kernel_: str, language: str, block: str, shared: tuple[str, ...], ask: bool, out: Path | None) -> None:
    """Write KERNEL in another language.

    --block and --shared set the size of shared arrays in CUDA and OpenCL; in C it is set at launch.
    """
    from netc.kernels.find import find
    from netc.kernels.launch import launch_of
    from netc.kernels.nvcc import checked_by_nvcc
    from netc.kernels.run import LANGUAGES
    from netc.netspec.errors import UserError
    from netc.runtime.files import made_for, write_whole

    if ask and language != "cuda":
        raise UserError(f"--check wants --cuda, which nvcc reads, got --{language}; leave one out")
    found = find(kernel_)
    sizes = _sizes(shared)
    text = LANGUAGES[language](found, launch_of(found, 1, _dims(block, "block"), sizes))
    if out is None:
        write(text)
    else:
        write_whole(made_for(out), text)
        say(f"{out}  {found.name} in {text.count(chr(10))} lines")
    if ask:
        said = checked_by_nvcc(text) or "not checked: no nvcc is on PATH; install NVIDIA's CUDA toolkit"
        say(said, err=out is None)


def _scalars(found: Kernel, words: Mapping[str, str]) -> dict[str, Any]:
    from netc.kernels.array_words import number_of

    own = {s.name: s for s in found.scalars}
    return {n: number_of(own[n], word) if n in own else word for n, word in words.items()}


def _arrays(found: Kernel, words: Mapping[str, str]) -> dict[str, Any]:
    from netc.kernels.array_words import array_of

    own = {a.name: a for a in found.globals}
    return {n: array_of(own[n], word) if n in own else word for n, word in words.items()}


def _show(done: Done) -> None:
    say(done.sentence)
    for name, array in done.results.items():
        flat = array.reshape(-1)
        some = ", ".join((f"{v:g}" if isinstance(v, float) else str(v)) for v in flat[:SHOWN].tolist())
        more = ", .." if flat.size > SHOWN else ""
        say(f"{name}  {array.dtype} {list(array.shape)}  {some}{more}")


def _write(done: Done, out: Path, aside: bool) -> None:
    from netc.kernels.run import write_arrays

    for path in write_arrays(done.results, out):
        say(f"written to {path}", err=aside)
