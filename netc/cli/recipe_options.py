"""The options that make a recipe, shared by the commands that emit a training program."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from netc.netspec.loss import Loss
    from netc.netspec.recipe import Recipe

F = TypeVar("F", bound=Callable[..., Any])

OPTIMIZERS = ("adam", "adamw", "sgd")
PRECISIONS = ("f32", "bf16")

_OPTIONS = (
    click.option("--optimizer", type=click.Choice(OPTIMIZERS), default="adam", show_default=True),
    click.option("--beta1", type=float, help="Adam's decay of the first moment.  [default: 0.9]"),
    click.option("--beta2", type=float, help="Adam's decay of the second moment.  [default: 0.999]"),
    click.option("--eps", type=float, help="Adam's epsilon.  [default: 1e-8]"),
    click.option("--momentum", type=float, help="SGD's momentum.  [default: 0.9]"),
    click.option("--nesterov", is_flag=True, help="SGD looks ahead along its velocity."),
    click.option("--weight-decay", type=float, help="Decoupled for adamw, L2 else.  [default: 0.01 for adamw, 0 else]"),
    click.option("--decay-all", is_flag=True, help="Decay also biases and the scales of normalisations."),
    click.option(
        "--loss", default="crossEntropy", show_default=True, metavar="KIND", help="What the output is judged by."
    ),
    click.option(
        "--loss-option", multiple=True, metavar="NAME=VALUE", help="gamma=1.5, or weights=1,2,1 for three classes."
    ),
    click.option("--label-smoothing", type=float, help="Of crossEntropy.  [default: 0]"),
    click.option(
        "--precision",
        type=click.Choice(PRECISIONS),
        default="f32",
        show_default=True,
        help="bf16: products of matrices and convolutions take bf16 numbers; the weights stay float32.",
    ),
    click.option(
        "--accumulate",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        metavar="N",
        help="Pass each batch in N parts and add their gradients, in the memory of one part.",
    ),
    click.option("--remat", is_flag=True, help="Compute blocks again in the backward pass: less memory, more time."),
    click.option("--scan-blocks", is_flag=True, help="Make equal blocks in a row one loop: deep nets compile faster."),
    click.option("--check-labels", is_flag=True, help="Leave labels that are no class out of the loss; count them."),
)


steps_per_call_option = click.option(
    "--steps-per-call",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="K",
    help="Take K steps in one call of the device, with the same results: for small nets.",
)


def recipe_options(command: F) -> F:
    """Add the options."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def recipe_of(options: Mapping[str, Any]) -> Recipe:
    """The recipe that the options say; raises SpecError, and UserError for an option of another optimizer."""
    from netc.netspec.errors import UserError
    from netc.netspec.recipe import SGD, Adam, Recipe

    kind = options["optimizer"]
    names = {"beta1": "beta1", "beta2": "beta2", "eps": "epsilon"} if kind != "sgd" else {"momentum": "momentum"}
    foreign = {"beta1", "beta2", "eps", "momentum"} - names.keys()
    given = {n for n in foreign if options[n] is not None} | (
        {"nesterov"} if options["nesterov"] and kind != "sgd" else set()
    )
    if given:
        shown = ", ".join(f"--{n}" for n in sorted(given))
        raise UserError(
            f"{shown} does not belong to --optimizer {kind}; leave it out, or choose the optimizer that has it"
        )
    values = {field: options[n] for n, field in names.items() if options[n] is not None}
    decay = options["weight_decay"]
    values["weight_decay"] = decay if decay is not None else 0.01 if kind == "adamw" else 0.0
    optimizer = (
        SGD(nesterov=options["nesterov"], **values) if kind == "sgd" else Adam(decoupled=kind == "adamw", **values)
    )
    named = {n: options[n] for n in ("precision", "accumulate", "remat", "scan_blocks", "check_labels")}
    return Recipe(optimizer, loss_of(options), options["decay_all"], **named).check()


def loss_of(options: Mapping[str, Any]) -> Loss:
    """The loss that the options say; raises UserError for an unknown kind or an option that it does not have."""
    from dataclasses import fields
    from typing import get_type_hints

    from netc.netspec.errors import UserError
    from netc.netspec.loss import LOSSES

    kind = options["loss"]
    cls = LOSSES.get(kind)
    if cls is None:
        raise UserError(f"--loss wants one of {', '.join(LOSSES)}, got {kind!r}")
    pairs = [text.partition("=")[::2] for text in options["loss_option"]]
    given = dict(pairs)
    for name in given:
        if (times := sum(name == n for n, _ in pairs)) > 1:
            raise UserError(f"--loss-option wants each name once, got {name} {times} times; leave the others out")
    if options["label_smoothing"] is not None:
        if "smoothing" in given:
            raise UserError("wants --label-smoothing or --loss-option smoothing, got both; leave one out")
        given["smoothing"] = repr(options["label_smoothing"])
    hints, names = get_type_hints(cls), [f.name for f in fields(cls)]
    values: dict[str, Any] = {}
    for name, text in given.items():
        if name not in names:
            shown = ", ".join(names) or "none"
            raise UserError(f"--loss {kind} has no option {name!r}; its options are: {shown}")
        try:
            numbers = tuple(float(part) for part in text.split(","))
        except ValueError as error:
            raise UserError(f"--loss-option {name} wants numbers, got {text!r}; write {name}=0.5") from error
        if hints[name] is float and len(numbers) != 1:
            raise UserError(f"--loss-option {name} wants one number, got {text!r}")
        values[name] = numbers[0] if hints[name] is float else numbers
    return cls(**values)
