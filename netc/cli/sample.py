"""`netc sample`: text from a trained language model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from netc.cli.console import printable, say, write
from netc.cli.options import checkpoint_option, json_option, run_target_option, warn, weights_option


@click.command("sample")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--prompt", default="", help="Text to go on from; - reads it from standard input.  [default: a new line]")
@click.option("--tokens", type=click.IntRange(1), default=200, show_default=True, help="Number of tokens to write.")
@click.option("--temperature", type=float, default=0.8, show_default=True, help="0 takes the likeliest token.")
@click.option("--top-k", type=int, default=0, show_default=True, help="Keep the K likeliest tokens; 0 keeps all.")
@click.option("--top-p", type=float, default=1.0, show_default=True, help="Keep the likeliest tokens that reach P.")
@click.option(
    "--min-p", type=float, default=0.0, show_default=True, help="Keep tokens with at least P of the likeliest one's."
)
@click.option("--repetition", type=float, default=1.0, show_default=True, help="Penalty on tokens that were seen.")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True, help="Random seed.")
@click.option("--stop", multiple=True, metavar="TEXT", help="End a text before this; may be given several times.")
@click.option(
    "--tokenizer", metavar="PATH", help="What made the tokens, for a run that does not say.  [default: the run's own]"
)
@click.option("--samples", type=click.IntRange(1), default=1, show_default=True, help="Number of texts.")
@click.option("--stream", is_flag=True, help="Print each token when it is drawn; of one text.")
@checkpoint_option
@weights_option
@run_target_option
@json_option
def sample(
    run: Path,
    prompt: str,
    stream: bool,
    samples: int,
    checkpoint: str,
    weights: str | None,
    target: str | None,
    tokenizer: str | None,
    as_json: bool,
    **words: Any,
) -> None:
    """Write text with a trained language model.

    RUN is a folder that `netc train` made of a language model, such as tiny-gpt on text:PATH. The same seed gives the
    same text.
    """
    import json
    import sys

    from netc.cli.views.waiting import watched_cache
    from netc.netspec.errors import UserError
    from netc.runs import Run
    from netc.sampling import request_sample
    from netc.sampling import sample as sampled

    if stream and (samples > 1 or as_json):
        raise UserError("--stream prints one text as it is drawn; leave out --samples and --json")
    if prompt == "-":
        prompt = sys.stdin.read()
    opened = Run.open(run)
    request = request_sample(prompt=prompt, samples=samples, **words)
    parts = sampled(
        opened.config, opened.folder, request, checkpoint=checkpoint, weights=weights, target=target or "",
        tokenizer=tokenizer or "", cache=watched_cache(), note=warn,
    )  # fmt: skip
    if stream:
        write(_shown(prompt))
        for (part,) in parts:
            write(_shown(part))
            sys.stdout.flush()
        write("\n")
        return
    texts = ["".join(of) for of in zip(*parts, strict=True)]
    if as_json:
        say(json.dumps([{"prompt": prompt, "text": text} for text in texts]))
        return
    for index, text in enumerate(texts):
        if index:
            say("-" * 20)
        write(_shown(f"{prompt}{text}") + "\n")


def _shown(text: str) -> str:
    """The text with control characters spelled out, but for ends of lines and tabs."""
    return "".join(c if c in "\n\t" else printable(c) for c in text)
