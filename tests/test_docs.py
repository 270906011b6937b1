"""The docs: every link holds, every page is in the navigation, what they name exists, and prose has one width."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click

import netc
from netc.cli.main import COMMANDS, cli
from netc.netspec.zoo import ZOO
from netc.programs import request_program
from netc.runtime.metrics.table import METRICS
from netc.runtime.prepare import emit_text
from netc.runtime.target import parse_target
from netc.train_request import request_words
from tests.test_rooms import modules

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
FRONT = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
FENCE = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
ROOMS = "netspec|codegen|runtime|proofs_oracle|traces|netc|scripts|tests"
PATH = re.compile(rf"`((?:{ROOMS})/[\w./]*)`|(?<![\w/.-])((?:{ROOMS}|certificate)/[\w/]+\.py)")
MARGIN = 120


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(path: Path) -> str:
    """A page without its blocks of code."""
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def anchors(path: Path) -> set[str]:
    """The headings of a page as its table of contents spells them."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    plain = (re.sub(r"[^\w\s-]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", h)).strip().lower() for h in headings)
    return {re.sub(r"[\s-]+", "-", h) for h in plain}


def broken(path: Path) -> Iterator[str]:
    for link in LINK.findall(prose(path)):
        if link.startswith(("https://", "http://")):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.is_file():
            yield f"{name_of(path)}: {link} leads to no file"
        elif anchor and anchor not in anchors(target):
            yield f"{name_of(path)}: {link} leads to no heading of {sorted(anchors(target))}"


def test_links_hold():
    assert not [line for path in (*PAGES, *FRONT) for line in broken(path)]


def test_a_broken_link_is_seen(monkeypatch, tmp_path):
    monkeypatch.setattr("tests.test_docs.ROOT", tmp_path)
    page = tmp_path / "a.md"
    page.write_text("# One two\n[a](#one-two) [b](#three) [c](none.md) [d](https://x/)\n```\n[e](gone.md)\n```\n")
    assert [line.split(" leads")[0] for line in broken(page)] == ["a.md: #three", "a.md: none.md"]


def navigation() -> list[str]:
    """The pages that mkdocs.yml lists."""
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    return re.findall(r"^ +- (?:.*: )?(\S+\.md)$", text[text.index("\nnav:\n") :], re.MULTILINE)


def test_every_page_is_in_the_navigation_once():
    assert sorted(navigation()) == sorted(str(p.relative_to(DOCS)) for p in PAGES)


def test_the_api_pages_name_modules():
    named = [n for p in (DOCS / "api").glob("*.md") for n in re.findall(r"^::: (\S+)$", p.read_text(), re.MULTILINE)]
    assert named and len(named) == len(set(named))
    assert not set(named) - set(modules())


def test_every_family_of_layers_is_in_the_api():
    page = (DOCS / "api" / "layers.md").read_text(encoding="utf-8")
    families = {p.stem for p in (ROOT / "netspec" / "layers").glob("*.py")} - {"__init__"}
    assert set(re.findall(r"^::: netc\.netspec\.layers\.(\w+)$", page, re.MULTILINE)) == families


def named_paths(page: Path) -> Iterator[str]:
    """The files and folders of ours that a page names; `foo` and `bar` are those of an example."""
    for quoted, bare in PATH.findall(prose(page)):
        if not re.search(r"/(foo|bar)\.|^runtime/src/", quoted or bare):
            yield quoted or bare


def test_paths_in_prose_exist():
    """Not in the changelog, which tells of the past; `certificate/` is short for the oracle's."""
    pages = [p for p in (*PAGES, *FRONT[:2]) if "measurements" not in p.parts]
    named = [(page, found) for page in pages for found in named_paths(page)]
    assert len(named) > 100
    lost = [(p, f) for p, f in named if not (ROOT / f).exists() and not (ROOT / "proofs_oracle" / f).exists()]
    assert not [f"{name_of(page)}: {found}" for page, found in lost]


def test_prose_has_one_width():
    """Tables and results are as wide as they are, and a script's output is a script's."""
    pages = [p for p in (*PAGES, *FRONT) if "measurements" not in p.parts]
    lines = ((p, n, line) for p in pages for n, line in enumerate(prose(p).splitlines(), 1))
    long = [
        f"{name_of(p)}: {line[:60]}.."
        for p, _, line in lines
        if len(line) > MARGIN and not line.startswith(("|", "    ", "<!--"))
    ]
    assert not long


def test_nothing_is_fetched_by_the_site():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert "\n  font: false\n" in text
    assert "http" not in text


