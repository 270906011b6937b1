"""Forms of own data: one table, from which messages, `netc data ls` and the docs are made."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from netc.cli.data import data
from netc.runtime.data import catalog, own
from netc.runtime.data.dataset import Dataset
from netc.runtime.data.errors import DataError

X, Y = np.arange(60, dtype=np.float32).reshape(20, 3), np.arange(20) % 3


def load(name, **words):
    return catalog.load(name, cache_dir=Path(), **words)


@pytest.mark.parametrize("word", own.OWN_FORMS)
def test_each_form_refuses_what_it_cannot_take(word, tmp_path):
    form = own.OWN_FORMS[word]
    with pytest.raises(DataError, match=re.escape(f"wants a {form.what} after the colon, got nothing; give {word}:")):
        load(f"{word}:")
    with pytest.raises(DataError, match=r"wants no `data_dir`, got .*; leave it out"):
        load(f"{word}:{tmp_path}", data_dir=tmp_path)
    with pytest.raises(DataError, match=f"no such|nothing there|cannot be read|{form.what}"):
        load(f"{word}:{tmp_path / 'missing'}")
    with pytest.raises(DataError, match=f"the catalogue wants a data set's name, got {re.escape(word)}:x, your own"):
        catalog.fetch(f"{word}:x", tmp_path)


def test_a_form_is_one_row(tmp_path, monkeypatch):
    ones = Dataset.from_arrays(X, Y)
    asked = []
    row = own.OwnForm(
        "FILE", "file of ones", "ones, as many as you like", lambda a: asked.append(a) or ones,
        lambda path: path.suffix == ".ones", {"many": "how many"},
    )  # fmt: skip
    monkeypatch.setitem(own.OWN_FORMS._rows, "ones", row)
    monkeypatch.setitem(own.OWN_FORMS._words, "ones", "ones")
    assert load("ones:a,b.ones,many=3") is ones and load("ones:a,many=3,other.ones") is ones
    assert (asked[0].path, asked[0].options) == (Path("a,b.ones"), {"many": "3"})
    assert (asked[1].path, asked[1].options) == (Path("a,many=3,other.ones"), {})
    (tmp_path / "a,many=3").write_text("")
    assert load(f"ones:{tmp_path}/a,many=3") is ones and asked[2].path == tmp_path / "a,many=3"
    with pytest.raises(DataError, match="ones wants no options but many, got 'few'; leave it out"):
        load("ones:a,few=3")
    with pytest.raises(DataError, match=r"one of digits, .*, ones:FILE, got 'b.ones'; write ones:b.ones$"):
        load("b.ones")
    with pytest.raises(DataError, match=r"got 'onez:b'; did you mean ones:b\?$"):
        load("onez:b")
    assert "ones:FILE" in (said := CliRunner().invoke(data, ["ls"]).stdout) and "ones, as many as you like" in said


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("d.npz", x=X, y=Y, x_test=X[:4], y_test=Y[:4])
    Path("folder").mkdir()
    for name, array in {"x": X, "y": Y, "x_test": X[:4], "y_test": Y[:4]}.items():
        np.save(f"{name}.npy", array)
        np.save(f"folder/{name}.npy", array)


def test_arrays_lie_in_one_file_in_several_or_in_a_folder(files):
    names = ("d.npz", "folder", "x.npy,y.npy,x_test.npy,y_test.npy")
    found = [load(f"arrays:{name}") for name in names]
    assert len({one.digest for one in found}) == 1 and [one.name for one in found] == [f"arrays:{n}" for n in names]
    for one in found:
        assert np.array_equal(one.train.x, X) and np.array_equal(one.test.y, Y[:4])
    two = load("arrays:x.npy,y.npy")
    assert (len(two.train), len(two.test)) == (18, 2)
    assert isinstance(found[1].train.x, np.memmap) or isinstance(found[1].train.x.base, np.memmap)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("/etc/passwd", r"wants a .npz file, two .npy files .*, got /etc/passwd, which is none of these; write one by"),
        ("nowhere/d", "got nowhere/d: no such file; check the path"),
        ("x.npy", r"arrays:x.npy wants targets too, got one array; give arrays:x.npy,Y.npy, or write one file by"),
        ("x.npy,y.npy,x_test.npy", "wants X.npy,Y.npy and optionally two more for the test, got 3 files"),
        ("x.npy,z.npy", r"z.npy wants a .npy file of one array, got one that cannot be read .*No such file"),
        ("x.npy,d.npz", r"d.npz wants a .npy file of one array, got something else; write it by np.save"),
        ("half", "arrays:half wants x.npy and y.npy in the folder, got y.npy; write them by np.save"),
        ("mine", "arrays:mine were arrays of a Python program, which netc does not keep"),
        ("short.npy,y.npy", r"short.npy wants a .npy file of one array, got one that cannot be read"),
    ],
)
def test_wrong_arrays_get_a_true_sentence(files, name, sentence):
    Path("half").mkdir()
    np.save("half/y.npy", Y)
    Path("short.npy").write_bytes(Path("x.npy").read_bytes()[:200])
    with pytest.raises(DataError, match=sentence):
        load(f"arrays:{name}")


def test_the_page_on_data_has_the_table():
    page = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8")
    for name, form in zip(own.own_names(), own.OWN_FORMS.values(), strict=True):
        assert f"| `{name}` | {form.about} |" in page
        for word, about in form.options.items():
            assert f"| `{name.partition(':')[0]}` | `{word}` | {about} |" in page
