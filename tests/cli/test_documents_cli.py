"""Documents of a text that are kept apart: trained, evaluated, written from; mistakes."""

import json

import pytest

from tests.cli.small_language import HEAD

SPEC = f'{HEAD}body = {{ kind = "transformerEncoder", heads = 2, mlp = 8, causal = true }}\n'
WORDS = "--target reference --batch 16 --max-steps 3 --lr 0.02 --quiet --document-mask"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("documents")
    (folder / "small.toml").write_text(SPEC)
    (folder / "books").mkdir()
    for n in range(40):
        (folder / "books" / f"{n:02}.txt").write_text("to be or not\n" * (n % 3 + 1))
    return folder


def test_the_tokenizer_says_where_documents_end(netc, place):
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"?": 0, "to": 1, "be": 2, "</s>": 3}, "?"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.save(str(place / "words.json"))
    given = ["--data", "text:books", "--tokenizer", "words.json", "--out", "apart"]
    code, _, err = netc("train", "small.toml", *WORDS.split(), *given)
    assert code == 0, err
    recipe = json.loads((place / "apart" / "run.json").read_text())["recipe"]
    assert recipe["documents"] == {"document_mask": True, "document_end": 3}
    assert netc("eval", "apart")[0] == 0
    code, out, err = netc("sample", "apart", "--prompt", "to be", "--tokens", "3")
    assert code == 0 and out.startswith("to be"), err
    code, _, err = netc("export", "apart", "--onnx", "apart.onnx")
    assert code == 2 and "wants a run without `document_mask`" in err


@pytest.mark.parametrize(
    ("words", "what"),
    [("--data text:books", "--document-mask wants a tokenizer with a token that ends documents"),
     ("--data text:books --document-end 999", "--document-end wants one of the net's 8 tokens, got 999"),
     ("--data digits", "digits holds images, and the net takes token ids; give --data text:FILE")],
)  # fmt: skip
def test_mistakes(netc, place, words, what):
    code, _, err = netc("train", "small.toml", *WORDS.split(), "--out", "wrong", *words.split())
    assert code == 2 and what in err and not (place / "wrong").exists()
