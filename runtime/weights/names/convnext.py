"""The names of torchvision.models.convnext, of timm's and of Hugging Face's ConvNeXt."""

from netc.runtime.weights.names.table import Family, Naming

BODY = r"stage(\d)\.block(\d+)\.body"
# part of a block -> its place in torchvision's Sequential, which has permutations and an activation too; timm's name
PARTS = {"depthwise": (0, "conv_dw"), "norm": (2, "norm"), "expand": (3, "mlp.fc1"), "project": (5, "mlp.fc2")}

TORCHVISION = (
    (r"stem\.conv", "features.0.0"),
    (r"stem\.norm", "features.0.1"),
    (rf"{BODY}\.({'|'.join(PARTS)})", lambda s, b, part: f"features.{2 * s - 1}.{b}.block.{PARTS[part][0]}"),
    (rf"{BODY}\.scale\.gamma", lambda s, b: f"features.{2 * s - 1}.{b}.layer_scale"),
    (r"downsample(\d)\.norm", lambda s: f"features.{2 * s}.0"),
    (r"downsample(\d)\.conv", lambda s: f"features.{2 * s}.1"),
    ("norm", "classifier.0"),
    ("head", "classifier.2"),
)
TIMM = (
    (r"stem\.conv", "stem.0"),
    (r"stem\.norm", "stem.1"),
    (rf"{BODY}\.({'|'.join(PARTS)})", lambda s, b, part: f"stages.{s - 1}.blocks.{b}.{PARTS[part][1]}"),
    (rf"{BODY}\.scale\.gamma", lambda s, b: f"stages.{s - 1}.blocks.{b}.gamma"),
    (r"downsample(\d)\.norm", "stages.{0}.downsample.0"),
    (r"downsample(\d)\.conv", "stages.{0}.downsample.1"),
    ("norm", "head.norm"),
    ("head", "head.fc"),
)
THEIRS = {"depthwise": "dwconv", "norm": "layernorm", "expand": "pwconv1", "project": "pwconv2"}
STAGE = "convnext.encoder.stages"
HUGGING_FACE = (
    (r"stem\.conv", "convnext.embeddings.patch_embeddings"),
    (r"stem\.norm", "convnext.embeddings.layernorm"),
    (rf"{BODY}\.({'|'.join(THEIRS)})", lambda s, b, part: f"{STAGE}.{s - 1}.layers.{b}.{THEIRS[part]}"),
    (rf"{BODY}\.scale\.gamma", lambda s, b: f"{STAGE}.{s - 1}.layers.{b}.layer_scale_parameter"),
    (r"downsample(\d)\.norm", STAGE + ".{0}.downsampling_layer.0"),
    (r"downsample(\d)\.conv", STAGE + ".{0}.downsampling_layer.1"),
    ("norm", "convnext.layernorm"),
    ("head", "classifier"),
)
# the 1x1 convolutions of a block are products of matrices there
FAMILY = Family(
    r"convnext_.*",
    (
        Naming("torchvision", TORCHVISION, ones=((r".*layer_scale", 0, 2), (r".*\.block\.[35]\.weight", 0, -2))),
        Naming("timm", TIMM, ones=((r".*\.mlp\.fc[12]\.weight", 0, -2),)),
        Naming("Hugging Face", HUGGING_FACE, ones=((r".*\.pwconv[12]\.weight", 0, -2),)),
    ),
)
