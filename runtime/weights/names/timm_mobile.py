"""timm's names of the mobilenets of versions 1, 3 and 4 and of mobilevit; its stages have other numbers than netc's."""

from __future__ import annotations

import re
from collections.abc import Callable

from netc.netspec.check import CheckedNet
from netc.runtime.weights.names.mobile import SQUEEZED, blocks, features, timm_names, v3_style
from netc.runtime.weights.names.table import AS_IT_IS, HALF, Family, Naming, Rules, with_norm

STEM = with_norm("stem", "conv_stem", "bn1")
V1 = (2, 4, 6, 12)  # the first block of each stage but the first
V4 = {"start": "dw_start", "expand": "pw_exp", "middle": "dw_mid", "project": "pw_proj"}
VIT = {"expand": "conv1_1x1", "depthwise": "conv2_kxk", "project": "conv3_1x1"}


def _v1(net: CheckedNet) -> Rules:
    rules: Rules = STEM
    stage, index = 0, -1
    for number in range(1, 14):
        stage, index = (stage + 1, 0) if number in V1 else (stage, index + 1)
        base = f"blocks.{stage}.{index}"
        rules += with_norm(rf"block{number}\.depthwise", f"{base}.conv_dw", f"{base}.bn1")
        rules += with_norm(rf"block{number}\.project", f"{base}.conv_pw", f"{base}.bn2")
    return (*rules, ("head", "classifier"))


def _v3(net: CheckedNet) -> Rules:
    """A stage begins with each block that has no residual; the last convolution is a stage of its own."""
    rules: Rules = STEM
    stage, index = 0, -1
    for block in blocks(net):
        fresh = index >= 0 and not block.path.endswith(".body")
        stage, index = (stage + 1, 0) if fresh else (stage, index + 1)
        for part in block.parts:
            path, (first, second) = re.escape(f"{block.path}.{part}"), timm_names(block.parts, part)
            base = f"blocks.{stage}.{index}"
            rules += (
                ((rf"{path}\.body\.reduce", f"{base}.{first}"), (rf"{path}\.body\.expand", f"{base}.{second}"))
                if part == "squeeze"
                else with_norm(path, f"{base}.{first}", f"{base}.{second}")
            )
    last = f"blocks.{stage + 1}.0"
    return (*rules, *with_norm("last", f"{last}.conv", f"{last}.bn1"), ("hidden", "conv_head"), ("head", "classifier"))


def _v4(net: CheckedNet) -> Rules:
    rules: Rules = STEM
    stages = {int(found[1]) for p in net.params if (found := re.match(r"stage(\d)_", p.name))}
    rules += with_norm(r"stage(\d)_(\d+)", "blocks.{0}.{1}.conv", "blocks.{0}.{1}.bn1")
    for p in net.params:  # a block that widens by a convolution of 3x3 has no depthwise one, and other names
        if (found := re.fullmatch(r"(stage(\d)_(\d+)\.block\d+)\.expand\.conv\.kernel", p.name)) and p.shape[0] > 1:
            path, base = re.escape(found[1]), f"blocks.{found[2]}.{found[3]}"
            rules += with_norm(rf"{path}\.expand", f"{base}.conv_exp", f"{base}.bn1")
            rules += with_norm(rf"{path}\.project", f"{base}.conv_pwl", f"{base}.bn2")
    for part, name in V4.items():
        path = rf"stage(\d)_(\d+)\.block\d+(?:\.body)?\.{part}"
        rules += with_norm(path, f"blocks.{{0}}.{{1}}.{name}.conv", f"blocks.{{0}}.{{1}}.{name}.bn")
    last = f"blocks.{max(stages, default=0) + 1}.0"
    head: Rules = (("hidden", "conv_head"), ("norm", "norm_head"), ("head", "classifier"))
    return (*rules, *with_norm("last", f"{last}.conv", f"{last}.bn1"), *head)


def _at(name: str) -> Callable[..., str]:
    return lambda stage, *rest: f"stages.{stage - 1}.{name}".format(*rest)


BODY = r"vit(\d)\.both\.body"
BLOCK = rf"{BODY}\.transformer\.block(\d+)"
MOBILEVIT: Rules = (
    *with_norm("stem", "stem.conv", "stem.bn"),
    *(
        (rf"stage(\d)\.block(\d+)(?:\.body)?\.{part}\.{leaf}", _at(f"{{0}}.{name}.{theirs}"))
        for part, name in VIT.items()
        for leaf, theirs in (("conv", "conv"), ("norm", "bn"))
    ),
    *(
        (rf"{path}\.{leaf}", _at(f"1.{name}.{theirs}"))
        for path, name in (
            (rf"{BODY}\.local", "conv_kxk"),
            (rf"{BODY}\.narrow", "conv_proj"),
            (r"vit(\d)\.fuse", "conv_fusion"),
        )
        for leaf, theirs in (("conv", "conv"), ("norm", "bn"))
    ),
    (rf"{BODY}\.widen", _at("1.conv_1x1")),
    (rf"{BODY}\.norm", _at("1.norm")),
    (rf"{BLOCK}\.attention\.body\.norm", _at("1.transformer.{0}.norm1")),
    (rf"{BLOCK}\.attention\.body\.attention\.qkv", _at("1.transformer.{0}.attn.qkv")),
    (rf"{BLOCK}\.attention\.body\.attention\.out", _at("1.transformer.{0}.attn.proj")),
    (rf"{BLOCK}\.mlp\.body\.norm", _at("1.transformer.{0}.norm2")),
    (rf"{BLOCK}\.mlp\.body\.hidden", _at("1.transformer.{0}.mlp.fc1")),
    (rf"{BLOCK}\.mlp\.body\.out", _at("1.transformer.{0}.mlp.fc2")),
    *with_norm("last", "final_conv.conv", "final_conv.bn"),
    ("head", "head.fc"),
)
HEAD = (r"conv_head\.weight", 0, 2)
EPSILON = "timm's net adds 1e-05 to the variances in its norms, this one 0.001: logits differ by some 0.1 %"
V3 = (
    Naming("torchvision", features(v3_style, "classifier.3"), ones=(SQUEEZED,)),
    Naming("timm", _v3, ones=(HEAD, SQUEEZED), remark=EPSILON),
)
FAMILIES = (
    Family("mobilenet_v1", (Naming("timm", _v1, normalise=HALF),)),
    Family("mobilenet_v3_(?:small|large)", V3),
    Family("mobilenetv4_conv_.*", (Naming("timm", _v4, ones=(HEAD,)),)),
    Family("mobilevit_s", (Naming("timm", MOBILEVIT, normalise=AS_IT_IS),)),
)
