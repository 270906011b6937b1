"""Whether IREE still needs each workaround of netc: a small program for each row, compiled with it and without.

    python scripts/workarounds.py [NAME ...]

A workaround is needed as long as the program without it is refused, or what is compiled shows its fault: code that is
unrolled, threads that do not wait for each other, memory that is lost at each call. Prints a table.
tests/runtime/test_workarounds.py fails for a row that is no longer needed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from netc.codegen.builder import Builder
from netc.codegen.evaluator import run
from netc.codegen.ir import Module
from netc.codegen.program import build
from netc.codegen.rewrite.iree.workarounds import WORKAROUNDS
from netc.codegen.rewrite.lower import lower
from netc.codegen.sampler import build_sampler
from netc.codegen.text import text_of
from netc.netspec import layers as nn
from netc.netspec.check import check
from netc.netspec.recipe import SGD, Recipe
from netc.netspec.spec import NetSpec
from netc.netspec.types import DType, TensorType
from netc.runtime.backends import load
from netc.runtime.backends.protocol import Source
from netc.runtime.compile import CompileError, compile_text
from netc.runtime.target import Target, parse_target

FINE = "compiles"
LARGE_VECTORS = "--iree-llvmcpu-fail-on-large-vector=true"  # netc lets them be, and waits
LARGE = "large vector sizes"
AVX512 = "cpu:x86-64-v4"  # code and vectors are of one size on every machine
DUMP = "--iree-hal-dump-executable-files-to="  # what each dispatch becomes, into the folder of the artefact
Look = Callable[[Source, Target], str]  # FINE, or what is wrong with an artefact


@dataclass(frozen=True)
class Program:
    """A function of a module for a target, and what is said of it without the workaround: by IREE, or by `look`."""

    make: Callable[[], Module]
    says: str
    function: str = "f"
    target: str = "cpu"
    flags: tuple[str, ...] = ()
    look: Look = lambda source, target: FINE
    beside: tuple[str, ...] = ()  # passes left out in either case: they part the same operations


def _loaded(source: Source, target: Target) -> str:
    try:
        load(source, target)
    except IndexError as error:  # the runtime's "out of range"
        return " ".join(str(error).split())[:300]
    return FINE


CODE = 18_400  # bytes: with the fence 16,800, without 19,952


def _small(source: Source, target: Target, limit: int = CODE) -> str:
    size = _artefact(source).stat().st_size
    return FINE if size < limit else f"code of {size:,} bytes"


def _right(source: Source, target: Target) -> str:
    """Called with drawn numbers, beside the evaluator."""
    function, rng = source.module.function("f"), np.random.default_rng(0)
    args = [rng.normal(size=v.shape).astype(np.float32) for v in function.params]
    loaded = load(source, target)
    got = [loaded.get(y) for y in loaded.call("f", [loaded.put(x) for x in args])]
    wanted = run(source.module, "f", args)
    return FINE if all(np.allclose(x, y, 1e-4, 1e-4) for x, y in zip(got, wanted, strict=True)) else "other numbers"


def _waits(source: Source, target: Target) -> str:
    """Threads that write to and read from workgroup memory have to wait for each other."""
    spirv = "".join(path.read_text(encoding="utf-8") for path in _artefact(source).parent.glob("*.spirv.mlir"))
    assert "spirv.func" in spirv
    return "no barrier of threads" if '"Workgroup"' in spirv and "ControlBarrier" not in spirv else FINE


MIB, CALLS = 40, 8


def _keeps_memory(source: Source, target: Target) -> str:
    """Called in another process, whose memory is measured."""
    script = Path(__file__).with_name("repro_memory_cpu.py")
    command = [sys.executable, str(script), "--one", str(_artefact(source)), str(MIB), "--calls", str(CALLS)]
    grown = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return FINE if grown < MIB / 4 else f"grows by {grown:.0f} MiB a call"


def _artefact(source: Source) -> Path:
    assert source.artefact is not None
    return source.artefact


def _step(spec: NetSpec, recipe: Recipe, batch: int) -> Module:
    return build(check(spec), recipe, batch).module


def _dense(inputs: int, hidden: int) -> NetSpec:
    return NetSpec("dense", (inputs,), (nn.Dense(hidden, activation="relu", name="a"), nn.Dense(10, name="b")))


def _deep() -> NetSpec:
    """More than 64 parameters."""
    hidden = [nn.Dense(8, activation="relu", name=f"a{i}") for i in range(36)]
    return NetSpec("deep", (8,), (*hidden, nn.Dense(4, name="b")))


def _stored_twice() -> Module:
    """A 3x3 convolution of 128 channels in bf16, relu, and both types of its result."""
    b = Builder("f")
    x, w = (b.parameter(n, TensorType(s, "bf16")) for n, s in (("x", (4, 8, 8, 128)), ("w", (3, 3, 128, 128))))
    y = b.op("conv", x, w, stride=(1, 1), padding=((1, 1), (1, 1)), dilation=(1, 1), groups=1)
    a = b.maximum(y, 0.0)
    return Module("stored", (b.finish([("a", a), ("copy", b.convert(a, "bf16"))]),))


def _normalised(images: int, channels: int, features: int, dtype: DType) -> Module:
    """A 1x1 convolution of x / sqrt(mean(x x)) that keeps what its gradients read; of images of 4x4.

    z = y w, dw = yᵀ dz, and x̂ is a result too: in bf16 of what relu6 gives, else with the sum of squares.
    """
    b, shape = Builder("f"), (images, 4, 4, channels)
    x, r = b.parameter("x", TensorType(shape)), b.parameter("r", TensorType((channels,)))
    w = b.parameter("w", TensorType((channels, features), dtype))
    dz = b.parameter("dz", TensorType((*shape[:3], features), dtype))
    rows = images * 16
    if dtype == "f32":
        r = b.unary("rsqrt", b.add(b.mul(b.sum(b.mul(x, x), (0, 1, 2)), 1 / rows), 1e-5))
    hat = b.mul(x, b.broadcast(r, x))
    y = b.mul(hat, b.broadcast(b.parameter("g", TensorType((channels,))), x))
    y = b.convert(b.minimum(b.maximum(y, 0.0), 6.0), dtype) if dtype == "bf16" else y
    z = b.dot(b.reshape(y, (rows, channels)), w, (1, 0))
    return Module("m", (b.finish([("z", z), ("dw", b.dot(y, dz, ((0, 1, 2), (0, 1, 2)))), ("hat", hat)]),))


def _off_mean() -> Module:
    """x less the sum of its rows: docs/upstream-issues/broadcast-sum-vulkan.md."""
    b = Builder("f")
    x = b.parameter("x", TensorType((256, 16)))
    return Module("m", (b.finish([("y", b.sub(x, b.broadcast(b.sum(x, (0,)), x)))]),))


def _held() -> Module:
    """A tensor of 40 MiB that is held at a barrier on two values: docs/upstream-issues/memory-cpu.md."""
    b = Builder("f")
    x = b.parameter("x", TensorType((MIB << 18,)))
    y, total = b.joint_barrier(b.add(b.mul(x, x), x), b.sum(x, (0,)))
    return Module("m", (b.finish([("y", b.mul(y, y)), ("total", total)]),))


def _looked_up() -> Module:
    """Rows of a table, each less its mean and over the root of its mean square."""
    b = Builder("f")
    table, ids = b.parameter("table", TensorType((65, 128))), b.parameter("ids", TensorType((2, 64), "i32"))
    x = b.op("take", table, ids)
    x = b.sub(x, b.broadcast(b.mul(b.sum(x, (2,)), 1 / 128), x, (0, 1)))
    r = b.unary("rsqrt", b.mul(b.sum(b.mul(x, x), (2,)), 1 / 128))
    return Module("m", (b.finish([("y", b.mul(x, b.broadcast(r, x, (0, 1))))]),))


def _one_row() -> Module:
    """A token of four numbers, as a sampler decodes it one by one."""
    block = nn.TransformerEncoder(2, 8, 1, causal=True, name="blocks")
    layers = (nn.TokenPositionEmbed(6, 4, name="embed"), block, nn.LMHead(6, name="head"))
    return build_sampler(check(NetSpec("tiny", (8,), layers, dtype="i32"))).program.module


def _two_stored() -> Module:
    """y w + c and its relu, both results, as a layer keeps them for its gradients."""
    b = Builder("f")
    y, w = b.parameter("y", TensorType((2048, 64))), b.parameter("w", TensorType((64, 64)))
    z = b.add(b.dot(y, w, (1, 0)), b.broadcast(b.parameter("c", TensorType((64,))), y, (1,)))
    return Module("m", (b.finish([("z", z), ("a", b.maximum(z, 0.0))]),))


def _gated() -> Module:
    """Images times gates, each packed for two products; one in two or three is unrolled, by chance."""
    b, shape = Builder("f"), (8, 28, 28, 144)
    results = []
    for k in range(12):
        x, gate = b.parameter(f"x{k}", TensorType(shape)), b.parameter(f"gate{k}", TensorType((8, 144)))
        w, dz = b.parameter(f"w{k}", TensorType((144, 20 + k))), b.parameter(f"dz{k}", TensorType((*shape[:3], 20 + k)))
        y = b.mul(x, b.broadcast(gate, x, (0, 3)))
        z, dw = b.dot(b.reshape(y, (8 * 28 * 28, 144)), w, (1, 0)), b.dot(y, dz, ((0, 1, 2), (0, 1, 2)))
        results += [(f"z{k}", z), (f"dw{k}", dw)]
    return Module("m", (b.finish(results),))


def _positioned() -> Module:
    """Tokens with positions, as a layer norm's sums and as what is added to a product of the normed."""
    b, shape, dims = Builder("f"), (64, 32, 32), (0, 1)
    tokens, positions = b.parameter("tokens", TensorType(shape)), b.parameter("positions", TensorType(shape[1:]))
    w = b.parameter("w", TensorType((32, 32)))
    x = b.add(tokens, b.broadcast(positions, tokens))
    centred = b.sub(x, b.broadcast(b.mul(b.sum(x, (2,)), 1 / 32), x, dims))
    deviation = b.unary("rsqrt", b.add(b.mul(b.sum(b.mul(centred, centred), (2,)), 1 / 32), 1e-6))
    normed = b.mul(centred, b.broadcast(deviation, x, dims))
    product = b.dot(b.reshape(normed, (64 * 32, 32)), w, (1, 0))
    return Module("m", (b.finish([("y", b.add(b.reshape(product, shape), x)), ("normed", normed)]),))


