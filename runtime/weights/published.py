"""Which published files hold weights of a net: in a hub's repository, under the names that netc reads.

A row says where a project keeps them. Whether a repository is still there is the hub's matter; what it holds is checked
when it is read.
"""

from __future__ import annotations

from dataclasses import dataclass

from netc.runtime.weights.names import namings_of

FILE = "model.safetensors"


@dataclass(frozen=True)
class Published:
    """A repository of the hub, the file in it, and whose names it has."""

    repository: str
    project: str
    file: str = FILE

    @property
    def fetch(self) -> str:
        """The line that fetches the file into the hub's cache, of the package huggingface_hub."""
        return f"hf download {self.repository} {self.file}"


def _timm(name: str, tags: tuple[str, ...]) -> tuple[Published, ...]:
    return tuple(Published(f"timm/{name}.{tag}", "timm") for tag in tags)


def _hub(*repositories: str) -> tuple[Published, ...]:
    return tuple(Published(name, "Hugging Face") for name in repositories)


# The weights of each net that its project takes by default come first.
PUBLISHED: dict[str, tuple[Published, ...]] = {
    "resnet18": (*_timm("resnet18", ("a1_in1k", "tv_in1k")), *_hub("microsoft/resnet-18")),
    "resnet34": (*_timm("resnet34", ("a1_in1k", "tv_in1k")), *_hub("microsoft/resnet-34")),
    "resnet50": (*_timm("resnet50", ("a1_in1k", "tv_in1k")),),
    "resnet101": _timm("resnet101", ("a1h_in1k", "tv_in1k")),
    "resnet152": _timm("resnet152", ("a1h_in1k", "tv_in1k")),
    "wide_resnet50_2": _timm("wide_resnet50_2", ("racm_in1k", "tv_in1k")),
    "resnext50_32x4d": _timm("resnext50_32x4d", ("a1h_in1k", "tv_in1k")),
    "densenet121": _timm("densenet121", ("ra_in1k", "tv_in1k")),
    "densenet169": _timm("densenet169", ("tv_in1k",)),
    "densenet201": _timm("densenet201", ("tv_in1k",)),
    "mobilenet_v1": _timm("mobilenetv1_100", ("ra4_e3600_r224_in1k",)),
    "mobilenet_v2": _timm("mobilenetv2_100", ("ra_in1k",)),
    "mobilenet_v3_large": _timm("mobilenetv3_large_100", ("ra_in1k",)),
    "mobilenet_v3_small": _timm("mobilenetv3_small_100", ("lamb_in1k",)),
    "mobilenetv4_conv_small": _timm("mobilenetv4_conv_small", ("e2400_r224_in1k",)),
    "mobilenetv4_conv_medium": _timm("mobilenetv4_conv_medium", ("e500_r256_in1k",)),
    "mnasnet1_0": _timm("mnasnet_100", ("rmsp_in1k",)),
    "efficientnet_b0": _timm("efficientnet_b0", ("ra_in1k",)),
    "efficientnet_b1": _timm("efficientnet_b1", ("ft_in1k",)),
    "efficientnet_b2": _timm("efficientnet_b2", ("ra_in1k",)),
    "efficientnet_b3": _timm("efficientnet_b3", ("ra2_in1k",)),
    "convnext_tiny": (*_timm("convnext_tiny", ("in12k_ft_in1k", "fb_in1k")), *_hub("facebook/convnext-tiny-224")),
    "convnext_small": (*_timm("convnext_small", ("in12k_ft_in1k", "fb_in1k")), *_hub("facebook/convnext-small-224")),
    "convnext_base": (*_timm("convnext_base", ("fb_in1k",)), *_hub("facebook/convnext-base-224")),
    "vit_tiny_patch16_224": _timm("vit_tiny_patch16_224", ("augreg_in21k_ft_in1k",)),
    "vit_small_patch16_224": _timm("vit_small_patch16_224", ("augreg_in21k_ft_in1k",)),
    "vit_base_patch16_224": (
        *_timm("vit_base_patch16_224", ("augreg2_in21k_ft_in1k",)), *_hub("google/vit-base-patch16-224"),
    ),
    "deit_tiny_patch16_224": (*_timm("deit_tiny_patch16_224", ("fb_in1k",)), *_hub("facebook/deit-tiny-patch16-224")),
    "swin_t": _timm("swin_tiny_patch4_window7_224", ("ms_in1k",)),
    "swin_s": _timm("swin_small_patch4_window7_224", ("ms_in1k",)),
    "swin_b": _timm("swin_base_patch4_window7_224", ("ms_in1k",)),
    "mobilevit_s": _timm("mobilevit_s", ("cvnets_in1k",)),
    "gpt2": _hub("openai-community/gpt2"),
    "gpt2-medium": _hub("openai-community/gpt2-medium"),
    "gpt2-large": _hub("openai-community/gpt2-large"),
    "gpt2-xl": _hub("openai-community/gpt2-xl"),
    "smollm2-135m": _hub("HuggingFaceTB/SmolLM2-135M"),
    "llama-3.2-1b": _hub("meta-llama/Llama-3.2-1B"),
}  # fmt: skip


def published(name: str) -> tuple[Published, ...]:
    """The rows of a net of the zoo; none for a net that nobody publishes in a file that netc reads."""
    return PUBLISHED.get(name, ())


def from_torchvision(name: str) -> bool:
    """Whether torchvision has weights of the net, which it keeps as pickles."""
    return any("torchvision" in naming.project for naming in namings_of(name))
