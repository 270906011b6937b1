"""FILE.toml: a training's words in a file, and the recipes that netc ships. docs/configuration.md says it to users.

A key is a word of `netc.train`, as a flag of `netc train` without its hyphens; `net` may be a table that holds a spec.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from netc.netspec.augment import Augment
from netc.netspec.errors import UserError
from netc.netspec.feeding import Feeding
from netc.netspec.nearest import did_you_mean
from netc.netspec.preprocess import Preprocess
from netc.netspec.recipe import TrainConfig
from netc.netspec.recipe_words import option_pairs, recipe_rows
from netc.netspec.text_file import read_text
from netc.netspec.toml import from_table
from netc.other_words import nearest
from netc.places import Places, placed
from netc.plugin_files import load_plugin
from netc.train_request import TrainRequest, request_types, request_words
from netc.word_types import partners, typed

LARGEST_FILE = 1 << 20  # bytes
FOLDER = Path(__file__).parent / "recipes"
BESIDES = {
    "net",
    "config",
    "plugin",
}  # keys that are no words of a request: `config` names a TrainConfig of a .lean file
ONLY_THERE = {"resume", "same_bits", "quiet"}  # of one command, not of what is trained
TABLES = {"net", "loss_option"}
TEXTS = {"net", "config", "data", "recipe", "optimizer", "loss", "decay"}


@dataclass(frozen=True)
class ConfigFile:
    """The words that a file holds; `source` is what messages call it, `tables` what it holds that are no words.

    `places` say where the words stand.
    """

    source: str
    words: Mapping[str, Any]
    tables: Mapping[str, Any] = field(default_factory=dict)
    places: Places = field(default_factory=dict)


@dataclass(frozen=True)
class Merged:
    """A net, the name of a .lean file's TrainConfig, and words: those given over a file's, over a recipe's.

    `places` of those that came from files.
    """

    net: Any
    config: str | None
    words: dict[str, Any]
    places: Places


def is_file(config: object) -> bool:
    """Whether `config` names a FILE.toml, and no TrainConfig of a .lean file."""
    return isinstance(config, Path) or (isinstance(config, str) and config.endswith(".toml"))


def recipe_names() -> list[str]:
    """The recipes that netc ships."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def recipe_text(name: str) -> str:
    """The file of a recipe that netc ships; raises UserError with the nearest names."""
    if name not in (known := recipe_names()):
        hint = did_you_mean(name, known, "`netc recipes ls` lists them")
        raise UserError(f"`recipe` wants one of {', '.join(known)}, got {name!r}; {hint}")
    return (FOLDER / f"{name}.toml").read_text(encoding="utf-8")


def recipe_about(name: str) -> str:
    """What a recipe is for: the first line of its file, a comment."""
    return recipe_text(name).partition("\n")[0].removeprefix("# ")


def read_recipe(name: str) -> ConfigFile:
    """The words of a recipe that netc ships."""
    return parse(recipe_text(name), f"recipe {name}")


def read_file(path: Path, tables: Collection[str] = ()) -> ConfigFile:
    """The words of a file; raises UserError for one that cannot be read, and for a key that is none."""
    return parse(read_text(path, LARGEST_FILE, "a configuration of ", "is it the right file?"), str(path), tables)


def parse(text: str, source: str, tables: Collection[str] = ()) -> ConfigFile:
    """The words of a text, each of its type, besides these tables; raises UserError, with the line of what is wrong."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{source}: wants TOML, got {error}; `netc recipes show digits` is an example") from error
    for file in _plugins(table, source):
        load_plugin(file)
    others = {key: table.pop(key) for key in tables if key in table}
    words, places = dict[str, Any](), dict[str, str]()
    for key, value in table.items():
        places[_word(key)] = f"{source}:{line_of(text, key)}"
        words[_word(key)] = typed_value(key, value, places[_word(key)], tables)
    options = words.get("loss_option")
    for option in options if isinstance(options, dict) else ():
        places.setdefault(option, f"{source}:{line_of(text, option)}")
    words.pop("plugin", None)
    return ConfigFile(source, words, others, places)


def settings(pairs: Iterable[str]) -> dict[str, Any]:
    """The words of `--set NAME=VALUE`, each value as in TOML, or a text that needs no quotes. Raises UserError."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, is_pair, value = pair.partition("=")
        where = f"`set` {pair}"
        if not is_pair or not name.strip():
            raise UserError(f"`set` wants NAME=VALUE, got {pair!r}; write lr=0.1")
        *tables, last = (_word(part.strip()) for part in name.split("."))
        top = (*tables, last)[0]
        _refuse(top, where)
        if top in TABLES and len(tables) == 1 and top != "net":
            held = found.setdefault(top, {})
            if last in held:
                raise UserError(f"`set` wants each name once, got {name} twice; leave one out")
            held[last] = _read(value)
        elif tables:
            raise UserError(f"{where}: only loss_option has names of its own, got {name}; write NAME=VALUE")
        elif last in found:
            raise UserError(f"`set` wants each name once, got {name} twice; leave one out")
        else:
            found[last] = _value(last, _read(value), where)
    return found