def _short_softmax() -> Module:
    """Two heads of attention over six tokens."""
    b = Builder("f")
    z, v = b.parameter("z", TensorType((2, 6, 6))), b.parameter("v", TensorType((2, 6, 8)))
    e = b.unary("exp", b.sub(z, b.broadcast(b.max_over(z, (2,)), z, (0, 1))))
    y = b.dot(e, v, ((2,), (1,)), ((0,), (0,)))
    return Module("m", (b.finish([("y", b.div(y, b.broadcast(b.sum(e, (2,)), y, (0, 1))))]),))


def _one_window() -> Module:
    """3x3, stride 2, on 2x2 pixels in two groups."""
    b = Builder("f")
    x, w = b.parameter("x", TensorType((2, 2, 2, 8))), b.parameter("w", TensorType((3, 3, 4, 8)))
    window = {"stride": (2, 2), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 2}
    return Module("m", (b.finish([("y", b.op("conv", x, w, **window))]),))


def _gelu() -> Module:
    net = NetSpec("gelu", (128,), (nn.Dense(512, activation="gelu-tanh", name="a"), nn.Dense(128, name="b")))
    return _step(net, Recipe(SGD(0.0), norms=False), 128)


PARTS, SUMS = ("part_shared_products",), ("sum_columns",)  # they change what the small programs show
PROGRAMS: dict[str, Program] = {
    "fence_rounded_operands": Program(lambda: _normalised(4, 8, 32, "bf16"), "code of", target=AVX512, look=_small),
    "fence_gelu": Program(_gelu, LARGE, "train_step", AVX512, (LARGE_VECTORS,), beside=PARTS + SUMS),
    "fence_loss": Program(
        lambda: _step(_dense(64, 32), Recipe(SGD(0.0), norms=False), 32), "'vector.store' op write", "train_step"
    ),
    "fence_gradients": Program(
        lambda: _step(_dense(784, 512), Recipe(norms=False), 128),
        LARGE,
        "train_step",
        AVX512,
        (LARGE_VECTORS,),
        beside=PARTS,
    ),
    "fence_norms": Program(
        lambda: _step(_deep(), Recipe(SGD(0.0)), 4), "constants exceeds limit of 64", "train_step", look=_loaded
    ),
    "part_joined_sums": Program(
        lambda: _normalised(32, 16, 96, "f32"), LARGE, "f", AVX512, (LARGE_VECTORS,), beside=SUMS
    ),
    "part_shared_products": Program(_two_stored, LARGE, "f", AVX512, (LARGE_VECTORS,)),
    "part_packed_twice": Program(_gated, LARGE, "f", AVX512, (LARGE_VECTORS,)),
    "part_packed_addends": Program(_positioned, "code of", target=AVX512, look=partial(_small, limit=40_000)),
    "part_lookups": Program(_looked_up, "code of", target=AVX512, look=_small),
    "part_single_rows": Program(_one_row, "write affecting operations on global resources", "decode", AVX512),
    "part_batched_rows": Program(_short_softmax, "other numbers", look=_right),
    "crop_unseen_pixels": Program(_one_window, "other numbers", target="cpu:generic", look=_right),  # AVX2 has a form
    "part_repeated_sums": Program(_off_mean, "no barrier of threads", "f", "vulkan", (DUMP,), _waits),
    "part_narrow_copies": Program(_stored_twice, "bytes of shared memory", "f", "rocm:gfx1100"),
    "part_joint_barriers": Program(_held, "MiB a call", look=_keeps_memory),
}


