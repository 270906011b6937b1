"""The sections of the help: every option has one, the short help fits a screen, and nothing is hidden for good."""

from __future__ import annotations

from dataclasses import dataclass

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from netc.cli.main import COMMANDS, cli
from netc.cli.recipe_options import row_options
from netc.cli.sections import MOST, SECTIONS, SIZE, START, Sectioned
from netc.netspec.optimizers import SGD
from netc.netspec.vocabulary import option

LISTED = [n for n in COMMANDS if isinstance(cli.get_command(click.Context(cli), n), Sectioned)]


def asked(*words):
    result = CliRunner().invoke(cli, [*words], prog_name="netc")
    assert result.exit_code == 0, result.output
    return result.output


def options_of(name):
    command = cli.get_command(click.Context(cli), name)
    return [p for p in command.params if isinstance(p, click.Option)]


def test_every_option_of_train_has_a_section():
    lost = [p.opts for p in options_of("train") if p.name != "help_all" and vars(p).get("section") not in SECTIONS]
    assert not lost


def test_the_short_help_of_train_fits_a_screen_and_names_each_section():
    said = asked("train", "--help")
    assert len(said.splitlines()) < 60
    assert said.index(f"{MOST}:") < said.index("--optimizer KIND") < said.index("More, by `netc train --help-all`:")
    for section in SECTIONS[1:]:
        assert f"\n  {section}  " in said
    assert f"  {START}         --init, --pretrained, --new-head, --freeze, .." in said
    assert "\n  --clip-norm FLOAT" not in said


@pytest.mark.parametrize("name", LISTED)
def test_the_whole_help_has_every_option_under_headings_in_one_order(name):
    said = asked(name, "--help-all")
    for each in options_of(name):
        assert f"{max(each.opts, key=len)} " in said.replace("\n", " \n")
    places = [said.index(f"\n{section}:\n") for section in SECTIONS[1:] if f"\n{section}:\n" in said]
    assert places == sorted(places) and places


@pytest.mark.parametrize("name", [n for n in LISTED if n != "train"])
def test_a_command_that_takes_a_recipe_shows_its_own_options(name):
    said = asked(name, "--help")
    assert f"\nOptions of the recipe: see `netc {name} --help-all`.\n" in said
    assert "--clip-norm" not in said and "--optimizer KIND" in said


def test_every_command_that_takes_a_recipe_has_sections():
    assert [n for n in COMMANDS if any(vars(p).get("section", SIZE) != SIZE for p in options_of(n))] == LISTED


def test_a_new_row_stands_in_the_section_of_its_class():
    @dataclass(frozen=True)
    class Slow(SGD):
        slowness: float = option(0.0, "How slow.")

    def command():
        """Nothing."""

    for made in row_options([("", Slow)]):
        made(command)
    assert {vars(p)["section"] for p in command.__click_params__} == {"Optimizer"}
    assert "slowness" in {p.name for p in command.__click_params__}


def test_an_empty_default_is_off():
    assert "evaluate on it.  [default: off]" in " ".join(asked("train", "--help-all").split()).replace(" [", "  [")


def test_short_names_of_losses_stand_beside_the_words():
    said = " ".join(asked("train", "--help").split())
    assert "binaryCrossEntropy (bce), meanSquaredError (mse), huber," in said


def test_completion_knows_the_options_that_the_short_help_leaves_out():
    found = ShellComplete(cli, {}, "netc", "_NETC_COMPLETE").get_completions(["train", "mnist-mlp"], "--clip")
    assert {item.value for item in found} == {"--clip-norm", "--clip-value"}
