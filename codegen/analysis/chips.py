"""Accelerators by their makers' published peaks: what `netc cost --chip` assumes.

Peaks are of dense products without sparsity, at boost clocks; a real step reaches a part of them (`--peak` and
`--bandwidth` say another). A chip without a published float32 peak has none.
"""

from __future__ import annotations

from dataclasses import dataclass

T, G = 1e12, 1e9


@dataclass(frozen=True, slots=True)
class Chip:
    """Flops a second of bf16 and of float32 products (0: not published), bytes a second and bytes of its memory."""

    bf16: float
    f32: float
    bandwidth: float
    memory: float
    source: str

    def flops(self, precision: str) -> float:
        """The peak of a recipe's precision, 0 where none is published; float64 has none here."""
        return {"bf16": self.bf16, "f32": self.f32}.get(precision, 0.0)


CHIPS: dict[str, Chip] = {
    "a100": Chip(312 * T, 19.5 * T, 2039 * G, 80 * G, "NVIDIA A100 80GB SXM datasheet"),
    "h100": Chip(989.4 * T, 66.9 * T, 3350 * G, 80 * G, "NVIDIA H100 Tensor Core GPU Architecture, SXM5"),
    "h200": Chip(989.4 * T, 66.9 * T, 4800 * G, 141 * G, "NVIDIA H200 datasheet, SXM"),
    "rtx4090": Chip(165.2 * T, 82.6 * T, 1008 * G, 24 * G, "NVIDIA Ada GPU Architecture, GeForce RTX 4090"),
    "mi300x": Chip(1307.4 * T, 163.4 * T, 5300 * G, 192 * G, "AMD Instinct MI300X data sheet"),
    "tpu-v4": Chip(275 * T, 0, 1228 * G, 32 * G, "Google Cloud documentation, TPU v4"),
    "tpu-v5e": Chip(197 * T, 0, 819 * G, 16 * G, "Google Cloud documentation, TPU v5e"),
    "tpu-v5p": Chip(459 * T, 0, 2765 * G, 95 * G, "Google Cloud documentation, TPU v5p"),
    # 96 cores of 2 x 8 fused multiply-adds a cycle at 2.4 GHz; 12 channels of DDR5-4800
    "epyc-9654": Chip(0, 7.37 * T, 460.8 * G, 768 * G, "AMD EPYC 9654 data sheet; base clock"),
}
