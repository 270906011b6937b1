"""What a new word lacks: its rows in the other rooms, its cases, its page. python scripts/check_word.py activation/mish

With --plugin FILE.py, a word that the file adds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from netc.codegen.layers.activation import TABLE
from netc.codegen.losses import LOSS_RULES, METRICS
from netc.codegen.optim import RULES
from netc.codegen.rules import RULES as LAYER_RULES
from netc.netspec.activations import ACTIVATIONS
from netc.netspec.layer import Composite
from netc.netspec.layers import KINDS, VOCABULARY
from netc.netspec.loss import LOSSES
from netc.netspec.optimizers import OPTIMIZERS
from netc.netspec.plugins import load_file
from netc.netspec.schedules import SCHEDULES
from netc.netspec.vocabulary import Vocabulary
from netc.proofs_oracle.references import REFERENCES, activation, losses, optimizers
from netc.proofs_oracle.twin.forward import COMBINATORS, LEAVES
from netc.proofs_oracle.twin.schedules import FACTORS
from netc.runtime.data.catalog import DATASETS

PAGES = Path(__file__).resolve().parent.parent / "docs" / "layers"
VOCABULARIES: dict[str, Vocabulary] = {
    "activation": ACTIVATIONS, "optimizer": OPTIMIZERS, "schedule": SCHEDULES, "loss": LOSSES, "layer": VOCABULARY,
    "data": DATASETS,
}  # fmt: skip


def _activation(word: str) -> Iterator[tuple[str, bool]]:
    yield f"its rule: TABLE[{word!r}] in codegen/layers/activation.py", word in TABLE
    yield f"its reference: FUNCTIONS[{word!r}] in proofs_oracle/references/activation.py", word in activation.FUNCTIONS
    yield "its results: python scripts/make_layer_docs.py activation", f"activation/{word} " in _pages()


def _optimizer(word: str) -> Iterator[tuple[str, bool]]:
    cls = OPTIMIZERS[word].cls
    found = optimizers.OPTIMIZERS.get(cls)
    yield f"its rule: RULES[{cls.__name__}] in codegen/optim", cls in RULES
    yield f"its reference: OPTIMIZERS[{cls.__name__}] in proofs_oracle/references/optimizers.py", found is not None
    yield "its cases, in the reference", bool(found and found.cases)
    yield "its form in JAX, in the reference (else no emit-jax)", bool(found and found.form)


def _schedule(word: str) -> Iterator[tuple[str, bool]]:
    cls = SCHEDULES[word]
    factors = [cls().factor(t / 1000) for t in range(1001)]
    yield (
        "factor(t) goes up to 1, where the rate is lr, and not below 0",
        min(factors) >= 0 and 0.999 < max(factors) <= 1,
    )
    if not cls.by_evaluation:  # of time alone, which a script knows
        yield (
            f"its form: FACTORS[{cls.__name__}] in proofs_oracle/twin/schedules.py (else no emit-jax)",
            cls in FACTORS,
        )


def _loss(word: str) -> Iterator[tuple[str, bool]]:
    cls = LOSSES[word]
    yield f"its rule: @loss_rule({cls.__name__}) in codegen/losses.py", cls in LOSS_RULES
    yield f"its metric, one of {', '.join(METRICS)}", cls.metric in METRICS
    yield f"its reference: LOSSES[{word!r}] in proofs_oracle/references/losses.py", word in losses.LOSSES
    yield "its cases: CASES there", any(type(case.loss) is cls for case in losses.CASES)


def _layer(word: str) -> Iterator[tuple[str, bool]]:
    cls = VOCABULARY[word]
    found = REFERENCES.get(word)
    composite = issubclass(cls, Composite)
    form = composite or cls in LEAVES or cls in COMBINATORS
    yield f"its rule: @rule({cls.__name__}) in codegen/layers", composite or cls in LAYER_RULES
    yield "its reference: a Reference in proofs_oracle/references", found is not None
    yield "a case that must be refused, in the reference", bool(found and found.bad_cases)
    yield "its form: a row of proofs_oracle/twin (else no emit-jax)", form
    yield "its results: a marker on a page of docs/layers, then scripts/make_layer_docs.py", f"| {word}/" in _pages()


def _data(word: str) -> Iterator[tuple[str, bool]]:
    entry = DATASETS[word]
    yield "make, or forms in which it lies in a folder", bool(entry.make or entry.forms)
    yield "its source and licence", bool(entry.source and entry.licence)


def _pages() -> str:
    return "".join(path.read_text() for path in PAGES.glob("*.md"))


CHECKS = {
    "activation": _activation, "optimizer": _optimizer, "schedule": _schedule, "loss": _loss, "layer": _layer,
    "data": _data,
}  # fmt: skip


def main() -> int:
    """Print a line for each thing; the exit code says whether anything is missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("words", nargs="+", metavar="WHAT/WORD", help=f"{', '.join(CHECKS)}; alone: all of its words")
    parser.add_argument("--plugin", action="append", default=[], type=Path, metavar="FILE.py")
    given, missing = parser.parse_args(), 0
    for file in given.plugin:
        load_file(file)
    for what, _, word in (each.partition("/") for each in given.words):
        if what not in CHECKS:
            parser.error(f"wants one of {', '.join(CHECKS)}, got {what!r}")
        vocabulary = VOCABULARIES[what]
        if word and vocabulary.word(word) is None:
            parser.error(f"its row is missing: {vocabulary.problem(word, what)}")
        every = KINDS if what == "layer" else vocabulary  # what is only counted lacks the rest on purpose
        for name in [str(vocabulary.word(word))] if word else every:
            for said, there in CHECKS[what](name):
                missing += not there
                if word or not there:
                    print(f"{'ok' if there else 'missing':8}{what}/{name}: {said}")
    print(f"{missing} missing" if missing else "nothing is missing")
    return min(missing, 1)


if __name__ == "__main__":
    sys.exit(main())
