"""What compilers say of the C of small nets: sanitizers find nothing, and bits depend on no compiler.

Of the nets of scripts/families.py there are so many that every operation of any of them is in one.
"""

import importlib.util
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from netc.codegen.c.source import arguments, c_source
from netc.codegen.c.windows import window_need
from netc.codegen.ir import Module
from netc.codegen.program import build
from netc.codegen.rewrite.lower import lower
from netc.netspec.check import check
from netc.netspec.recipe import SGD, Recipe

ROOT = Path(__file__).parents[3]
found = importlib.util.spec_from_file_location("families", ROOT / "scripts" / "families.py")
families = importlib.util.module_from_spec(found)
found.loader.exec_module(families)

BATCH = 3
SANITIZED = ("-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
EQUAL = ("-std=c11", "-ffp-contract=off", "-Wall", "-Wextra", "-Wconversion")
# by name, so that what a newer compiler warns of does not fail
REFUSED = ("conversion", "sign-compare", "unused-variable", "unused-function", "unused-parameter", "uninitialized")
MAIN = r"""
#include <stdio.h>
#include <string.h>

static net_memory memory;
static net_work work;
static uint32_t drawn = 1;

static float draw(void)
{
    drawn = drawn * 1664525u + 1013904223u;
    return (float)(drawn >> 8) / 8388608.0f - 1.0f;
}

static void show(const char *name, const void *from, size_t count)
{
    uint32_t sum = 2166136261u;
    for (size_t i = 0; i < count; i++)
        sum = (sum ^ ((const uint8_t *)from)[i]) * 16777619u;
    printf("%s %08x\n", name, (unsigned)sum);
}
"""


def renamed(name, function):
    """A function of a module that holds those of every family."""
    state = {n: f"{name}/{n}" for n in function.names[: function.donated]}
    if function.name == "init":
        state = {n: f"{name}/{n}" for n in function.result_names}
    word = name.replace("-", "_")
    ops = [
        replace(op, attrs=tuple((n, f"{word}_{v}" if n == "callee" else v) for n, v in op.attrs)) for op in function.ops
    ]
    return replace(
        function, ops=tuple(ops), name=f"{word}_{function.name}", names=tuple(state.get(n, n) for n in function.names),
        result_names=tuple(state.get(n, n) for n in function.result_names),
    )  # fmt: skip


def called(interface):
    """C that fills a function's arguments, calls it, and prints what it gives."""
    lines, args = [], []
    for _, name, v in arguments(interface, public=True):
        kind = {"f32": "float", "i32": "int32_t", "ui32": "uint32_t"}[v.type.dtype]
        given = v in interface.function.params
        if given and v.shape == ():
            args.append("0.1f")
            continue
        lines.append(f"static {kind} {name}[{v.type.size}];")
        value = "draw()" if kind == "float" else f"({kind})((drawn = drawn * 5u + 3u) >> 8) % {families.CLASSES}"
        if given:
            lines.append(f"for (size_t i = 0; i < {v.type.size}; i++)\n        {name}[i] = {value};")
        args.append(name)
    call = f"net_{interface.function.name}({', '.join(['&work', '&s', *args])});"
    shown = [
        f'show("{interface.function.name} {name}", {name}, sizeof {name});'
        for _, name, v in arguments(interface, public=True) if v not in interface.function.params
    ]  # fmt: skip
    return "{\n    " + "\n    ".join([*lines, call, *shown]) + "\n    }"


def few():
    """The modules of families that have every operation together, those first that add most for their size."""
    modules, kinds = {}, {}
    for name in families.FAMILIES:
        spec, loss = families.family(name)
        modules[name] = lower(build(check(spec), Recipe(SGD(0.9), loss, norms=False), BATCH).module, "c")
        ops = [op for f in modules[name] if f.name == "train_step" for op in f.ops]
        kinds[name] = {(op.kind, op.result.type.dtype, "conv_k" in op.kind and window_need(op) > 0) for op in ops}
    chosen, left = {}, set().union(*kinds.values())
    while left:
        name = max(kinds, key=lambda n: len(kinds[n] & left) / len(modules[n].function("train_step").ops) ** 0.5)
        chosen[name] = modules[name]
        left -= kinds[name]
    return chosen


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One program: init and two train steps of each net, whose bits it prints."""
    functions = []
    for name, module in few().items():
        functions += [renamed(name, f) for f in module if f.private or f.name in ("init", "train_step")]
    source = c_source(Module("families", tuple(functions)))
    calls = [called(i) for i in source.interfaces.values() if i.public]
    calls = [text for n in range(0, len(calls), 2) for text in (calls[n], calls[n + 1], calls[n + 1])]
    main = "int main(void)\n{\n    const net_state s = net_state_of(&memory);\n    " + "\n    ".join(calls)
    path = tmp_path_factory.mktemp("c") / "families.c"
    path.write_text(f'{source.text}\n{MAIN}\n{main}\n    show("state", &memory, sizeof memory);\n    return 0;\n}}\n')
    return path


def said(compiler, path, *flags):
    """What the program prints."""
    program = path.with_suffix("." + "".join(c for c in f"{compiler}{flags}" if c.isalnum()))
    refused = [f"-Werror={word}" for word in REFUSED]
    done = subprocess.run(
        [compiler, *EQUAL, *refused, *flags, str(path), "-o", str(program), "-lm"], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[:3000]
    done = subprocess.run([str(program)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:3000]
    return done.stdout


def test_sanitizers_find_nothing_and_compilers_give_equal_bits(whole, tmp_path):
    compilers = [word for word in ("gcc", "clang") if shutil.which(word)]
    if not compilers:
        pytest.skip("neither gcc nor clang is on the PATH")
    probe = tmp_path / "probe.c"
    probe.write_text("int main(void) { return 0; }\n")
    built = subprocess.run(
        [compilers[0], *SANITIZED, str(probe), "-o", str(probe.with_suffix(""))], capture_output=True, check=False
    )
    if built.returncode:
        pytest.skip(f"{compilers[0]} has no sanitizers")
    first = said(compilers[0], whole, *SANITIZED)
    assert first.count("loss") > 6
    if len(compilers) == 1:
        pytest.skip("one compiler alone is here: gcc and clang are not compared")
    assert said(compilers[1], whole, "-O1") == first
