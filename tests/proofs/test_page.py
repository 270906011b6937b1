"""The numbers on the pages about proofs are those that the commands print today."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from netc.cli.main import cli
from netc.cli.prove_text import prove_file
from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.find import find
from netc.netspec.optimizers import Muon, Shampoo
from netc.netspec.recipe import Recipe
from netc.netspec.types import TensorType
from netc.proofs.forms import STEPS
from netc.proofs.layer import layer_function
from netc.proofs.prove import prove
from netc.proofs.rewrites import REWRITES
from tests.codegen.examples import EXAMPLES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "proofs.md").read_text(encoding="utf-8")
TABLE = (ROOT / "docs" / "measurements" / "proofs.md").read_text(encoding="utf-8")
TEXTS = Path(__file__).parent / "texts"
SIZE = r"^\| (\S+) \| found \| (\S+) \| (\S+) \| (\S+) \|"
AGAIN = "the lines are others: python scripts/proof_table.py with --check and --write writes the page"


@pytest.fixture(scope="module")
def script():
    found = importlib.util.spec_from_file_location("proof_table", ROOT / "scripts" / "proof_table.py")
    made = importlib.util.module_from_spec(found)
    sys.modules[found.name] = made  # where its dataclasses look for their types
    found.loader.exec_module(made)
    return made


def flat(text: str) -> str:
    """In one line, seconds aside."""
    return re.sub(r"in \d+\.\d s", "in S s", " ".join(text.split()))


def test_the_step_of_jax_is_what_the_page_says(tmp_path, monkeypatch):
    shown = PAGE.partition("$ netc prove mlp_sgd.mlir --check -o step.lean\n")[2].partition("written to")[0]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlp_sgd.mlir").write_text((TEXTS / "mlp_sgd.mlir").read_text())
    found = CliRunner().invoke(cli, ["prove", "mlp_sgd.mlir", "-o", "step.lean"])
    assert found.exit_code == 0 and flat(shown) == flat(found.output.partition("written to")[0])


def test_a_refused_text_is_what_the_page_says():
    shown = PAGE.partition("$ netc prove logsumexp.mlir\n")[2].partition("\n\n")[0]
    with pytest.raises(UserError) as told:
        prove_file(TEXTS / "logsumexp.mlir")
    assert flat(shown) == f"netc: {flat(str(told.value))}"


def test_the_theorem_is_the_one_on_the_page():
    shown = PAGE.partition("```lean\n")[2].partition("```")[0]
    assert flat(shown) in flat(prove(build(check(find("mnist-linear")), Recipe(), 3)).text)


def test_every_row_of_the_table_is_about_what_is_proven_today(script):
    """A digest of the operations and of what each file begins with, whose growth made the page false before."""
    today = {name: job.about() for name, job in script.jobs().items()}
    written = json.loads(script.ABOUT.read_text(encoding="utf-8"))
    stale = sorted(name for name in {*today, *written} if today.get(name) != written.get(name))
    assert not stale, f"{AGAIN}: {', '.join(stale)}"


def test_the_rows_that_are_found_at_once_have_their_lines(script):
    """What the digest does not see, the search: of each row that takes it less than a twentieth of a second."""
    rows, stale = re.findall(SIZE, TABLE, re.MULTILINE), []
    jobs = script.jobs(["mnist-mlp"])
    for name, operations, lines, _ in (row for row in rows if row[0] in jobs and row[3] == "0.0"):
        proof = jobs[name].make()
        if (operations, lines) != (str(proof.operations), f"{proof.lines:,}"):
            stale.append(name)
    assert len(rows) > 100 and not stale, f"{AGAIN}: {', '.join(stale)}"


def test_a_digest_sees_one_operation(script, monkeypatch):
    """What the files of scans begin with is in the digests of those rows and of no other."""
    jobs = script.jobs(())
    before = {name: job.about() for name, job in jobs.items()}
    monkeypatch.setattr(script, "recurrences", lambda: "")
    assert {name for name, job in jobs.items() if job.about() != before[name]} == {
        "selectiveScan", "rewrite:doubling", "rewrite:doubling-back",
    }  # fmt: skip


def test_every_rewrite_text_and_net_has_a_row(script):
    wanted = {*(f"rewrite:{name}" for name in REWRITES), *(p.name for p in TEXTS.glob("*.mlir")), *script.NETS}
    assert wanted <= set(re.findall(r"^\| (\S+) \|", TABLE, re.MULTILINE))


def test_no_layer_is_proven_without_an_axis(script):
    """An axis of size 1 is left out of a theorem, so the examples of the table have none but what a layer is about."""
    about = {"classEmbed": "x", "timeFeatures": "x", "residualBlock": "kernel", "bottleneckBlock": "kernel"}
    for kind, example in EXAMPLES.items():
        layer, x = script.WIDER.get(kind, (example.layer, example.x))
        assert isinstance(x, TensorType)
        function, _ = layer_function(layer, x, 3)
        ones = [n for n, v in zip(function.names, function.params, strict=True) if 1 in v.shape]
        assert all(kind in about and n.rpartition(".")[2] == about[kind] for n in ones), (kind, ones)


def test_the_page_has_the_counts_of_the_code():
    """How often sequences are followed, and of how many steps a scan's form is."""
    for count in (Muon().iterations, Shampoo().root_iterations):
        assert f"as often as the default has it ({count})" in flat(PAGE)
    assert STEPS == 5 and "is proven for five steps" in PAGE
