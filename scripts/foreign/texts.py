"""Programs that come as files: hand-written StableHLO, the form that Elixir gives, exports and bytecode of JAX."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax import export
from jax.sharding import NamedSharding, PartitionSpec
from jaxlib.mlir.dialects import stablehlo

from foreign.row import ROWS, Program, add, f, i

FAMILY = "texts"
FOLDER = Path(__file__).parent / "texts"


# -- ways to write one program ---------------------------------------------------------------------------------------


def _jitted(p: Program, **options: Any) -> Any:
    return jax.jit(p.step, keep_unused=True, **options).lower(*p.args)


def _assembly(**options: Any) -> Callable[[Program], bytes]:
    return lambda p: _jitted(p).compiler_ir("stablehlo").operation.get_asm(**options).encode()


def _bytecode(p: Program) -> bytes:
    held = io.BytesIO()
    _jitted(p).compiler_ir("stablehlo").operation.write_bytecode(held)
    return held.getvalue()


def _portable(p: Program) -> bytes:
    found: bytes = stablehlo.serialize_portable_artifact(
        _jitted(p).compiler_ir("stablehlo"), stablehlo.get_current_version()
    )
    return found


def _exported(p: Program) -> Any:
    return export.export(jax.jit(p.step, keep_unused=True))(*p.args)


def _sharded(p: Program) -> bytes:
    mesh = jax.make_mesh((1,), ("batch",))
    text: str = _jitted(p, in_shardings=NamedSharding(mesh, PartitionSpec())).as_text()
    return text.encode()


WAYS: dict[str, Callable[[Program], bytes]] = {
    "generic operations": _assembly(print_generic_op_form=True),
    "places of the source": lambda p: _jitted(p).as_text(debug_info=True).encode(),
    "large constants as hex": _assembly(large_elements_limit=4),
    "bytecode": _bytecode,
    "portable artifact": _portable,
    "export as text": lambda p: _exported(p).mlir_module().encode(),
    "export as bytecode": lambda p: _exported(p).mlir_module_serialized,
    "donated arguments": lambda p: _jitted(p, donate_argnums=0).as_text().encode(),
    "a mesh of one": _sharded,
}
# way -> the rows written so
WRITTEN = {
    "generic operations": ("gpt2-train-step", "mnist-from-scratch"),
    "places of the source": ("vit-train-step", "lenet-max-pool"),
    "bytecode": ("resnet-stax", "lstm-unrolled"),
    "portable artifact": ("loss-softmax-cross-entropy", "act-tanh"),
    "export as text": ("act-gelu-erf", "gpt2-train-step", "act-expm1", "act-exp2"),
    "export as bytecode": ("llama-block", "classifier-with-accuracy"),
    "donated arguments": ("mnist-stax",),
    "a mesh of one": ("infonce-clip", "mnist-stax"),
}


def _written(base: str, way: str) -> Program:
    p = ROWS[base]()
    return replace(p, text=WAYS[way](p))


for _way, _rows in WRITTEN.items():
    for _base in _rows:
        add(FAMILY, f"{_base}--{_way.replace(' ', '-')}", lambda base=_base, way=_way: _written(base, way))  # type: ignore[misc]
for _base in ("mnist-stax--a-hundredth-more", "lenet-max-pool--turned-round"):
    add(FAMILY, f"{_base}--bytecode", lambda base=_base: _written(base, "bytecode"))  # type: ignore[misc]

add(FAMILY, "act-gelu-erf--a-thousandth-and-more--export-as-text",
    lambda: _written("act-gelu-erf--a-thousandth-and-more", "export as text"))  # fmt: skip


# -- files -----------------------------------------------------------------------------------------------------------


def _file(
    name: str, args: tuple[Any, ...], claims: tuple[str, ...], edit: tuple[str, str] | None = None, **more: Any
) -> Program:
    text = (FOLDER / name).read_text(encoding="utf-8")
    if edit:
        assert text.count(edit[0]) == 1, f"wants {edit[0]!r} once in {name}"
        text = text.replace(*edit)
    return Program(lambda: None, args, claims, text=text.encode(), **more)


ELIXIR = ("elixir_form_step.mlir", (f(2, 3), f(3), f(6, 4, 2), i(6, dtype=jnp.int64)), ("0=1", "1=2"))
# what is edited -> from, to
EDITS = {
    "mask inverted": ('(%7, %8) <{comparison_direction = #stablehlo<comparison_direction GT>',
                      '(%7, %8) <{comparison_direction = #stablehlo<comparison_direction LT>'),
    "times the batch": ('"stablehlo.divide"(%35, %36)', '"stablehlo.multiply"(%35, %36)'),
    "smallest of the window": (
        '"stablehlo.compare"(%arg4, %arg5) <{comparison_direction = #stablehlo<comparison_direction GT>',
        '"stablehlo.compare"(%arg4, %arg5) <{comparison_direction = #stablehlo<comparison_direction LT>'),
    "no relu": ('"stablehlo.select"(%11, %39, %8)', '"stablehlo.select"(%11, %39, %39)'),
    "sum of the wrong tensor": ('"stablehlo.reduce"(%40, %0)', '"stablehlo.reduce"(%39, %0)'),
}  # fmt: skip
add(FAMILY, "elixir-form", lambda: _file(*ELIXIR, ids=3))
for _how, _edit in EDITS.items():
    if _how != "mask inverted":  # forward and backward share the mask: another network, and right
        add(FAMILY, f"elixir-form--{_how.replace(' ', '-')}",
            lambda edit=_edit: _file(*ELIXIR, edit=edit, ids=3, right=False))  # type: ignore[misc]  # fmt: skip
add(FAMILY, "elixir-form--another-mask", lambda: _file(*ELIXIR, edit=EDITS["mask inverted"], ids=3))
