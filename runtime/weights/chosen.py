"""Which weights of a checkpoint are looked at: the plain ones, or the average that its recipe keeps beside them."""

from __future__ import annotations

from collections.abc import Mapping

from netc.netspec.errors import UserError
from netc.netspec.recipe import Recipe
from netc.runtime.backends.protocol import Array

PLAIN = "plain"


def weights_word(recipe: Recipe, given: str | None) -> str:
    """`plain`, or the name of the recipe's average, which it is where nothing is given and there is one.

    Raises UserError for weights that a run of this recipe does not have.
    """
    average = recipe.averaging.word
    known = [word for word in (average, PLAIN) if word]
    if given is None:
        return known[0]
    if given not in known:
        only = f"`weights` wants {' or '.join(known)}, which this run has, got {given!r}"
        raise UserError(f"{only}; {'leave it out' if len(known) == 1 else 'choose one of them'}")
    return given


def chosen_weights(tensors: Mapping[str, Array], weights: str) -> dict[str, Array]:
    """The state with the average of that name in the place of the parameters and statistics, or as it is for `plain`.

    Slots keep their names, so that what reads weights need not know of averages.
    """
    own = f"{weights}/"
    averages = {n.removeprefix(own): t for n, t in tensors.items() if weights != PLAIN and n.startswith(own)}
    return {**tensors, **averages}
