"""The graph of an ONNX model as it grows: values with their shape and how they lie, nodes, and the numbers inside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from netc.codegen.ir import Op
from netc.netspec.errors import UserError

Shape = tuple[int, ...]
Numbers = npt.NDArray[Any]

DTYPES: dict[str, Any] = {
    "f32": np.float32, "f64": np.float64, "i32": np.int32, "i64": np.int64, "ui32": np.uint32, "ui8": np.uint8,
    "i1": np.bool_,
}  # fmt: skip
TO_FIRST, TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)  # [N, H, W, C] to [N, C, H, W], and back
FIRST_AXIS = (0, 2, 3, 1)  # where an axis of [N, H, W, C] is in [N, C, H, W]
MOST_FOLDED = 1 << 16  # elements of a constant that is computed here, and not by whoever runs the model


@dataclass(frozen=True, eq=False)
class Held:
    """A value of the graph. `shape` is in netc's order of axes, of which some may be 1 where netc's value is larger.

    `first`: it lies as [N, C, H, W]. `value` are the numbers of one that is known, in the order in which it lies.
    """

    name: str
    shape: Shape
    first: bool = False
    value: Numbers | None = None


class Graph:
    """Nodes in order, and the numbers that they need. It makes plain data; onnx_model.py makes the file of it."""

    def __init__(self) -> None:
        self.nodes: list[tuple[str, tuple[str, ...], str, dict[str, Any]]] = []
        self.numbers: dict[str, Numbers] = {}
        self._seen: dict[tuple[Any, ...], str] = {}

    def refused(self, op: Op, why: str = "") -> UserError:
        """The error for an operation that has no row, or one `why` its row cannot say it."""
        return UserError(
            f"`onnx` wants a net whose operations ONNX has, got {op.kind} {why}".rstrip()
            + f" at {op.loc}; export the weights by `safetensors`, or a program by `vmfb`"
        )

    def dtype(self, dtype: str) -> npt.DTypeLike:
        """As NumPy has it."""
        found: npt.DTypeLike = DTYPES[dtype]
        return found

    def element_type(self, dtype: str) -> int:
        """ONNX's number of an element type."""
        import onnx

        return int(onnx.helper.np_dtype_to_tensor_dtype(np.dtype(DTYPES[dtype])))

    # -- known numbers -----------------------------------------------------------------------------------------

    def known(self, value: Numbers, name: str = "") -> Held:
        """Numbers, which become part of the file when a node needs them."""
        return Held(name, value.shape, False, value)

    def number(self, value: float, op: Op) -> Held:
        """One number of the element type of an operation's result."""
        return self.known(np.full((1,) * op.result.type.rank, value, DTYPES[op.result.type.dtype]))

    def ints(self, values: Sequence[int]) -> Held:
        """A list of integers, as axes and shapes are given."""
        return self.known(np.array(list(values), np.int64))

    def named(self, x: Held) -> str:
        """The name of a value in the file; what is known becomes part of the file now."""
        if x.value is None:
            return x.name
        key = (x.value.dtype.str, x.value.shape, x.value.tobytes() if x.value.size <= MOST_FOLDED else id(x.value))
        if key not in self._seen:
            own = x.name and x.name not in self.numbers  # a weight that is also used turned has two names
            self._seen[key] = x.name if own else f"{x.name or 'c'}.{len(self._seen)}"
            self.numbers[self._seen[key]] = x.value
        return self._seen[key]

    # -- nodes -------------------------------------------------------------------------------------------------

    def made(self, operator: str, args: Sequence[Held], shape: Shape, *, first: bool = False, **attrs: Any) -> Held:
        """A node; `shape` is its result's, in netc's order."""
        name = f"v{len(self.nodes)}"
        self.nodes.append((operator, tuple(self.named(x) for x in args), name, attrs))
        return Held(name, shape, first)

    def elementwise(self, operator: str, args: Sequence[Held], **attrs: Any) -> Held:
        """A node on operands that repeat along axes of size 1; all lie as the one that lies as ONNX has images."""
        first = any(x.first for x in args)
        held = [self.channels_first(x) if first and len(x.shape) == 4 else x for x in args]
        shape = np.broadcast_shapes(*(x.shape for x in held))
        return self.made(operator, held, shape, first=first, **attrs)

    def transposed(self, x: Held, perm: Sequence[int]) -> Held:
        """Axis i of the result is axis perm[i] of x, which lies as netc has it."""
        if tuple(perm) == tuple(range(len(perm))):
            return x
        shape = tuple(x.shape[p] for p in perm)
        if x.value is not None:
            return self.known(np.ascontiguousarray(x.value.transpose(perm)), x.name)
        return self.made("Transpose", [x], shape, perm=list(perm))

    def reshaped(self, x: Held, shape: Shape) -> Held:
        """The same elements, row-major, of a value that is whole; it is laid as netc has it first."""
        x = self.plain(x)
        if x.shape == shape:
            return x
        if x.value is not None:
            return self.known(x.value.reshape(shape), x.name)
        return self.made("Reshape", [x, self.ints(shape)], shape)

    # -- how a value lies --------------------------------------------------------------------------------------

    def whole(self, x: Held, shape: Shape) -> Held:
        """The value repeated to the shape that it stands for."""
        if x.shape == shape:
            return x
        lies = tuple(shape[a] for a in TO_FIRST) if x.first else shape
        if x.value is not None and math.prod(shape) <= MOST_FOLDED:
            return replace(x, shape=shape, value=np.ascontiguousarray(np.broadcast_to(x.value, lies)))
        return self.made("Expand", [x, self.ints(lies)], shape, first=x.first)

    def channels_first(self, x: Held) -> Held:
        """The value of four axes lying as [N, C, H, W]."""
        if x.first:
            return x
        if x.value is not None:
            return Held(x.name, x.shape, True, np.ascontiguousarray(x.value.transpose(TO_FIRST)))
        if x.shape[1:3] == (1, 1):
            turned = self.made("Reshape", [x, self.ints((x.shape[0], x.shape[3], 1, 1))], x.shape, first=True)
        else:
            turned = self.made("Transpose", [x], x.shape, first=True, perm=list(TO_FIRST))
        return turned

    def plain(self, x: Held) -> Held:
        """The value lying as netc has it."""
        if not x.first:
            return x
        if x.value is not None:
            return self.known(np.ascontiguousarray(x.value.transpose(TO_LAST)), x.name)
        return self.made("Transpose", [x], x.shape, perm=list(TO_LAST))

    def axes_of(self, x: Held, axes: Sequence[int]) -> list[int]:
        """Where netc's axes are in the value as it lies."""
        return [FIRST_AXIS[a] if x.first else a for a in axes]