def outcome(program: Program, without: str = "") -> str:
    """FINE, or what is said of the program; the pass `without` is left out, and those beside it."""
    target = parse_target(program.target)
    module = lower(program.make(), target.profile, without={without, *program.beside}).needed(program.function)
    source = Source(module, text_of(module, target.profile))
    with tempfile.TemporaryDirectory(prefix="netc-") as folder:
        path = Path(folder) / "module.vmfb"
        flags = (f"{flag}{folder}" if flag == DUMP else flag for flag in program.flags)
        target = replace(target, flags=(*target.flags, *flags))
        try:
            compile_text(source.text, target, path)
        except CompileError as error:
            return " ".join(str(error).split())[:300]
        return program.look(replace(source, artefact=path), target)


def main() -> int:
    """Print the table; 1 where a workaround is no longer needed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    needless = False
    print("| workaround | with | without | needed |\n|---|---|---|---|")
    for row in WORKAROUNDS:
        if row.name in options.names or not options.names:
            program = PROGRAMS[row.name]
            shown, said = [], []
            for without in ("", row.name):
                begin = time.perf_counter()
                said.append(outcome(program, without))
                shown.append(f"{said[-1][:100]} ({time.perf_counter() - begin:.0f} s)")
            needless |= said[1] == FINE
            found = "unknown" if said[0] != FINE else "yes" if program.says in said[1] else "NO"
            print(f"| `{row.name}` | {shown[0]} | {shown[1]} | {found} |", flush=True)
    return int(needless)


if __name__ == "__main__":
    raise SystemExit(main())
