"""Each program in examples/, on tiny sizes: it runs, and says what it is there to show."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

# program -> sizes that are small enough, and a part of what it prints
PROGRAMS = {
    "first_net": ({"target": "xla", "epochs": 2}, "of the test digits after"),
    "own_layer": ({"target": "xla", "epochs": 2}, "vector: agrees with JAX"),
    "own_loss": ({"target": "xla", "epochs": 2}, "the pullback is the derivative: holds"),
    "own_loop": ({"target": "xla", "steps": 20}, "dense1.kernel [32, 2]"),
    "own_data": ({"target": "xla"}, "batches of a function"),
    "fine_tuning": ({"target": "xla", "epochs": 1}, "two classes:"),
    "two_backends": ({"first": "xla", "steps": 2}, "mode cross-compiler: they agree"),
    "certify_jax": ({}, "gradients: holds\nmistaken: false"),
    "drive_artefact": ({"steps": 3, "batch": 4}, "loss 1."),
    "read_profile": ({"batch": 2, "steps": 1}, "dense4"),
}

LEAST = 0.6  # of the test part is right after these few epochs; chance is 0.1, or 0.33

ADDING = {"own_layer", "own_loss"}  # these add words, which other tests of this process must not meet


def learned(out: str) -> bool:
    """Whether each accuracy of the test that a program prints is at least LEAST."""
    return all(float(found) >= 100 * LEAST for found in re.findall(r"([\d.]+)% (?:of the test digits|in )", out))


@pytest.mark.parametrize("name", sorted(ADDING))
def test_an_example_that_adds_a_word_runs(name, tmp_path, monkeypatch):
    monkeypatch.setenv("NETC_CACHE_DIR", str(tmp_path / "cache"))
    sizes, said = PROGRAMS[name]
    code = f"import runpy; runpy.run_path({str(EXAMPLES / f'{name}.py')!r})['main'](**{sizes!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said in done.stdout, done.stderr
    assert learned(done.stdout)


@pytest.mark.parametrize("name", sorted(PROGRAMS.keys() - ADDING))
def test_an_example_runs(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETC_CACHE_DIR", str(tmp_path / "cache"))
    sizes, said = PROGRAMS[name]
    spec = importlib.util.spec_from_file_location(f"examples_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(**sizes)
    out = capsys.readouterr().out
    assert said in out
    assert learned(out)


def test_every_example_is_run_and_listed():
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    assert names == PROGRAMS.keys()
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert all(f"[{name}.py]({name}.py)" in listed for name in names)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_is_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 75
