"""A small causal language model and a text, which tests of the command line train."""

from pathlib import Path

HEAD = """
name = "small"
input = [8]
dtype = "i32"

[[layers]]
kind = "tiedHead"
embed = { kind = "tokenPositionEmbed", vocabulary = 2, dim = 6, std = 0.3 }
"""
SPEC = f'{HEAD}body = {{ kind = "conv1d", features = 6, kernel = 2 }}\n'


def with_small_net(folder: Path, text: str) -> Path:
    """The folder, in which small.toml and book.txt were written."""
    (folder / "small.toml").write_text(SPEC)
    (folder / "book.txt").write_text(text)
    return folder
