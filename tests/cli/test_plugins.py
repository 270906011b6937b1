"""One file each adds an optimizer, an activation, a schedule, a loss, data and a layer; every command knows them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from netc.cli.main import plugins_first
from netc.netspec.errors import UserError
from netc.netspec.plugins import load_file

PLUGINS = Path(__file__).parents[1] / "plugins"
FILES = ("signum", "softsign", "steps", "stripes", "scale", "absolute")
GIVEN = [word for name in FILES for word in ("--plugin", str(PLUGINS / f"{name}.py"))]
NET = """
name = "mine"
input = [4, 4, 1]

[[layers]]
kind = "conv"
features = 3
activation = "SoftSign"

[[layers]]
kind = "scale"
offset = 0.1

[[layers]]
kind = "globalAvgPool"

[[layers]]
kind = "Linear"
features = 2
"""
LEAN = """
def mine : NetSpec where
  name := "mine"
  imageH := 4
  imageW := 4
  layers := [.conv2d 1 3 3 .same .softsign, .scale (offset := 0.1), .globalAvgPool, .dense 3 2 .identity]
"""
RUN = ["--target", "reference", "--data", "stripes", "--epochs", "2", "--quiet"]
CHOSEN = ["--optimizer", "Signum", "--retain", "0.95", "--decay", "steps", "--drop", "0.5"]


def netc(folder, *words, packages=None):
    """What the command says in a process of its own, and its exit code; `packages` is one more folder of packages."""
    command = [sys.executable, "-m", "netc", *map(str, words)]
    env = {**os.environ, **({"PYTHONPATH": str(packages)} if packages else {})}
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=env)
    return found.stdout + found.stderr, found.returncode


# the commands of one process, which pays once for the imports: a plugin's file is imported by the first
ONE_AFTER_THE_OTHER = """
import contextlib, io, json, sys
from netc.cli.main import _run

for words in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.redirect_stderr(said):
        code = _run(words)
    print(json.dumps([said.getvalue(), code]))
