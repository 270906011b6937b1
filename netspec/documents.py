"""Documents of one sequence: what a token sees, and where its places begin to count."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from netc.netspec.types import TensorType
from netc.netspec.vocabulary import option


@dataclass(frozen=True)
class Documents:
    """Whether the documents that a sequence of tokens holds know of each other.

    With `document_mask` a token sees no token before its own document's begin, and its place counts from there: the
    mask of attention is causal within each block of a diagonal. A document ends with the token `document_end`, which
    still belongs to it. Sources: Megatron-LM's `--reset-attention-mask` and `--reset-position-ids`; Llama 3
    (Grattafiori et al. 2024, section 3.2).
    """

    document_mask: bool = option(
        False, "Tokens attend only to their own document; positions count from its start.", later=True
    )
    document_end: int = option(-1, "Id of the token that ends a document; -1: the tokenizer's.", later=True)

    @property
    def end(self) -> int | None:
        """The token that ends a document, where documents are kept apart."""
        return self.document_end if self.document_mask else None

    def problems(self) -> Iterator[str]:
        """Yield one sentence for each value out of range, or that means nothing."""
        if type(self.document_end) is not int or self.document_end < -1:
            yield f"`document_end` wants the id of a token, or -1 for the tokenizer's, got {self.document_end!r}"
        elif self.document_end >= 0 and not self.document_mask:
            yield f"`document_end` belongs to `document_mask`, got {self.document_end} without; leave it out"

    def misfits(self, x: TensorType, out: TensorType) -> Iterator[str]:
        """Yield one sentence for each reason why a net x -> out has no documents to keep apart."""
        if not self.document_mask:
            return
        if x.dtype != "i32" or x.rank != 1 or out.shape[:1] != x.shape:
            yield f"`document_mask` wants a net from token ids [T] to logits for each, got {x} -> {out}; leave it out"
        elif self.document_end < 0:
            yield "`document_mask` needs the token that ends a document, got none; give `document_end`"
        elif self.document_end >= out.shape[-1]:
            yield f"`document_end` wants one of the net's {out.shape[-1]:,} tokens, got {self.document_end}"
