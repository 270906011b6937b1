"""A kernel as CUDA C++ or OpenCL C: the statements of one thread, as they are read. Nothing is checked there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from netc.kernels.ir import (
    Array,
    Assign,
    Atomic,
    Barrier,
    Const,
    For,
    If,
    Kernel,
    Let,
    Store,
    Type,
    While,
)
from netc.kernels.spelling import Language, Speller, about, changed, libm, plain_name, steady, used
from netc.kernels.statement_text import Statements

XYZ = "xyz"
OPENCL_PLACES = {
    "threadIdx": "get_local_id", "blockIdx": "get_group_id", "blockDim": "get_local_size", "gridDim": "get_num_groups",
}  # fmt: skip
# by a loop that compares and exchanges: OpenCL adds atomically to integers alone
OPENCL_ADD = """
static inline void netc_add_{kind}_{space}(volatile __{space} {type} *x, {type} value)
{{
    union {{ {type} number; {bits} bits; }} old, now;
    do {{
        old.number = *x;
        now.number = old.number + value;
    }} while ({exchange}((volatile __{space} {bits} *)x, old.bits, now.bits) != old.bits);
}}
"""


@dataclass(frozen=True)
class Dialect:
    """How a language of GPUs spells a kernel; the functions take the kernel's own words."""

    language: Language
    head: str
    kernel: str
    pointer: str  # {const}{type} {name}
    shared: str
    barrier: str
    scalar: Callable[[Type], str]
    atomic: Callable[[Atomic, Array, str, str], str]


def _cuda_atomic(s: Atomic, array: Array, index: str, value: str) -> str:
    return f"atomic{s.name.capitalize()}(&{array.name}[{index}], {value});"


def _opencl_atomic(s: Atomic, array: Array, index: str, value: str) -> str:
    if array.type == "i32":
        return f"atomic_{s.name}(&{array.name}[{index}], {value});"
    return f"netc_add_{array.type}_{_space(array)}(&{array.name}[{index}], {value});"


def _space(array: Array) -> str:
    return "local" if array.shared else "global"


def _element(array: str, index: str, line: int) -> str:
    return f"{array}[{index}]"


_CUDA_TYPES: dict[Type, str] = {"f32": "float", "f64": "double", "i32": "int", "u8": "unsigned char", "bool": "bool"}
_OPENCL_TYPES: dict[Type, str] = {**_CUDA_TYPES, "u8": "uchar"}
CUDA = Dialect(
    Language(
        _CUDA_TYPES, "unsigned", "static __device__ inline", lambda name, axis: f"(int){name}.{XYZ[axis]}",
        libm, _element,
    ),
    "",
    'extern "C" __global__ void {name}({arguments})',
    "{const}{type} *__restrict__ {name}",
    "__shared__ {type} {name}[{size}];",
    "__syncthreads();",
    lambda kind: _CUDA_TYPES[kind],
    _cuda_atomic,
)  # fmt: skip
OPENCL = Dialect(
    Language(
        _OPENCL_TYPES, "uint", "static inline", lambda name, axis: f"(int){OPENCL_PLACES[name]}({axis})",
        lambda name, kind: "fabs" if name == "abs" else name, _element,
    ),
    "#pragma OPENCL FP_CONTRACT OFF\n",
    "__kernel void {name}_kernel({arguments})",
    "__global {const}{type} *restrict {name}",
    "__local {type} {name}[{size}];",
    "barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);",
    lambda kind: "uchar" if kind == "bool" else _OPENCL_TYPES[kind],  # no bool crosses to the device
    _opencl_atomic,
)  # fmt: skip


def cuda_text(kernel: Kernel, shared: Sequence[int]) -> str:
    """The kernel as CUDA C++: `extern "C" __global__ void NAME(scalars.., arrays..)`.

    `shared`: the elements of each shared array.
    """
    return _Text(kernel, CUDA, shared).text()


def opencl_text(kernel: Kernel, shared: Sequence[int]) -> str:
    """The kernel as OpenCL C 1.2: `__kernel void NAME_kernel(scalars.., arrays..)`.

    `_kernel`, since dot, length and more are functions of OpenCL's own. `shared` as for `cuda_text`.
    """
    return _Text(kernel, OPENCL, shared).text()


