"""The names of Hugging Face's LlamaForCausalLM, whose rotary planes are (i, i + d/2) as netc's are."""

from netc.netspec.check import CheckedNet
from netc.netspec.layers import MultiHeadAttention
from netc.runtime.weights.names.table import Family, Naming, Rules

BLOCK = r"model\.body\.block(\d+)"
LAYER = "model.layers.{0}"


def _rules(net: CheckedNet) -> Rules:
    """Queries, keys and values are three tensors there, of as many heads as the net has of each."""
    found = next((at.layer for at in net.walk() if isinstance(at.layer, MultiHeadAttention)), MultiHeadAttention(1))
    heads, few = found.heads, found.kv_heads or found.heads
    return (
        (r"model\.embed\.tokens", "model.embed_tokens.weight"),
        (rf"{BLOCK}\.attention\.body\.norm", f"{LAYER}.input_layernorm"),
        (
            rf"{BLOCK}\.attention\.body\.attention\.qkv",
            f"{LAYER}.self_attn.[q_proj*{heads} k_proj*{few} v_proj*{few}]",
        ),
        (rf"{BLOCK}\.attention\.body\.attention\.out", f"{LAYER}.self_attn.o_proj"),
        (rf"{BLOCK}\.mlp\.body\.norm", f"{LAYER}.post_attention_layernorm"),
        (rf"{BLOCK}\.mlp\.body\.mlp\.in", f"{LAYER}.mlp.[gate_proj up_proj]"),
        (rf"{BLOCK}\.mlp\.body\.mlp\.out", f"{LAYER}.mlp.down_proj"),
        (r"model\.body\.norm", "model.norm"),
    )


# the head, which is the table of tokens once more, and what rope is made of
IGNORED = (r"lm_head\.weight", r".*\.rotary_emb\.inv_freq")
FAMILY = Family(r"tiny-llama|smollm2-.*|llama-.*", (Naming("Hugging Face", _rules, IGNORED),))
