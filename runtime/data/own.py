"""Your own data: `OWN_FORMS` has a row for each form in which it may lie, given as `imagefolder:PATH`, `text:FILE`, ..

A row says what stands behind the colon, how it is read, and which paths are of this form where somebody forgot to say
so. The messages, `netc data ls` and the page on data are made from the rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from netc.netspec.nearest import did_you_mean
from netc.netspec.vocabulary import Vocabulary
from netc.runtime.data.array_files import load_arrays
from netc.runtime.data.corpus import OPTIONS as TEXT_OPTIONS
from netc.runtime.data.csv_file import HEADER, load_csv
from netc.runtime.data.dataset import Dataset
from netc.runtime.data.errors import DataError
from netc.runtime.data.folder import load_folder
from netc.runtime.data.layout import Found, parts
from netc.runtime.data.mask_folder import has_masks, load_masks
from netc.runtime.data.parquet_file import OPTIONS as PARQUET_OPTIONS
from netc.runtime.data.parquet_file import load_parquet
from netc.runtime.data.parquet_text import OPTION as TEXT_COLUMN
from netc.runtime.data.parquet_text import load_column
from netc.runtime.data.shards import OPTIONS as SHARD_OPTIONS
from netc.runtime.data.shards import load_shards
from netc.runtime.data.table import OPTIONS
from netc.runtime.data.text import PLAIN, Reading, load_text
from netc.runtime.data.token_shards import OPTIONS as TOKEN_OPTIONS
from netc.runtime.data.token_shards import load_tokens

_OPTION = re.compile(r",([a-z_]+)=([^,]*)")


@dataclass(frozen=True)
class Asked:
    """Own data as it was asked for: `name` in full, what stood behind its colon, and the options behind that.

    `whole`: undivided, for evaluation, where netc itself would divide it. `floats`: its targets are numbers and not
    classes, as the loss wants them. `skip_damaged`: damaged images are left out. `reading`: how text becomes tokens.
    """

    name: str
    path: Path
    options: Mapping[str, str] = field(default_factory=dict)
    whole: bool = False
    floats: bool = False
    skip_damaged: bool = False
    reading: Reading = PLAIN


@dataclass(frozen=True)
class OwnForm:
    """A form of own data.

    `place` is what stands behind the colon, `what` is that in a sentence (`folder`), `about` a line of the
    documentation. `claims(path)`: whether a path that was given without a form is of this one. `options` are the words
    that may follow the place, as `,word=value`, each with its line of documentation. `searched`: any folder in the
    place, or in its parts, is read as a class.
    """

    place: str
    what: str
    about: str
    load: Callable[[Asked], Dataset]
    claims: Callable[[Path], bool]
    options: Mapping[str, str] = field(default_factory=dict)
    searched: bool = False


OWN_FORMS: Vocabulary[OwnForm] = Vocabulary("form of data")


def _ends(*endings: str) -> Callable[[Path], bool]:
    return lambda path: path.suffix.lower() in endings


def _folder(asked: Asked, *, follow: bool = False) -> Dataset:
    return load_folder(asked.path, asked.name, follow=follow, whole=asked.whole, skip_damaged=asked.skip_damaged)


def _with_targets(load: Callable[..., Dataset]) -> Callable[[Asked], Dataset]:
    return lambda asked: load(
        asked.path, asked.name, asked.options, whole=asked.whole, floats=asked.floats, skip=asked.skip_damaged
    )


def _parquet(asked: Asked) -> Dataset:
    if TEXT_COLUMN in asked.options:
        return load_column(asked.path, asked.name, asked.options, asked.reading)
    return _with_targets(load_parquet)(asked)


OWN_FORMS.add(
    "imagefolder",
    OwnForm(
        "PATH", "folder", "images, in a folder for each class",
        _folder, lambda path: path.is_dir() and not has_masks(path), searched=True,
    ),
)  # fmt: skip
OWN_FORMS.add(
    "imagefolder+links",
    OwnForm(
        "PATH", "folder", "the same, with the links in it followed wherever they lead",
        lambda asked: _folder(asked, follow=True), lambda path: False, searched=True,
    ),
)  # fmt: skip
OWN_FORMS.add(
    "masks",
    OwnForm(
        "DIR", "folder", "images/ with a class for each pixel in masks/, for segmentation",
        lambda asked: load_masks(asked.path, asked.name, whole=asked.whole, skip_damaged=asked.skip_damaged),
        has_masks,
    ),
)  # fmt: skip
OWN_FORMS.add(
    "arrays",
    OwnForm(
        "PATH", "file or folder of arrays",
        "your own arrays: FILE.npz with x and y, or X.npy,Y.npy, or a folder with x.npy and y.npy",
        lambda asked: load_arrays(asked.path, asked.name, whole=asked.whole), _ends(".npz", ".npy"),
    ),
)  # fmt: skip
OWN_FORMS.add(
    "csv",
    OwnForm(
        "FILE", "file",
        "a table of numbers, or of image files, with a column of targets",
        _with_targets(load_csv),
        _ends(".csv", ".tsv"), {**OPTIONS, "header": HEADER},
    ),
)  # fmt: skip
OWN_FORMS.add(
    "parquet",
    OwnForm(
        "PATH", "file or folder", "Parquet: images in it, a table of numbers or of image files, text (extra parquet)",
        _parquet,
        _ends(".parquet"), {**PARQUET_OPTIONS, TEXT_COLUMN: "the column of text to train on, for a net of token ids"},
    ),
)  # fmt: skip
OWN_FORMS.add(
    "tar",
    OwnForm(
        "PATH", "file or folder", "tar shards of images with their targets beside them, in webdataset's layout",
        _with_targets(load_shards),
        _ends(".tar"), SHARD_OPTIONS,
    ),
)  # fmt: skip
OWN_FORMS.add(
    "text",
    OwnForm(
        "PATH", "file or folder", "UTF-8 text, for a net of token ids: a file, several with commas between, a folder",
        lambda asked: load_text(asked.path, asked.name, asked.options, asked.reading),
        lambda path: path.is_file() or path.suffix == ".txt",
        TEXT_OPTIONS,
    ),
)  # fmt: skip

OWN_FORMS.add(
    "tokens",
    OwnForm(
        "DIR", "folder", "token ids in .bin files, as `netc data tokenize`, nanoGPT or modded-nanoGPT write them",
        lambda asked: load_tokens(asked.path, asked.name, asked.options, asked.reading),
        lambda path: path.suffix == ".bin" or (path.is_dir() and any(path.glob("*.bin"))),
        TOKEN_OPTIONS,
    ),
)  # fmt: skip


def is_own(name: str) -> bool:
    """Whether a name is that of own data, of a form that there is."""
    return _form_of(name) is not None


def own_names() -> tuple[str, ...]:
    """Each form as it is given: `text:FILE`."""
    return tuple(f"{word}:{form.place}" for word, form in OWN_FORMS.items())


def load_own(
    name: str,
    data_dir: Path | None = None,
    *,
    whole: bool = False,
    floats: bool = False,
    skip_damaged: bool = False,
    reading: Reading = PLAIN,
) -> Dataset:
    """Return own data, as `is_own` says of its name; see `Asked`. Raises DataError."""
    word = _form_of(name)
    assert word is not None  # the caller asked
    form = OWN_FORMS[word]
    if data_dir is not None:
        raise DataError(f"{name} wants no `data_dir`, got {data_dir}; leave it out")
    place, options = _place_and_options(name.partition(":")[2], form)
    if not place:
        raise DataError(f"{name} wants a {form.what} after the colon, got nothing; give {word}:{form.place}")
    if unknown := sorted(options.keys() - form.options.keys()):
        known = ", ".join(form.options)  # a form without any takes all behind the colon as the place
        do = did_you_mean(unknown[0], form.options, "leave it out")
        raise DataError(f"{name}: {word} wants no options but {known}, got {unknown[0]!r}; {do}")
    return form.load(Asked(name, Path(place).expanduser(), options, whole, floats, skip_damaged, reading))


def searched_folders(name: str) -> tuple[Path, ...]:
    """The folders of own data of that name in which any other folder would be read as a class; () of other data."""
    form = OWN_FORMS[word] if (word := _form_of(name)) else None
    if form is None or not form.searched:
        return ()
    root = Path(name.partition(":")[2]).expanduser().resolve()
    return parts(Found(root, follow=True), root) or (root,)


def advice(given: str) -> str:
    """What to do about a name that is neither a data set's nor own data's; empty where nothing is known."""
    word, colon, rest = given.partition(":")
    if colon:
        near = [f"{form}:{rest}" for form in OWN_FORMS.near(word)]
        return f"did you mean {' or '.join(near)}?" if near else ""
    path = Path(given)
    form = next((word for word, form in OWN_FORMS.items() if form.claims(path)), None)
    return f"write {form}:{given}" if form else ""


def what_of(name: str) -> str:
    """What own data of that name is: `folder`."""
    return OWN_FORMS[_form_of(name) or ""].what


def _form_of(name: str) -> str | None:
    word, colon, _ = name.partition(":")
    return word if colon and word in OWN_FORMS else None


def _place_and_options(rest: str, form: OwnForm) -> tuple[str, dict[str, str]]:
    """What stands behind the colon, and the options at its end, unless a file is called all of it."""
    if not form.options or Path(rest).expanduser().exists():
        return rest, {}
    found = re.search(rf"({_OPTION.pattern})+$", rest)
    if found is None:
        return rest, {}
    return rest[: found.start()], dict(_OPTION.findall(found[0]))
