"""Documents kept apart: each has the logits that it has alone, written token by token too, and what is refused."""

import numpy as np
import pytest

from netc.codegen import evaluator
from netc.codegen.program import build
from netc.codegen.sampler import build_sampler
from netc.netspec import layers as nn
from netc.netspec.documents import Documents
from netc.netspec.errors import SpecError, UserError
from netc.netspec.recipe import Recipe
from tests.codegen.test_sampler import BATCH, CONTEXT, NETS, VOCABULARY, model, padded, weights

END = 3
APART = Recipe(documents=Documents(True, END))
ASKED = [name for name in NETS if name not in ("convolutions", "mamba")]
TEXT = np.array([[1, 2, END, 4, 5, 6, END, END, 7], [END, 8, 9, 10, 0, 1, 2, 4, END]], np.int32)


def logits_of(net, held, text, recipe=APART):
    return evaluator.run(build(net, recipe, BATCH).module, "predict", [*held, text], "f32")[0]


@pytest.mark.parametrize("name", ASKED)
def test_a_document_is_what_it_is_alone_and_token_by_token(name):
    net = NETS[name]
    _, held = weights(net)
    found = logits_of(net, held, TEXT)
    for row, text in enumerate(TEXT):
        for part in np.split(np.arange(CONTEXT), np.flatnonzero(text[:-1] == END) + 1):
            alone = logits_of(net, held, padded(np.tile(text[part], (BATCH, 1))), Recipe())
            np.testing.assert_allclose(found[row, part], alone[0, : len(part)], rtol=1e-5, atol=1e-5)
    sampler = build_sampler(net, BATCH, APART, least=4)
    first = [*held, TEXT[:, :4], np.int32(3)]
    *state, _, logits = evaluator.run(sampler.program.module, "prefill_4", first, "f32")
    for place in range(2, CONTEXT - 1):
        np.testing.assert_allclose(logits, found[:, place], rtol=1e-5, atol=1e-5)
        given = [*state, *held, TEXT[:, place + 1]]
        *state, logits = evaluator.run(sampler.program.module, "decode", given, "f32")
    assert state[-2].tolist() == [8, 9] and sampler.own[-2].name == "document"


@pytest.mark.parametrize(
    ("net", "documents", "what"),
    [
        (
            NETS["mamba"],
            Documents(True, END),
            r"causal attention alone, got \w+ \(\w+.body.mambaBlock0",
        ),
        (
            NETS["convolutions"],
            Documents(True, END),
            r"causal attention alone, got \w+ \(\w+.body.conv1d0",
        ),
        (model(nn.MultiHeadAttention(2)), Documents(True, END), "wants causal attention in one group, got"),
        (NETS["rope"], Documents(True), "needs the token that ends a document, got none"),
        (NETS["rope"], Documents(True, VOCABULARY), "`document_end` wants one of the net's 11 tokens, got 11"),
        (NETS["rope"], Documents(False, 2), "`document_end` belongs to `document_mask`, got 2 without"),
        (NETS["rope"], Documents(True, -2), "`document_end` wants the id of a token, or -1"),
    ],
)
def test_what_cannot_be_kept_apart_is_refused(net, documents, what):
    with pytest.raises((SpecError, UserError), match=what):
        build(net, Recipe(documents=documents), 1)