"""


def netc_each(folder, *commands):
    """What each command says, and its exit code."""
    words = [sys.executable, "-c", ONE_AFTER_THE_OTHER, json.dumps(commands)]
    found = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return [json.loads(line) for line in found.stdout.splitlines()]


def install(packages, *lines):
    """A package with these entry points, in a folder of packages."""
    about = packages / "mine-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("\n".join(["[netc.layers]", *lines, ""]))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "mine.toml").write_text(NET)
    (folder / "plain.toml").write_text(NET.replace('[[layers]]\nkind = "scale"\noffset = 0.1\n', ""))
    (folder / "mine.lean").write_text(LEAN)
    begun = [["train", f"{name}.toml", *RUN, *CHOSEN, "--out", name, *GIVEN] for name in ("mine", "plain")]
    for said, code in netc_each(folder, *begun):
        assert code == 0, said
    return folder


def test_the_run_is_written_in_their_words_and_opens(place):
    table = json.loads((place / "mine" / "run.json").read_text())
    signum = {"kind": "signum", "retain": 0.95, "weight_decay": 0.0}
    assert table["recipe"]["optimizer"] == signum
    assert (table["schedule"]["decay"], table["schedule"]["drop"]) == ("steps", 0.5)
    assert 'kind = "conv2d"' in table["spec"] and 'activation = "softsign"' in table["spec"]
    shutil.copytree(place / "mine", place / "longer")
    evaluated, resumed = netc_each(
        place, [*GIVEN, "eval", "mine"], ["train", "--resume", "longer", "--epochs", "3", *GIVEN]
    )
    assert evaluated[1] == 0 and "of 32 test images of stripes" in evaluated[0]
    assert resumed[1] == 0 and "mine reached" in resumed[0]


def test_without_the_plugin_the_run_says_what_it_wants(place):
    said, code = netc(place, "eval", "mine")
    assert (
        code == 2
        and "recipe.optimizer.kind wants one of adam, " in said
        and "got 'signum'; a newer netc or a --plugin" in said
    )


def test_the_jax_script_has_their_forms_or_names_what_has_none(place):
    commands = [["emit-jax", name, "--out", f"{name}.py", *GIVEN] for name in ("plain", "mine")]
    (said, code), refused = netc_each(place, *commands)
    assert code == 0, said
    text = (place / "plain.py").read_text()
    compile(text, "plain.py", "exec")
    assert "new = w - lr * jnp.sign(kept['m'])" in text and "(0.5 ** int(3 * t))" in text
    assert "def activation_softsign(x, slope):\n    return x / (1 + jnp.where(x > 0, x, -x))" in text
    assert refused[1] == 2 and "layer scale1 wants a kind that has a form in JAX text, got scale" in refused[0]


def test_the_oracle_judges_them(place):
    kinds = ("scale", "signum", "activation/softsign", "absoluteError")
    for said, code in netc_each(place, *(["oracle", kind, *GIVEN] for kind in kinds)):
        assert code == 0 and "all agree" in said, said


def test_the_certificate_holds_for_the_layer_and_names_the_optimizer(place):
    commands = [["certify", "mine.toml", "--optimizer", word, *GIVEN] for word in ("sgd", "signum")]
    held, (said, code) = netc_each(place, *commands)
    assert held[1] == 0 and "the backward is the derivative of the forward" in held[0]
    assert code == 2 and "wants an optimizer whose first update it can read, adam, " in said and ", got signum;" in said


def test_specs_in_lean_and_lists_know_them(place):
    shown, lean, data, help_all, mistaken = netc_each(
        place,
        ["show", "mine.lean", *GIVEN], ["emit-lean", "mine.toml", *GIVEN], ["data", "ls", *GIVEN],
        [*GIVEN, "train", "--help-all"],
        ["train", "mine.toml", *RUN, "--optimizer", "adam", "--retain", "0.5", *GIVEN],
    )  # fmt: skip
    assert shown[1] == 0 and "scale1" in shown[0]
    assert lean[1] == 0 and '(activation := "softsign")' in lean[0] and ".scale (offset := 0.1)" in lean[0]
    assert data[1] == 0 and "stripes" in data[0]
    said = " ".join(help_all[0].split())
    assert "--drop" in said and "--retain" in said and "schedulefree, signum." in said
    assert mistaken[1] == 2 and "--retain does not belong to --optimizer adam" in mistaken[0]


def test_an_installed_package_needs_no_option(place, tmp_path):
    shutil.copy(PLUGINS / "scale.py", tmp_path / "scale_of_mine.py")
    shutil.copy(PLUGINS / "softsign.py", tmp_path / "softsign_of_mine.py")
    install(tmp_path, "a = scale_of_mine", "b = softsign_of_mine")
    said, code = netc(place, "show", "mine.toml", packages=tmp_path)
    assert code == 0 and "scale1" in said
    said, code = netc(place, "oracle", "scale", packages=tmp_path)
    assert code == 0 and "all agree" in said


def test_an_installed_plugin_that_fails_is_named(place, tmp_path):
    install(tmp_path, "lost = lost_and_gone")
    for words in (["show", "mine.toml"], ["train", "mnist-mlp"], ["train", "--help"]):
        said, code = netc(place, *words, packages=tmp_path)
        wanted = (
            "netc: the plugin lost wants to be imported from lost_and_gone, got ModuleNotFoundError: No module named"
        )
        assert code == 2 and said.startswith(wanted) and said.count("\n") == 1


def test_the_first_failure_of_an_installed_plugin_is_remembered(place, tmp_path):
    (tmp_path / "half.py").write_text((PLUGINS / "steps.py").read_text() + "\nraise ValueError('half done')\n")
    install(tmp_path, "half = half")
    said, code = netc(place, "train", "mnist-mlp", packages=tmp_path)
    assert (said, code) == (
        "netc: the plugin half wants to be imported from half, got ValueError: half done; fix or uninstall it\n", 2
    )  # fmt: skip


def test_a_run_of_an_installed_plugins_words_opens(place, tmp_path):
    names = ("signum", "steps", "stripes")
    for name in names:
        shutil.copy(PLUGINS / f"{name}.py", tmp_path / f"{name}_of_mine.py")
    install(tmp_path, *(f"{name} = {name}_of_mine" for name in names))
    plain = [*RUN, "--epochs", "1", "--input", "4x4x1", "--classes", "2"]
    said, code = netc(place, "train", "mnist-mlp", *plain, *CHOSEN, "--out", "installed", packages=tmp_path)
    assert code == 0, said
    said, code = netc(place, "eval", "installed", packages=tmp_path)
    assert code == 0 and "test images of stripes" in said, said
    code = "import netc; netc.compile('mnist-mlp', optimizer='signum', retain=0.5, target='reference')"
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    assert subprocess.run([sys.executable, "-c", code], cwd=place, env=env, check=False).returncode == 0


def test_a_file_that_fails_is_named_with_its_line(place, tmp_path):
    (tmp_path / "bad.py").write_text("import netc\n\nraise ValueError('not today')\n")
    said, code = netc(tmp_path, "--plugin", "bad.py", "train", "mnist-mlp")
    assert code == 2 and said == (
        "netc: --plugin wants a file that can be imported, got ValueError from bad.py, line 3: not today; fix it\n"
    )


def test_a_plugin_that_is_none(tmp_path):
    with pytest.raises(UserError, match=r"`plugin` wants a Python file, got .*none\.py"):
        load_file(tmp_path / "none.py")
    assert netc(tmp_path, "ls", "--plugin", "none.py") == (
        "netc: --plugin wants a Python file, got none.py: no such file; check the path\n",
        2,
    )


def test_an_option_that_a_command_has_already_is_refused(tmp_path):
    text = (PLUGINS / "signum.py").read_text().replace("retain", "keep").replace('"signum"', '"signun"')
    (tmp_path / "signun.py").write_text(text)
    said, code = netc(tmp_path, "--plugin", "signun.py", "train", "--help")
    assert code == 2 and "two options are called --keep; give the plugin's another name by option(.., flag=..)" in said


@pytest.mark.parametrize(
    ("words", "first"),
    [("train x --plugin a.py", "--plugin a.py train x"), ("train x --plugin=a.py -q", "--plugin=a.py train x -q"),
     ("--plugin a.py ls --plugin b.py", "--plugin a.py --plugin b.py ls"), ("x -- --plugin a", "x -- --plugin a"),
     ("ls --plugin", "--plugin ls")],
)  # fmt: skip
def test_a_plugin_may_stand_behind_the_command(words, first):
    assert plugins_first(words.split()) == first.split()


def test_the_page_shows_the_file_that_is_tested():
    page = (PLUGINS.parents[1] / "docs" / "extending.md").read_text()
    assert (PLUGINS / "signum.py").read_text() in page
