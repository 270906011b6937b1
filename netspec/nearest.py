"""The words near to one that nobody knows, as messages say them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

SHORTEST = 3  # letters of a word that is looked for within others
BEGINNING = 4  # letters of a beginning that two words share
MOST_SLIPS = 4
LONGEST = 60  # letters of words that are compared


def near(word: str, known: Iterable[str], most: int = 3) -> tuple[str, ...]:
    """The known words, at most `most`, of which one may have been meant; empty rather than a word like no other.

    First those that slips of the pen lead to, the fewest first: at most one slip in about three letters. Then those
    that contain the word and those that it begins with; where there are none, those that begin as it does for half
    their length. Capitals, hyphens, underscores and spaces do not count.
    """
    if len(given := fold(word)) > LONGEST:
        return ()
    names = {name: other for name in known if len(other := fold(name)) <= LONGEST}
    slips = {name: slips_between(given, other, _allowed(given, other)) for name, other in names.items()}
    close = sorted(
        (name for name, count in slips.items() if count is not None),
        key=lambda name: (slips[name] or 0, given not in names[name]),
    )
    around = [name for name, other in names.items() if len(given) >= SHORTEST and given in other]
    begun = [name for name, other in names.items() if len(other) >= SHORTEST and given.startswith(other)]
    alike = [name for name, other in names.items() if _begin_alike(given, other)]
    return tuple(dict.fromkeys([*close, *around, *begun] or alike))[:most]


def did_you_mean(word: str, known: Iterable[str], otherwise: str) -> str:
    """`did you mean stem or stage1?`, or `otherwise` where no known word is near."""
    found = near(word, known)
    return f"did you mean {' or '.join(found)}?" if found else otherwise


def fold(word: str) -> str:
    """The word as it is compared."""
    return word.replace("-", "").replace("_", "").replace(" ", "").lower()


def slips_between(a: str, b: str, most: int) -> int | None:
    """How many letters to add, drop, change, or exchange with the next lead from a to b; None for more than `most`.

    The optimal string alignment distance (Damerau 1964), row by row of its table, near the diagonal alone.
    """
    longest = max(len(a), len(b))
    if longest - sum((Counter(a) & Counter(b)).values()) > most or abs(len(a) - len(b)) > most:
        return None
    far = most + 1
    row = {j: j for j in range(min(len(b), most) + 1)}
    twice: dict[int, int] = {}
    before: dict[int, int] = {}
    for i in range(1, len(a) + 1):
        twice, before, row = before, row, {}
        for j in range(max(0, i - most), min(len(b), i + most) + 1):
            steps = [before.get(j, far) + 1, row.get(j - 1, far) + 1]
            if j:
                steps.append(before.get(j - 1, far) + (a[i - 1] != b[j - 1]))
            if i > 1 and j > 1 and a[i - 2 : i] == b[j - 2 : j][::-1]:
                steps.append(twice.get(j - 2, far) + 1)
            row[j] = min(steps)
    return found if (found := row[len(b)]) <= most else None


def _begin_alike(a: str, b: str) -> bool:
    """Whether they share the first half of the longer."""
    half = max(BEGINNING, (max(len(a), len(b)) + 1) // 2)
    return len(a) >= half and a[:half] == b[:half]


def _allowed(a: str, b: str) -> int:
    """How many slips may lie between them."""
    return min((max(len(a), len(b)) + 1) // 3, MOST_SLIPS)
