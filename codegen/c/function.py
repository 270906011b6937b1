"""One function as C: its kernels in the order of its plan, each under the name of the layer that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from netc.codegen.c.any_batch import NAME
from netc.codegen.c.common import RESULT, Common, Form, Part, form_of, wrapped
from netc.codegen.c.expressions import C_TYPES, number
from netc.codegen.c.fusion import Kernel, fuse, reads
from netc.codegen.c.interface import Interface, distinct
from netc.codegen.c.nests import nest, nest_need
from netc.codegen.c.operands import in_order
from netc.codegen.c.plan import Place, Plan, Sizes, plan, region_of
from netc.codegen.c.statements import STATEMENTS, copy, need
from netc.codegen.c.views import Source, Uniform, View, row_major
from netc.codegen.ir import Op, Value
from netc.codegen.symbolic.abstract import BatchMisfitError

INDENT = "    "
# what a value inside of a loop is called: not as libm's functions are
_LOCALS = {
    "reduce_sum": "sum", "reduce_max": "most", "reduce_min": "least", "and": "both", "or": "either", "xor": "mixed",
    "not": "opposite", "div": "quotient", "select": "chosen", "sub": "difference", "add": "total", "mul": "product",
    "compare": "holds", "convert": "as", "max": "larger", "min": "smaller", "neg": "negative", "exp": "power",
    "log": "logarithm", "sqrt": "root", "rsqrt": "inverse_root", "shl": "left", "shr": "right",
}  # fmt: skip


class FunctionWriter:
    """Writes one function. `interfaces` and `sizes` are those of the functions that it may call."""

    def __init__(self, interface: Interface, interfaces: Mapping[str, Interface], sizes: Mapping[str, Sizes]) -> None:
        self.interface, self.interfaces = interface, interfaces
        self.function = in_order(interface.function)
        self.fused = fuse(self.function)
        needs = {k: need(k.ops[0]) for k in self.fused.kernels if k.shape is None}
        for kernel in self.fused.kernels:
            if kernel.ops[0].kind in ("loop", "call"):
                needs[kernel] = dict(sizes[kernel.ops[0].attr("callee")])
        for kernel in self.fused.kernels:
            if kernel.reduction is not None and (count := nest_need(kernel, self)):
                needs[kernel] = {region_of(kernel.reduction.result): count}
        self.plan: Plan = plan(self.function, self.fused, interface.donated, needs)
        self.taken = [*interface.fields.values(), *interface.result_fields.values(), *interface.names.values()]
        self.taken += interface.result_names.values()
        self.names: dict[Value, str] = {}
        self.used: set[str] = set()
        self.kernel: Kernel | None = None
        self._locals: dict[str, int] = {}
        self._stems: dict[str, int] = {}
        self._name_all()

    # ---- names

    def _name_all(self) -> None:
        i = self.interface
        for n, p in enumerate(self.function.params):
            self.names[p] = i.fields.get(n) or i.names[n]
        made = [v for k in self.plan.order for v in k.stored]
        makers = {v: op for k in self.plan.order for op in k.ops for v in op.results}
        own = [v for v in made if self.plan.places[v].kind in ("arena", "local", "constant")]
        for v, name in zip(own, distinct([_named(makers[v]) for v in own], self.taken), strict=True):
            self.names[v] = name
        for v in made:
            place = self.plan.places[v]
            if place.kind == "slot":
                self.names[v] = self.names[self.function.params[place.index]]
            elif place.kind == "result":
                self.names[v] = i.result_fields.get(place.index) or i.result_names[place.index]
        shared = {
            k: f"{self.names[k.stored[0]]}_shares" for k in self.plan.order if k.reduction and self.plan.scratch[k]
        }
        names = distinct(shared.values(), [*self.taken, *self.names.values()])
        self.shares = dict(zip(shared, names, strict=True))

    # ---- what nests and statements ask

    def source(self, v: Value) -> Source:
        """Where a value is read."""
        return self.fused.sources[v]

    def _by_value(self, root: Value) -> bool:
        place = self.plan.places[root]
        if place.kind == "argument":
            return root.shape == () and place.index in self.interface.names and place.index >= self.interface.donated
        return place.kind == "local"

    def element(self, root: Value, index: str) -> str:
        """One element of a root."""
        name = self.names[root]
        return name if self._by_value(root) else f"{name}[{index}]"

    def address(self, root: Value, index: str) -> str:
        """Where an element of a root lies."""
        name = self.names[root]
        if self._by_value(root):
            return f"&{name}"
        return name if index == "0" else f"{name} + {index}"

    def scalar(self, v: Value) -> str:
        """A value of one element."""
        source = self.fused.sources[v]
        if isinstance(source, Uniform):
            text = number(source.value, v.type.dtype)
            return f"({text})" if text.startswith("-") else text
        if source.root is None:
            return f"({C_TYPES[v.type.dtype]}){source.offset}"
        return self.element(source.root, str(source.offset))

    def pointer(self, v: Value) -> str:
        """Where a value that lies in order begins."""
        source = self.fused.sources[v]
        assert isinstance(source, View) and source.root is not None
        return self.address(source.root, str(source.offset))

    def argument(self, v: Value) -> str:
        """A value as an argument: a number, or where it begins."""
        return self.scalar(v) if v.shape == () else self.pointer(v)

    def declared(self, v: Value) -> str:
        """The left side that makes a value of one element."""
        if self.plan.places[v].kind == "local":
            final = "" if self.kernel is not None and self.kernel.reduction is not None else "const "
            return f"{final}{C_TYPES[v.type.dtype]} {self.names[v]}"
        return f"{self.names[v]}[0]"

    def local(self, op: Op) -> str:
        """A name for what an operation makes inside of a loop."""
        stem = _LOCALS.get(op.kind, f"{op.kind}_of")
        count = self._stems[stem] = self._stems.get(stem, 0) + 1
        text = stem if count == 1 else f"{stem}{count}"
        assert self.kernel is not None and self.kernel.shape is not None
        if prod(self.kernel.shape) == 1 or op.result.type.size == 1:  # outside of any loop
            (text,) = distinct([f"{stem}_{count}" if count > 1 else stem], [*self.taken, *self.names.values()])
            self.taken.append(text)
            return text
        return f"{text}_" if text in self.taken or text in self.names.values() else text

    def scratch(self, op: Op) -> str:
        """Memory that an operation needs besides its result."""
        assert self.kernel is not None
        if self.kernel.shape is not None:
            return self.shares[self.kernel]
        (region, buffer), *_ = self.plan.scratch[self.kernel].items()
        return f"space.{region} + {buffer.offset}"

    def lies_at(self, begin: Value, v: Value) -> bool:
        """Whether what a loop begins with lies already where it is carried."""
        source, places = self.fused.sources[begin], self.plan.places
        if not isinstance(source, View) or source.root is None or not source.whole:
            return False
        old, new = places[source.root], places[v]
        if new.kind == "slot" and old == Place("argument", new.index):
            return True
        held = self.plan.buffers.get(source.root)
        if old.kind == new.kind == "slot" or old.kind == new.kind == "result":
            return old == new
        return held is not None and held is self.plan.buffers.get(v)

    def called(self, op: Op, carried: Sequence[str], given: Sequence[str], outputs: Sequence[str]) -> list[str]:
        """A call of a function of the module; `given` are its arguments after those that are carried."""
        i = self.interfaces[op.attr("callee")]
        callee = i.function
        lines, args = [], [self._space()]
        everything = [*carried, *given]
        if i.stateful:
            inside = {field: everything[n] for n, field in i.fields.items()}
            if self.interface.stateful and all(text == field for field, text in inside.items()):
                args.append("s")
            else:
                lines.append("const net_state held = {")
                lines += [f"{INDENT}.{field} = {text}," for field, text in inside.items()]
                lines.append("};")
                args.append("&held")
        args += [NAME] if i.sized else []
        args += [everything[n] for n in i.names]
        wanted = dict(zip(range(len(carried), len(callee.results)), outputs, strict=True))
        args += [wanted[n] for n in i.result_names]
        head = f"{function_name(i)}("
        return [*lines, *wrapped(head, args, ");")]

    def _space(self) -> str:
        assert self.kernel is not None
        held = self.plan.scratch[self.kernel]
        offsets = ", ".join(f".{r} = space.{r} + {b.offset}" for r, b in held.items())
        return f"(net_space){{{offsets}}}" if offsets else "space"

    # ---- the text

    def parts(self) -> list[Part]:
        """What each kernel is, in order. Raises BatchMisfitError for one that has no form for any batch."""
        found = []
        for kernel in self.plan.order:
            try:
                found.append(self._part(kernel))
            except BatchMisfitError as error:
                raise BatchMisfitError(kernel.ops[-1].loc, error.what) from None
        return found

    def body(self, parts: Sequence[Part], common: Common) -> list[str]:
        """The statements of the function, without its head."""
        lines: list[str] = []
        place = ""
        for part in parts:
            if part.loc != place:
                lines += ["", f"/* {comment(part.loc)} */"]
                place = part.loc
            lines += [*part.head, *common.lines(part), *part.tail]
        ends = self._ends()
        if ends:
            lines += ["", "/* results */", *ends]
        while lines and not lines[0]:
            lines.pop(0)
        head = self._pointers("\n".join(lines))
        return [*head, *([""] if head else []), *lines]

    def _part(self, kernel: Kernel) -> Part:
        self.kernel = kernel
        self._stems = {}
        head = []
        for v in kernel.stored:
            if self.plan.places[v].kind == "arena":
                b = self.plan.buffers[v]
                kind = C_TYPES[v.type.dtype]
                head.append(f"{kind} *const {self.names[v]} = space.{b.region} + {b.offset}; /* {_shape(v)} */")
        if kernel.shape is None:
            lines = tuple(STATEMENTS[kernel.ops[0].kind](self, kernel.ops[0]))
            return Part(kernel.ops[-1].loc, tuple(head), lines, tuple(kernel.ops))
        if kernel in self.shares:
            (region, buffer), *_ = self.plan.scratch[kernel].items()
            kind = C_TYPES[kernel.stored[0].type.dtype]
            head.append(f"{kind} *const {self.shares[kernel]} = space.{region} + {buffer.offset};")
        lines = tuple(nest(kernel, self))
        form, given, made = self._form(kernel)
        return Part(kernel.ops[-1].loc, tuple(head), lines, tuple(kernel.ops), form, given, made)

    def _form(self, kernel: Kernel) -> tuple[Form | None, tuple[str, ...], str]:
        """A nest as a function, what it is called with, and what its result is called."""
        locals_ = [v for v in kernel.stored if self.plan.places[v].kind == "local"]
        if locals_ and (kernel.reduction is None or locals_ != [kernel.reduction.result]):
            return None, (), ""
        names, taken, shares = self.names, self.taken, self.shares
        words: dict[str, str] = {names[v]: RESULT for v in locals_}  # what a name is in the form
        kinds: dict[str, str] = {}
        written = {names[v] for v in kernel.stored}
        read = (view.root for op in kernel.ops for view in reads(op, self.fused.sources))
        roots = [*(root for root in read if root in names and root is not None), *kernel.stored]
        for v in roots:
            if names[v] not in words:
                kind, word = C_TYPES[v.type.dtype], f"net_x{len(words)}"
                words[names[v]] = word
                const = "" if names[v] in written else "const "
                kinds[word] = f"{kind} " if self._by_value(v) else f"{const}{kind} *"
        if kernel in shares:
            words[shares[kernel]] = "net_x"
            kinds["net_x"] = f"{C_TYPES[kernel.stored[0].type.dtype]} *"
        back = {word: name for name, word in words.items()} | {NAME: NAME}
        kinds[NAME] = "size_t "
        self.names, self.taken = {v: words[names[v]] for v in roots}, [RESULT]
        self.shares, self._stems = {k: words[name] for k, name in shares.items() if name in words}, {}
        result = C_TYPES[locals_[0].type.dtype] if locals_ else ""
        form, given = form_of(nest(kernel, self), kinds, result)
        self.names, self.taken, self.shares = names, taken, shares
        return form, tuple(back[word] for word in given), names[locals_[0]] if locals_ else ""

    def _ends(self) -> list[str]:
        """The results that were made elsewhere."""
        lines: list[str] = []
        i = self.interface
        self.kernel = None
        for n in self.plan.copies:
            v = self.function.results[n]
            to = i.result_fields.get(n) or i.result_names.get(n) or self.names[self.function.params[n]]
            if v.shape == ():
                lines.append(f"{to}[0] = {self.scalar(v)};")
            else:
                lines += copy(self, v, to, v.shape, row_major(v.shape), 0)
        return lines

    def _pointers(self, text: str) -> list[str]:
        """The fields of the state that the function uses, under their own names."""
        i, lines = self.interface, list[str]()
        values = [*zip(i.fields.values(), (self.function.params[n] for n in i.fields), strict=True)]
        values += [*zip(i.result_fields.values(), (self.function.results[n] for n in i.result_fields), strict=True)]
        words = set(_words(text))
        written = {self.names[v] for k in self.plan.order for v in k.stored if self.plan.places[v].kind != "arena"}
        written |= {i.result_fields.get(n, "") for n in self.plan.copies}
        for field, v in dict(values).items():
            if field in words:
                kind = C_TYPES[v.type.dtype]
                const = "" if field in written else "const "
                lines.append(f"{const}{kind} *const {field} = s->{field}; /* {_shape(v)} */")
        return lines


def _words(text: str) -> list[str]:
    import re

    return re.findall(r"\w+", text)


def function_name(interface: Interface) -> str:
    """The C name of the function that does the work."""
    return f"net_{interface.function.name}_in" if interface.public else f"net_{interface.function.name}"


def _named(op: Op) -> str:
    place = op.loc.replace(" (", "_").replace(")", "")
    return f"{place}_{op.kind}"


def _shape(v: Value) -> str:
    return f"{v.type.dtype}[{', '.join(map(str, v.shape))}]"


def comment(text: str) -> str:
    """Text that ends no comment."""
    return text.replace("*/", "* /").replace("/*", "/ *").replace("\n", " ")