def test_the_picture_of_the_architecture_is_current():
    spec = importlib.util.spec_from_file_location("make_architecture", ROOT / "scripts" / "make_architecture.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.drawn() == script.PICTURE.read_text(encoding="utf-8"), "python scripts/make_architecture.py"


def bench_rows(path: Path) -> dict[str, list[str]]:
    """The first table of steps beside their peers: net -> cells."""
    rows = re.findall(r"^\| (\S+, b\d+) \| (.+) \|$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {net: cells.split(" | ") for net, cells in rows}


def test_the_readme_is_short_and_its_numbers_are_those_of_the_measurement():
    readme = ROOT / "README.md"
    assert len(readme.read_text(encoding="utf-8").splitlines()) <= 120
    measured = bench_rows(DOCS / "measurements" / "bench_step.md")
    shown = bench_rows(readme)
    assert shown
    for net, (cpu, xla, jax, peer, ratio) in shown.items():
        whole = measured[net]
        assert [cpu, xla, jax, peer, ratio] == [whole[0], whole[1], whole[2], whole[4], whole[5]], net


def test_the_readme_says_on_how_many_nets_a_peer_is_faster_on_another_machine():
    rows = bench_rows(DOCS / "measurements" / "bench_step_xeon.md")
    behind = [net for net, cells in rows.items() if float(cells[5]) > 1]
    said = f"a peer is ahead of `cpu` on {len(behind)} of {len(rows)} nets"
    assert said in " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())


def test_the_picture_of_the_readme_is_of_the_golden_traces():
    spec = importlib.util.spec_from_file_location("make_readme_picture", ROOT / "scripts" / "make_readme_picture.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.digest().encode() in script.PICTURE.read_bytes(), "python scripts/make_readme_picture.py"


def test_every_public_name_is_on_the_page_of_the_front_door():
    table = (DOCS / "api" / "netc.md").read_text(encoding="utf-8").partition("\n:::")[0]
    named = {n for row in re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE) for n in re.findall(r"`(\w+)`", row)}
    assert named == set(netc.__all__)


def test_what_the_site_includes_has_no_links_of_its_own():
    """CONTRIBUTING.md and CHANGELOG.md stand in two places, from which a relative link leads to two files."""
    assert not [f"{name_of(p)}: {link}" for p in FRONT[1:] for link in LINK.findall(prose(p)) if "://" not in link]


def test_every_command_is_on_the_page_of_commands():
    page = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert not [name for name in COMMANDS if f"| `netc {name} " not in page and f"| `netc {name}`" not in page]


def test_every_metric_is_on_the_page_of_reports():
    page = (DOCS / "reports.md").read_text(encoding="utf-8")
    named = {n for row in re.findall(r"^\| (`.*?`) \|", page, re.MULTILINE) for n in re.findall(r"`([\w-]+)`", row)}
    assert named >= set(METRICS)


def test_the_number_of_networks_is_that_of_the_zoo():
    said = f"{len(ZOO)} networks"
    assert said in (DOCS / "nets.md").read_text(encoding="utf-8")
    front = FRONT[0].read_text(encoding="utf-8")
    assert f"[{len(ZOO)} that netc knows]" in front
    assert f"{len(ZOO)} known nets" in front


def test_every_extra_is_on_the_page_of_installing():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    page = (DOCS / "install.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(project["optional-dependencies"])


def test_the_first_commands_text_is_the_one_that_the_readme_prints():
    readme = FRONT[0].read_text(encoding="utf-8")
    net = request_program("mnist-mlp", input=(28, 28, 1), classes=10, batch=32)
    text = emit_text(net.build(), parse_target("cpu")).text.encode()
    said = f"one module, {len(text) / 1e6:.2f} MB of StableHLO emitted in "
    digest = hashlib.sha256(text).hexdigest()[:12]
    assert said in readme and f"(sha256 {digest})" in readme, (
        "run the README's first command and print its output there"
    )


def test_the_flags_that_are_no_keywords_are_all_on_the_page_of_python():
    """Of `netc train`, whose options are keywords of `netc.train`; `input_` is `input`, which is Python's own word."""
    options = [p for p in cli.get_command(click.Context(cli), "train").params if isinstance(p, click.Option)]
    keywords = request_words() | inspect.signature(netc.train).parameters.keys()
    named = {f: (o.name or "").rstrip("_") for o in options for f in o.opts}
    other = {f: n for f, n in named.items() if n in keywords and f[2:].replace("-", "_") != n}
    said = (DOCS / "python.md").read_text(encoding="utf-8").partition("Six differ:")[2].partition(".\n")[0]
    assert dict(re.findall(r"`(--[\w-]+)`\s(?:is\s)?`(\w+)", said)) == other and len(other) == 6
