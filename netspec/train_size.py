"""A net trained at one size of image and tested at another: it has the same parameters at both, or is refused."""

from __future__ import annotations

from netc.netspec.check import CheckedNet, check
from netc.netspec.errors import SpecError, UserError


def at_train_size(net: CheckedNet, height: int) -> CheckedNet:
    """The net for images of `height`, their width in proportion; the net itself where `height` is 0 or its own.

    Raises UserError for a net whose parameters depend on the size, naming the first layer that has such.
    """
    given = net.spec.input
    if height in (0, given[0]):
        return net
    width, rest = divmod(height * given[1], given[0]) if len(given) == 3 else (0, 1)
    if rest:
        raise UserError(
            f"`train_size` wants a height whose width is a whole number in proportion to the `input` {list(given)}, "
            f"got {height}; give another"
        )
    at = f"{height}x{width}"
    try:
        found = check(net.spec.with_input((height, width, given[2])))
    except SpecError as error:
        raise UserError(f"`train_size={height}` does not fit: {error.problems[0]}") from error
    for name, shape in net.shapes.items():
        if found.shapes.get(name) != shape:
            got = found.shapes.get(name)
            raise UserError(
                f"`train_size` wants a net that takes any size, and {name} of {net.spec.name} is "
                f"{list(shape)} for {given[0]}x{given[1]}, {list(got) if got else 'nothing'} for {at}; end the net in "
                "globalAvgPool, or leave `train_size` out"
            )
    return found