def over_files(
    net: Any, config: str | Path | None, words: Mapping[str, Any], takes: frozenset[str] | None = None
) -> Merged:
    """What is given over what files say.

    `config` is a FILE.toml or that name, and the word `recipe` may name a recipe that netc ships. With `takes`, only
    these words are taken from files. Raises UserError.
    """
    given = {name: value for name, value in words.items() if value is not None}
    named = [read_file(Path(str(config)))] if is_file(config) else []
    places = dict(named[0].places) if named else {}
    with placed({word: place for word, place in places.items() if word not in given}):
        recipe = given.get("recipe", named[0].words.get("recipe") if named else None)
        if isinstance(recipe, str):
            named.insert(0, read_recipe(recipe))
            given.pop("recipe", None)
            places = {**named[0].places, **places}
        held = _beside_each_other(named)
        net = held.pop("net", None) if net is None else net
        held.pop("net", None)
        name = held.pop("config", None)
        if takes is not None:
            held = {word: value for word, value in held.items() if word in takes}
        epochs = given.get("epochs")
        if "warmup" not in given and isinstance(epochs, int | float) and isinstance(held.get("warmup"), int | float):
            held["warmup"] = min(held["warmup"], max(epochs, 0))  # a file's, for its own epochs
        words = beside(held, given)
    places = {word: place for word, place in places.items() if word not in given}
    return Merged(net, name if is_file(config) or config is None else str(config), words, places)


def _beside_each_other(files: Iterable[ConfigFile]) -> dict[str, Any]:
    held: dict[str, Any] = {}
    for file in files:
        own = dict(file.words)
        if isinstance(own.get("recipe"), str):
            own.pop("recipe")
        held = beside(held, own)
    return held


def beside(held: Mapping[str, Any], stated: Mapping[str, Any]) -> dict[str, Any]:
    """What is stated over what is held, without what of the latter means nothing beside it: the options of Adam."""
    silent = {name for word, value in stated.items() if held.get(word) != value for name in partners(word, value)}
    left = {name: value for name, value in held.items() if name not in silent}
    found = left | dict(stated)
    if "loss_option" in left.keys() & stated.keys():
        found["loss_option"] = dict(option_pairs(left["loss_option"])) | dict(option_pairs(stated["loss_option"]))
    return found


def line_of(text: str, key: str) -> int:
    """The line that a key of the top table stands on, or the header of its table, from 1."""
    wanted = re.compile(rf"""\s*(\[+\s*)?["']?{re.escape(key)}["']?\s*[.=\]]""")
    return next((number for number, line in enumerate(text.split("\n"), 1) if wanted.match(line)), 1)


def _word(key: str) -> str:
    return key.replace("-", "_")


def _plugins(table: Mapping[str, Any], source: str) -> list[str]:
    given = table.get("plugin", [])
    files = [given] if isinstance(given, str) else given
    if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
        raise UserError(f'{source}: plugin wants the names of files, got {given!r}; write plugin = ["own.py"]')
    return files


def typed_value(key: str, value: Any, where: str, tables: Collection[str] = ()) -> Any:
    """The value of a key, if there is such a word and the value is of its type; raises UserError."""
    _refuse(key, where, tables)
    return _value(_word(key), value, where)


def _refuse(key: str, where: str, tables: Collection[str] = ()) -> None:
    """Raise UserError for a key that is no word, with the nearest that are."""
    name, known = _word(key), request_words() | BESIDES | {*tables}
    if name in known:
        return
    if name in ONLY_THERE:
        raise UserError(f"{where}: {key} belongs to a command or a call, not to what is trained; remove it")
    near = nearest(name, known)
    hint = f"did you mean {' or '.join(near)}?" if near else "`netc train --help` lists the words"
    raise UserError(f"{where}: there is no {key}; {hint}")


def _value(name: str, value: Any, where: str) -> Any:
    """The value of a word, if it is of its type."""
    if name == "net" and isinstance(value, dict):
        return from_table(value, where)
    if isinstance(value, dict) and name not in TABLES:
        raise UserError(f"{where}: {name} wants a value, got a table; there are no sections: write {name} = ..")
    if name == "plugin":
        return value
    if name in _texts() and not isinstance(value, str):
        raise UserError(f"{where}: {name} wants a text, got {value!r}; write it in quotes")
    if name == "input" and isinstance(value, list):
        return tuple(value)
    if name == "loss_option" and not isinstance(value, dict | list):
        raise UserError(f"{where}: {name} wants a table, got {value!r}; write [loss_option] and gamma = 1.5 below it")
    try:
        return typed({name: value}, request_types())[name]
    except UserError as error:
        raise UserError(f"{where}: {str(error).replace('`', '')}") from error


def _texts() -> frozenset[str]:
    """The words whose value is a text."""
    found = set(TEXTS)
    for cls in (TrainRequest, TrainConfig, Augment, Preprocess, Feeding, *recipe_rows()):
        found |= {name for name, want in get_type_hints(cls).items() if want in (str, Path | None, str | None)}
    return frozenset(found)


def _read(value: str) -> Any:
    """A value of TOML, or the text itself where it is none."""
    try:
        return tomllib.loads(f"x = {value}")["x"]
    except ValueError:
        return value