class _Text(Statements):
    def __init__(self, kernel: Kernel, dialect: Dialect, shared: Sequence[int]) -> None:
        self.kernel, self.dialect, self.shared = kernel, dialect, shared
        self.arrays = {a.name: a for a in kernel.arrays}
        self.mutable, self.used = changed(kernel.body), used(kernel.body)
        self.types = dialect.language.types
        self.speller = Speller(dialect.language)
        self.say = self.speller.text
        self.added: set[tuple[Type, str]] = set()

    def text(self) -> str:
        """The whole file."""
        kernel, dialect = self.kernel, self.dialect
        body = list(self._body(kernel.body, "    "))
        arguments = [f"{dialect.scalar(s.type)} {s.name}" for s in kernel.scalars]
        for a in kernel.globals:
            const = "" if a.name in kernel.written else "const "
            arguments.append(dialect.pointer.format(const=const, type=self.types[a.type], name=a.name))
        own = [
            "    " + dialect.shared.format(type=self.types[a.type], name=a.name, size=size)
            for a, size in zip(kernel.shared, self.shared, strict=True)
            if a.name in kernel.touched
        ]
        signature = dialect.kernel.format(name=plain_name(kernel), arguments=",\n    ".join(arguments))
        doc = f"// {about(kernel)}".replace("\n", " ")
        before = (doc, self._head().rstrip("\n"), self.speller.helper_texts(self._doubles()).rstrip("\n"))
        return "\n".join((*(t for t in before if t), signature, "{", *own, *body, "}\n"))

    def _doubles(self) -> bool:
        """Whether the kernel has doubles, which a device may lack."""
        if self.dialect is CUDA:
            return True
        every = (*(a.type for a in self.kernel.arrays), *(s.type for s in self.kernel.scalars))
        return "f64" in every

    def _head(self) -> str:
        text = self.dialect.head
        if self.dialect is OPENCL and self._doubles():
            text += "#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n"
        if any(kind == "f64" for kind, _ in self.added):
            text += "#pragma OPENCL EXTENSION cl_khr_int64_base_atomics : enable\n"
        for kind, space in sorted(self.added):
            wide = kind == "f64"
            text += OPENCL_ADD.format(
                kind=kind, space=space, type=self.types[kind], bits="ulong" if wide else "uint",
                exchange="atom_cmpxchg" if wide else "atomic_cmpxchg",
            )  # fmt: skip
        return text

    def _let(self, s: Let, indent: str) -> Iterator[str]:
        const = "" if s.name in self.mutable else "const "
        yield f"{indent}{const}{self.types[s.value.type]} {s.name} = {self.say(s.value)};"
        if s.name not in self.used:
            yield f"{indent}(void){s.name};"

    def _assign(self, s: Assign, indent: str) -> Iterator[str]:
        yield f"{indent}{s.name} = {self.say(s.value)};"

    def _store(self, s: Store, indent: str) -> Iterator[str]:
        yield f"{indent}{s.array}[{self.say(s.index)}] = {self.say(s.value)};"

    def _atomic(self, s: Atomic, indent: str) -> Iterator[str]:
        array = self.arrays[s.array]
        if self.dialect is OPENCL and array.type != "i32":
            self.added.add((array.type, _space(array)))
        yield indent + self.dialect.atomic(s, array, self.say(s.index), self.say(s.value))

    def _for(self, s: For, indent: str) -> Iterator[str]:
        start, stop, step = self.say(s.start), self.say(s.stop), self.say(s.step)
        kept = not steady(s.step, self.mutable)
        more = f", netc_step_{s.name} = {step}" if kept else ""
        step = f"netc_step_{s.name}" if kept else step
        by = f"{s.name}++" if isinstance(s.step, Const) and s.step.value == 1 else f"{s.name} += {step}"
        same = steady(s.stop, self.mutable)
        limit = "" if same else f", netc_stop_{s.name} = {stop}"
        until = stop if same else f"netc_stop_{s.name}"
        yield f"{indent}for (int {s.name} = {start}{limit}{more}; {s.name} < {until}; {by}) {{"
        yield from self._body(s.body, indent + "    ")
        yield f"{indent}}}"

    def _while(self, s: While, indent: str) -> Iterator[str]:
        yield f"{indent}while ({self.say(s.condition)}) {{"
        yield from self._body(s.body, indent + "    ")
        yield f"{indent}}}"

    def _barrier(self, s: Barrier, indent: str) -> Iterator[str]:
        yield indent + self.dialect.barrier


_Text.table = {
    Let: _Text._let,
    Assign: _Text._assign,
    Store: _Text._store,
    Atomic: _Text._atomic,
    If: _Text._if,
    For: _Text._for,
    While: _Text._while,
    Barrier: _Text._barrier,
}
