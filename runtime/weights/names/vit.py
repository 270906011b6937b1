"""The names of timm's vision transformers, of torchvision.models.vision_transformer and of Hugging Face's ViT."""

from netc.runtime.weights.names.table import HALF, Family, Naming

BLOCK = r"encoder\.block(\d+)"

TIMM = (
    (r"patch\.project", "patch_embed.proj"),
    (r"patch\.class\.tokens", "cls_token"),
    (r"patch\.embed\.positions", "pos_embed"),
    (rf"{BLOCK}\.attention\.body\.norm", "blocks.{0}.norm1"),
    (rf"{BLOCK}\.attention\.body\.attention\.qkv", "blocks.{0}.attn.qkv"),
    (rf"{BLOCK}\.attention\.body\.attention\.out", "blocks.{0}.attn.proj"),
    (rf"{BLOCK}\.mlp\.body\.norm", "blocks.{0}.norm2"),
    (rf"{BLOCK}\.mlp\.body\.hidden", "blocks.{0}.mlp.fc1"),
    (rf"{BLOCK}\.mlp\.body\.out", "blocks.{0}.mlp.fc2"),
    ("norm", "norm"),
    ("head", "head"),
)
LAYER = "encoder.layers.encoder_layer_{0}"
TORCHVISION = (
    (r"patch\.project", "conv_proj"),
    (r"patch\.class\.tokens", "class_token"),
    (r"patch\.embed\.positions", "encoder.pos_embedding"),
    (rf"{BLOCK}\.attention\.body\.norm", f"{LAYER}.ln_1"),
    (rf"{BLOCK}\.attention\.body\.attention\.qkv\.kernel", f"{LAYER}.self_attention.in_proj_weight"),
    (rf"{BLOCK}\.attention\.body\.attention\.qkv\.bias", f"{LAYER}.self_attention.in_proj_bias"),
    (rf"{BLOCK}\.attention\.body\.attention\.out", f"{LAYER}.self_attention.out_proj"),
    (rf"{BLOCK}\.mlp\.body\.norm", f"{LAYER}.ln_2"),
    (rf"{BLOCK}\.mlp\.body\.hidden", f"{LAYER}.mlp.0"),
    (rf"{BLOCK}\.mlp\.body\.out", f"{LAYER}.mlp.3"),
    ("norm", "encoder.ln"),
    ("head", "heads.head"),
)
LAYER_HF = "vit.encoder.layer.{0}"
HUGGING_FACE = (
    (r"patch\.project", "vit.embeddings.patch_embeddings.projection"),
    (r"patch\.class\.tokens", "vit.embeddings.cls_token"),
    (r"patch\.embed\.positions", "vit.embeddings.position_embeddings"),
    (rf"{BLOCK}\.attention\.body\.norm", f"{LAYER_HF}.layernorm_before"),
    (rf"{BLOCK}\.attention\.body\.attention\.qkv", f"{LAYER_HF}.attention.attention.[query key value]"),
    (rf"{BLOCK}\.attention\.body\.attention\.out", f"{LAYER_HF}.attention.output.dense"),
    (rf"{BLOCK}\.mlp\.body\.norm", f"{LAYER_HF}.layernorm_after"),
    (rf"{BLOCK}\.mlp\.body\.hidden", f"{LAYER_HF}.intermediate.dense"),
    (rf"{BLOCK}\.mlp\.body\.out", f"{LAYER_HF}.output.dense"),
    ("norm", "vit.layernorm"),
    ("head", "classifier"),
)
# class token and positions are [1, T, D] there
ONES = ((r".*(cls_token|class_token|pos_embed|pos_embedding|position_embeddings)", 1, 0),)
FAMILIES = (
    # timm's own weights saw images from -1 to 1; torchvision's, and those of DeiT, ImageNet's normalisation
    Family(
        "vit_.*_patch16_224",
        (
            Naming("timm", TIMM, normalise=HALF, ones=ONES),
            Naming("torchvision", TORCHVISION, ones=ONES),
            Naming("Hugging Face", HUGGING_FACE, normalise=HALF, ones=ONES),
        ),
    ),
    Family(
        "deit_.*|vit_tiny_patch4_32",
        (Naming("timm", TIMM, ones=ONES), Naming("Hugging Face", HUGGING_FACE, ones=ONES)),
    ),
)
