"""The names of Hugging Face's GPT-2s, whose products of matrices are [I, O], as netc's are.

They are those of the published file; a model with a head writes `transformer.` before them, which is read too.
"""

from netc.runtime.weights.names.table import Family, Naming

BLOCK = r"model\.body\.blocks\.block(\d+)"
LAYER = "h.{0}"

RULES = (
    (r"model\.embed\.tokens", "wte.weight"),
    (r"model\.embed\.positions", "wpe.weight"),
    (rf"{BLOCK}\.attention\.body\.norm", f"{LAYER}.ln_1"),
    (rf"{BLOCK}\.attention\.body\.attention\.qkv", f"{LAYER}.attn.c_attn"),
    (rf"{BLOCK}\.attention\.body\.attention\.out", f"{LAYER}.attn.c_proj"),
    (rf"{BLOCK}\.mlp\.body\.norm", f"{LAYER}.ln_2"),
    (rf"{BLOCK}\.mlp\.body\.hidden", f"{LAYER}.mlp.c_fc"),
    (rf"{BLOCK}\.mlp\.body\.out", f"{LAYER}.mlp.c_proj"),
    (r"model\.body\.norm", "ln_f"),
)
# the mask of each block, which is no weight, and the head, which is the table of tokens once more
IGNORED = (r".*\.attn\.(masked_)?bias", r"lm_head\.weight")
FAMILY = Family(r"gpt2(-medium|-large|-xl)?", (Naming("Hugging Face", RULES, IGNORED, own=True),))
