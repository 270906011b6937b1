"""What commands share: the NET argument and its options, `--json`, and where downloaded data lies."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from netc.cli.console import say, write
from netc.cli.sections import SIZE, under
from netc.netspec.vocabulary import options_of
from netc.netspec.zoo.sizes import Sizes

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from netc.codegen.rewrite.form_overrides import FormOverrides
    from netc.netspec.check import CheckedNet
    from netc.netspec.spec import NetSpec

Command = TypeVar("Command", bound=Callable[..., Any])


class BatchType(click.ParamType):  # type: ignore[type-arg, unused-ignore]  # generic since click 8.4
    """A number of examples, `dynamic`, or a range."""

    name = "N|dynamic|LO..HI"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number, or the range."""
        from netc.netspec.batch import parse_batch

        return parse_batch(value)


BATCH = BatchType()

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
checkpoint_option = click.option(
    "--checkpoint", type=click.Choice(["best", "last"]), default="best", show_default=True, help="Checkpoint to load."
)
run_target_option = click.option("--target", help="Target to run on.  [default: the run's own]")
weights_option = click.option(
    "--weights",
    metavar="plain|ema|swa",
    help="Plain weights, or the average that was kept.  [default: the average, if any]",
)


def complete_net(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of the zoo that begin like that; else files."""
    from click.shell_completion import CompletionItem

    from netc.netspec.zoo import ZOO

    names = [CompletionItem(name) for name in ZOO if name.startswith(incomplete)]
    return names or [CompletionItem(incomplete, type="file")]


net_argument = click.argument("net", metavar="NET", shell_complete=complete_net)


def net_options(command: Command) -> Command:
    """Add `--classes`, `--input` and the sizes of a net; the command gets `classes`, `input_` and the words of SIZES.

    A flag that the command has already stays what it is there: `--layers` of certify is another.
    """
    taken = {flag for p in getattr(command, "__click_params__", ()) for flag in p.opts}
    classes = click.option("--classes", type=int, metavar="N", help="Number of output classes.")
    shape = click.option("--input", "input_", metavar="HxWxC", help="Input shape, such as 224x224x3 or 784.")
    for name, f in reversed(options_of(Sizes).items()):
        flag, about = f"--{name.replace('_', '-')}", f.metadata["help"]
        if flag in taken:
            continue
        made = click.option(flag, name, type=click.IntRange(min=1), metavar="N", help=f"{about}  [default: the net's]")
        command = under(SIZE, made)(command)
    return classes(shape(command))


tuned_option = click.option(
    "--no-tuned",
    "tuned",
    is_flag=True,
    flag_value=False,
    default=True,
    help="Ignore what `netc tune` measured; use the target's default convolution forms.",
)


def given() -> dict[str, Any]:
    """The options that the command line itself states, by the fields that they set."""
    context = click.get_current_context()
    stated = {n: v for n, v in context.params.items() if context.get_parameter_source(n) is not ParameterSource.DEFAULT}
    return {name.rstrip("_"): value for name, value in stated.items()}


def tuned_choices(target: str, *, tuned: bool) -> FormOverrides:
    """What `netc tune` kept on this machine for a target: forms of single convolutions, none with `--no-tuned`."""
    from netc import programs
    from netc.codegen.rewrite.form_overrides import NO_OVERRIDES

    return programs.tuned_choices(target, warn) if tuned else NO_OVERRIDES


def warn(text: str) -> None:
    """Say on standard error what the user should know."""
    say(f"netc: {text}", err=True)


def tuned_line(choices: FormOverrides) -> str:
    """One line that says that they are in use."""
    from netc.codegen.rewrite.form_overrides import digest_of

    count = f"{len(choices)} convolution" + ("" if len(choices) == 1 else "s")
    return f"{count} chosen by `netc tune` (digest {digest_of(choices)}); --no-tuned ignores them"


def resolve_net(
    name: str,
    classes: int | None,
    input_: str | None,
    sizes: Mapping[str, int | None] | None = None,
    spec: NetSpec | None = None,
) -> CheckedNet:
    """The checked net of that name or file (.toml, .lean), with the changes asked for; raises UserError, SpecError.

    `spec` is the net, where it has been read already.
    """
    from netc.programs import resolve

    return resolve(spec or name, classes, input_, {n: value for n, value in (sizes or {}).items() if value is not None})


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    write(json.dumps(value, indent=2, allow_nan=False) + "\n")
