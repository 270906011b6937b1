"""Accelerators by their makers' published peaks: what `netc cost --chip` assumes.

Peaks are of dense products without sparsity, at boost clocks; a real step reaches a part of them (`--peak` and
`--bandwidth` say another). A chip without a published float32 peak has none.
"""

from __future__ import annotations

from dataclasses import dataclass

T, G, GI = 1e12, 1e9, float(1 << 30)


@dataclass(frozen=True, slots=True)
class Chip:
    """Flops a second of bf16 and of float32 products (0: not published), bytes a second and bytes of its memory.

    `sheet` is where the maker publishes them, of which `source` is the name.
    """

    bf16: float
    f32: float
    bandwidth: float
    memory: float
    source: str
    sheet: str

    def flops(self, precision: str) -> float:
        """The peak of a recipe's precision, 0 where none is published; float64 has none here."""
        return {"bf16": self.bf16, "f32": self.f32}.get(precision, 0.0)


_NVIDIA, _TPU = "https://www.nvidia.com/", "https://cloud.google.com/tpu/docs/"
CHIPS: dict[str, Chip] = {
    "a100": Chip(
        312 * T, 19.5 * T, 2039 * G, 80 * G, "NVIDIA A100 80GB SXM datasheet",
        f"{_NVIDIA}content/dam/en-zz/Solutions/Data-Center/a100/pdf/nvidia-a100-datasheet-us-nvidia-1758950-r4-web.pdf",
    ),
    "h100": Chip(
        989.4 * T, 66.9 * T, 3350 * G, 80 * G, "NVIDIA H100 Tensor Core GPU Architecture, SXM5",
        "https://resources.nvidia.com/en-us-tensor-core",
    ),
    "h200": Chip(  # the H100's processor with another memory
        989.4 * T, 66.9 * T, 4800 * G, 141 * G, "NVIDIA H200 datasheet, SXM", f"{_NVIDIA}en-us/data-center/h200/",
    ),
    "rtx4090": Chip(
        165.2 * T, 82.6 * T, 1008 * G, 24 * G, "NVIDIA Ada GPU Architecture, GeForce RTX 4090",
        "https://images.nvidia.com/aem-dam/Solutions/geforce/ada/nvidia-ada-gpu-architecture.pdf",
    ),
    "mi300x": Chip(
        1307.4 * T, 163.4 * T, 5300 * G, 192 * G, "AMD Instinct MI300X data sheet",
        "https://www.amd.com/content/dam/amd/en/documents/instinct-tech-docs/data-sheets/"
        "amd-instinct-mi300x-data-sheet.pdf",
    ),
    "tpu-v4": Chip(275 * T, 0, 1200 * G, 32 * GI, "Google Cloud documentation, TPU v4", f"{_TPU}v4"),
    "tpu-v5e": Chip(197 * T, 0, 819 * G, 16 * G, "Google Cloud documentation, TPU v5e", f"{_TPU}v5e"),
    "tpu-v5p": Chip(459 * T, 0, 2765 * G, 95 * G, "Google Cloud documentation, TPU v5p", f"{_TPU}v5p"),
    # 96 cores of 2 x 8 fused multiply-adds a cycle at the base clock of 2.4 GHz; 12 channels of DDR5-4800, each with a
    # module of 64 GB
    "epyc-9654": Chip(
        0, 7.37 * T, 460.8 * G, 768 * G, "AMD EPYC 9654 data sheet; base clock",
        "https://www.amd.com/en/products/processors/server/epyc/4th-generation-9004-and-8004-series/amd-epyc-9654.html",
    ),
}  # fmt: skip
