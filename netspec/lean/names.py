"""What the names of a file stand for: its definitions, found through namespaces and what is open."""

from __future__ import annotations

from collections.abc import Iterable

from netc.netspec.lean.tree import Declared, Definition, Scope
from netc.netspec.nearest import did_you_mean

# types whose constructors and functions may be written `Type.name`, and after a dot alone
TYPES = frozenset((
    "Layer", "Activation", "Act", "Padding", "Pad", "Norm", "NormKind", "NormType", "ConvNextNorm", "Option",
    "Dataset", "DatasetKind", "Optimizer", "OptimizerKind", "Schedule", "LRSchedule", "Loss", "LossKind", "NetSpec",
    "TrainConfig", "DType", "Pooling", "Device", "Backend",
))  # fmt: skip
MOST_HINTS = 8  # messages of one file that say what was meant: comparing names takes long
MOST_CANDIDATES = 500  # names that are compared with one that is not known
LONGEST_NAME = 60  # characters, of names that are compared


class Globals:
    """The definitions and declared types of one file."""

    def __init__(
        self,
        definitions: Iterable[Definition],
        declared: Iterable[Declared],
        library: Iterable[str],
        floats: Iterable[str] = (),
        constructors: Iterable[str] = (),
    ) -> None:
        self.definitions: dict[tuple[str, ...], Definition] = {}
        self.repeated: set[tuple[str, ...]] = set()
        for definition in definitions:
            if definition.name in self.definitions:
                self.repeated.add(definition.name)
            else:
                self.definitions[definition.name] = definition
        self.declared = {d.name: d for d in declared}
        self._by_last = {d.name[-1]: d for d in self.declared.values()}
        self._members = {d.name[-1]: d for d in self.definitions.values() if len(d.name) > 1 and d.name[-2] in TYPES}
        self._methods = {
            d.name[-1]: d for d in self.definitions.values() if d.name[-2:-1] and d.name[-2] in self._by_last
        }
        self._asked = 0
        self._lasts = {d[-1] for d in self.definitions}
        self._spaces = {d[:size] for d in (*self.definitions, *self.declared) for size in range(len(d))} | {()}
        self._seen: dict[Scope, tuple[tuple[str, ...], ...]] = {}
        self._library = tuple(library)
        self._constructors = frozenset(constructors)  # what may stand without its dot where `Layer` is open
        self.floats = frozenset(floats)  # fields, of structures that are not in the file, whose numbers are Floats

    def find(self, parts: tuple[str, ...], scope: Scope) -> Definition | None:
        """The definition of that name, as it is seen from `scope`: the innermost namespace first, then what is open."""
        if parts[0] == "_root_":
            return self.definitions.get(parts[1:])
        if parts[-1] not in self._lasts:
            return None
        for prefix in self._prefixes(scope):
            found = self.definitions.get((*prefix, *parts))
            if found is not None:
                return found
        return None

    def _prefixes(self, scope: Scope) -> tuple[tuple[str, ...], ...]:
        """What may stand before a name seen from `scope`, the nearest first: namespaces that the file has."""
        if scope not in self._seen:
            inner = [scope.namespace[:size] for size in range(len(scope.namespace), -1, -1)]
            opened = [(*prefix, *o) for o in scope.opens for prefix in inner]
            self._seen[scope] = tuple(p for p in dict.fromkeys((*inner, *opened)) if p in self._spaces)
        return self._seen[scope]

    def is_type(self, parts: tuple[str, ...], scope: Scope) -> bool:
        """Whether the file declares a type of that name."""
        return any((*prefix, *parts) in self.declared for prefix in self._prefixes(scope))

    def opened_constructor(self, parts: tuple[str, ...], scope: Scope) -> bool:
        """Whether the name is a constructor whose type is open: `dense` after `open Layer`."""
        return len(parts) == 1 and parts[0] in self._constructors and any(o[-1] in TYPES for o in scope.opens)

    def structure(self, name: str) -> Declared | None:
        """The structure of that last name, if the file declares its fields."""
        found = self._by_last.get(name)
        return found if found is not None and found.fields else None

    def member(self, name: str) -> Definition | None:
        """`Layer.name` or the like, which may be written `.name`."""
        return self._members.get(name)

    def method(self, name: str) -> Definition | None:
        """A function of that name in the namespace of a structure of the file."""
        return self._methods.get(name)

    def nearest(self, name: str, local: Iterable[str]) -> str:
        """What may have been meant by a name that is not known."""
        self._asked += 1
        if self._asked > MOST_HINTS or len(name) > LONGEST_NAME:
            return "define it in this file with `def`"
        candidates = {".".join(d): None for d in self.definitions} | dict.fromkeys(local)
        candidates |= dict.fromkeys((*(d[-1] for d in self.definitions), *self._library, *self._constructors))
        short = [c for c in candidates if len(c) <= LONGEST_NAME][:MOST_CANDIDATES]
        return did_you_mean(name, short, "define it in this file with `def`")
