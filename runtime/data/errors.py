"""What can be wrong with data."""

from __future__ import annotations

from collections.abc import Sequence

from netc.netspec.errors import UserError

MOST_PROBLEMS = 1_000  # that a message lists, so that all can be fixed at once; more are counted

REPAIR = "repair or remove the file"
SKIP = f"{REPAIR}, or go on without it: `on_damaged=skip`"


class DataError(UserError):
    """The data is missing, damaged, or not of the kind that was asked for; `problems` has a sentence for each fault."""

    def __init__(self, sentence: str, problems: Sequence[str] = ()) -> None:
        self.problems = tuple(problems) or (sentence,)
        super().__init__(sentence)


def refuse(what: str, problems: Sequence[str]) -> None:
    """Raise `DataError` with all problems of `what` in one message, if there are any.

    A training may go on without damaged files, which the message says.
    """
    problems = [p.replace(REPAIR, SKIP) if SKIP not in p else p for p in problems]
    if len(problems) == 1:
        raise DataError(problems[0])
    if problems:
        more = [f"and {len(problems) - MOST_PROBLEMS:,} more"] if len(problems) > MOST_PROBLEMS else []
        raise DataError(
            "\n".join((f"{what} has {len(problems):,} problems:", *problems[:MOST_PROBLEMS], *more)), problems
        )
