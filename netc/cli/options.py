"""What commands share: the NET argument and its options, `--json`, and where downloaded data lies."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from netc.cli.console import say, write

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from netc.codegen.rewrite.form_overrides import FormOverrides
    from netc.netspec.check import CheckedNet
    from netc.netspec.spec import NetSpec

Command = TypeVar("Command", bound=Callable[..., Any])

_SHAPE = re.compile(r"[1-9][0-9]{0,8}(x[1-9][0-9]{0,8})*")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def complete_net(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of the zoo that begin like that; else files."""
    from click.shell_completion import CompletionItem

    from netc.netspec.zoo import ZOO

    names = [CompletionItem(name) for name in ZOO if name.startswith(incomplete)]
    return names or [CompletionItem(incomplete, type="file")]


net_argument = click.argument("net", metavar="NET", shell_complete=complete_net)


def net_options(command: Command) -> Command:
    """Add `--classes` and `--input`; the command gets `classes` and `input_`, for `resolve_net`."""
    classes = click.option("--classes", type=int, metavar="N", help="Number of output classes.")
    shape = click.option("--input", "input_", metavar="HxWxC", help="Input shape, such as 224x224x3 or 784.")
    return classes(shape(command))


tuned_option = click.option(
    "--no-tuned", is_flag=True, help="Ignore `netc tune` results; use the target's default forms."
)


def tuned_choices(target: str, no_tuned: bool) -> FormOverrides:
    """What `netc tune` kept on this machine for a target: forms of single convolutions, none with `--no-tuned`."""
    from netc.codegen.rewrite.form_overrides import NO_OVERRIDES
    from netc.runtime.cache.store import cache_root
    from netc.runtime.measure.tuned import choices_for
    from netc.runtime.target import parse_target

    if no_tuned:
        return NO_OVERRIDES
    return choices_for(parse_target(target), cache_root(), lambda text: say(f"netc: {text}", err=True))


def tuned_line(choices: FormOverrides) -> str:
    """One line that says that they are in use."""
    from netc.codegen.rewrite.form_overrides import digest_of

    count = f"{len(choices)} convolution" + ("" if len(choices) == 1 else "s")
    return f"{count} as `netc tune` measured (digest {digest_of(choices)}); --no-tuned leaves that out"


def parse_input(text: str) -> tuple[int, ...]:
    """`224x224x3` -> (224, 224, 3); raises UserError."""
    from netc.netspec.errors import UserError

    lowered = text.strip().lower().replace("×", "x")
    if not _SHAPE.fullmatch(lowered):
        raise UserError(
            f"--input wants positive sizes as in 224x224x3 (height, width, channels) or 784, got {text!r}; write it so"
        )
    return tuple(map(int, lowered.split("x")))


def resolve_net(name: str, classes: int | None, input_: str | None, spec: NetSpec | None = None) -> CheckedNet:
    """The checked net of that name or file (.toml, .lean), with the changes asked for; raises UserError, SpecError.

    `spec` is the net, where it has been read already.
    """
    from netc.netspec.check import check
    from netc.netspec.find import find

    spec = spec or find(name)
    if input_ is not None:
        spec = spec.with_input(parse_input(input_))
    if classes is not None:
        spec = spec.with_classes(classes)
    return check(spec)


def data_cache() -> Path:
    """The folder that downloaded data sets lie in: `data` in NETC_CACHE_DIR, or in the user's cache folder."""
    from netc.runtime.cache.store import cache_root

    return cache_root() / "data"


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    write(json.dumps(value, indent=2, allow_nan=False) + "\n")
