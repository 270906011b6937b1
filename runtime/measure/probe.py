"""One question about this machine, answered in a process of its own: a driver may print, hang or abort.

`python -m netc.runtime.measure.probe driver vulkan` and `.. target cpu` print one line of JSON, the last on
standard output. Only `netc doctor` runs this.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netc.codegen.ir import Module
    from netc.runtime.target import Target

SIDE = 4  # of the square matrices of the test program


def probe_drivers(_: str) -> dict[str, Any]:
    """The drivers that are built into IREE's runtime."""
    import iree.runtime as rt

    return {"drivers": list(rt.query_available_drivers())}


def probe_driver(name: str) -> dict[str, Any]:
    """The devices that a driver finds, or why it finds none."""
    import iree.runtime as rt

    try:
        found = rt.get_driver(name).query_available_devices()
    except (RuntimeError, ValueError) as error:
        return {"devices": [], "problem": shortened(str(error))}
    return {"devices": [str(device.get("name") or device.get("path")) for device in found], "problem": ""}


def probe_target(word: str) -> dict[str, Any]:
    """Whether a program of three operations compiles for a target, and gives the right numbers there."""
    from netc.codegen.rewrite.lower import lower
    from netc.codegen.text import text_of
    from netc.netspec.errors import NetcError
    from netc.runtime.backends.protocol import Source
    from netc.runtime.compile import check_pair, compile_text
    from netc.runtime.target import parse_target

    target = parse_target(word)
    module = lower(_program(), target.profile)
    source = Source(module, text_of(module, target.profile))
    with tempfile.TemporaryDirectory(prefix="netc-") as folder:
        if target.ahead:
            source = Source(module, source.text, Path(folder) / "module.vmfb")
            try:
                check_pair()
                compile_text(source.text, target, Path(folder) / "module.vmfb")
            except NetcError as error:
                return {"compiles": False, "runs": False, "problem": shortened(str(error))}
        try:
            problem = _run(source, target)
        except (NetcError, RuntimeError, ValueError, OSError) as error:
            problem = shortened(str(error))
    compiles = target.ahead or not problem
    devices = DEVICES.get(target.word, list)() if not problem else []
    return {"compiles": compiles, "runs": not problem, "problem": problem, "devices": devices}


def _cpu_name() -> list[str]:
    from netc.runtime.compile import host_cpu

    return [host_cpu().rpartition(" ")[0]]  # without the digest of its features


def _c_name() -> list[str]:
    from netc.runtime.c_compiler import c_compiler

    return [c_compiler().version]


def _jax_devices() -> list[str]:
    from netc.runtime.backends.xla import device_name

    return [device_name()]


# target word -> the names of its devices, where IREE's driver does not tell them
DEVICES: dict[str, Callable[[], list[str]]] = {
    "cpu": _cpu_name,
    "xla": _jax_devices,
    "c": _c_name,
    "reference": lambda: ["NumPy"],
}


def _program() -> Module:
    """y = max(x x + 1, 0) for a square matrix x."""
    from netc.codegen.builder import Builder
    from netc.codegen.ir import Module
    from netc.netspec.types import TensorType

    b = Builder("predict")
    x = b.parameter("x", TensorType((SIDE, SIDE)))
    y = b.maximum(b.add(b.dot(x, x, (1, 0)), 1.0), 0.0)
    return Module("probe", (b.finish([("y", y)]),))


def _run(source: Any, target: Target) -> str:
    """The problem, or an empty string where the program gave what it should."""
    import numpy as np

    from netc.runtime.backends import load

    loaded = load(source, target)
    x = np.arange(SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE) - 8
    got = loaded.get(loaded.call("predict", [loaded.put(x)])[0])
    return "" if np.array_equal(got, np.maximum(x @ x + 1, 0)) else "it runs, but gives wrong numbers"


def shortened(text: str) -> str:
    """The first line of a message, without the source file and status that IREE puts before it."""
    line = next(iter(text.strip().splitlines()), "no message")
    return re.sub(r"^.*\.c:\d+: [A-Z_]+; ", "", line)[:200].rstrip(": ")


PROBES: dict[str, Callable[[str], dict[str, Any]]] = {
    "drivers": probe_drivers,
    "driver": probe_driver,
    "target": probe_target,
}

if __name__ == "__main__":
    print("\n" + json.dumps(PROBES[sys.argv[1]](sys.argv[2])))
