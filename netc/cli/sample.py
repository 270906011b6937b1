"""`netc sample`: text from a trained language model; images, texts or sequences from a generative one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netc.cli.console import printable, say, write
from netc.cli.options import checkpoint_option, json_option, run_target_option, warn, weights_option
from netc.cli.out_path import OUT_FILE

if TYPE_CHECKING:
    from netc.runs import Run

OF_TEXT = frozenset({"prompt", "tokens", "top_k", "top_p", "min_p", "repetition", "stop", "stream"})
OF_DRAWING = frozenset({"classes", "grid", "steps", "method", "guidance", "out", "gif"})
OF_IMAGES = frozenset({"classes", "grid", "guidance", "out", "gif"})
IMAGES = "draws images"
# a process -> what its net does, and the options that are of others
KINDS = {
    **dict.fromkeys(("flow", "ddpm"), (IMAGES, OF_TEXT | {"samples", "temperature"})),
    "masked": ("writes a whole text at once", OF_TEXT | OF_IMAGES),
    "branching": ("draws sequences", OF_TEXT | OF_IMAGES | {"temperature"}),
}


@click.command("sample")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--prompt", default="", help="Text to continue; - reads it from standard input.  [default: a new line]")
@click.option("--tokens", type=click.IntRange(1), default=200, show_default=True, help="Number of tokens to write.")
@click.option("--temperature", type=float, default=0.8, show_default=True, help="0 takes the likeliest token.")
@click.option("--top-k", type=int, default=0, show_default=True, help="Keep the K likeliest tokens; 0 keeps all.")
@click.option(
    "--top-p", type=float, default=1.0, show_default=True, help="Keep the likeliest tokens whose probabilities reach P."
)
@click.option(
    "--min-p",
    type=float,
    default=0.0,
    show_default=True,
    help="Keep tokens at least P times as likely as the likeliest.",
)
@click.option(
    "--repetition", type=float, default=1.0, show_default=True, help="Penalty on tokens that were already used."
)
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True, help="Random seed.")
@click.option("--stop", multiple=True, metavar="TEXT", help="Stop before this text; may be repeated.")
@click.option(
    "--tokenizer", metavar="PATH", help="Tokenizer, for a run that does not record one.  [default: the run's own]"
)
@click.option("--samples", type=click.IntRange(1), default=1, show_default=True, help="Number of texts or sequences.")
@click.option("--stream", is_flag=True, help="Print the text as it is drawn; for one text.")
@click.option(
    "--class", "classes", multiple=True, metavar="NAME", help="Class of the images; several in turn.  [default: all]"
)
@click.option("--grid", metavar="RxC", default="8x8", show_default=True, help="Rows and columns of images.")
@click.option(
    "--steps", type=click.IntRange(1), help="Steps from noise to a sample.  [default: 50, or as many as there are]"
)
@click.option(
    "--method", help="Sampler: euler or heun for flow, ddim or ancestral for ddpm, ancestral or confidence for masked."
)
@click.option("--guidance", type=float, default=1.0, show_default=True, help="Scale of classifier-free guidance.")
@click.option("-o", "--out", type=OUT_FILE, help="Image file to write.  [default: samples.png]")
@click.option("--gif", type=OUT_FILE, help="Also write the steps as an animated GIF.")
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
    """Write text or draw images with a trained model.

    RUN is a folder made by `netc train`. A language model, such as tiny-gpt on text:PATH, continues a prompt. A model
    trained with --process draws images into one picture, writes a whole text at once, or prints sequences of any
    length, one per line. The same seed gives the same sample.
    """
    import sys

    from netc.cli.options import given
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
    drawing = {name: words.pop(name) for name in OF_DRAWING}
    if opened.config.recipe.generation.process:
        _draw(opened, samples, checkpoint, weights, target, as_json=as_json, **drawing, **words)
        return
    if strange := sorted(OF_DRAWING & given().keys()):
        raise UserError(
            f"`{strange[0]}` belongs to a generative model, trained with --process, got {opened.config.net.spec.name} "
            "without; leave it out"
        )
    request = request_sample(prompt=prompt, samples=samples, **words)
    parts = sampled(
        opened.config, opened.folder, request, checkpoint=checkpoint, weights=weights, target=target or "",
        tokenizer=tokenizer or "", cache=watched_cache(), note=warn,
    )  # fmt: skip
    if stream:
        write(_shown(prompt))
        try:
            for (part,) in parts:
                write(_shown(part))
                sys.stdout.flush()
        finally:
            write("\n")
        return
    drawn: list[tuple[str, ...]] = []
    try:
        drawn.extend(parts)
    finally:  # what was drawn before weights turned out to be no numbers, or before a stop, is a text
        if drawn:
            _write_texts(prompt, ["".join(of) for of in zip(*drawn, strict=True)], as_json=as_json)


def _write_texts(prompt: str, texts: list[str], *, as_json: bool) -> None:
    """Texts behind their prompt, with a line between them."""
    import json

    if as_json:
        say(json.dumps([{"prompt": prompt, "text": text} for text in texts]))
        return
    for index, text in enumerate(texts):
        if index:
            say("-" * 20)
        write(_shown(f"{prompt}{text}") + "\n")


def _draw(
    run: Run,
    samples: int,
    checkpoint: str,
    weights: str | None,
    target: str | None,
    *,
    as_json: bool,
    classes: tuple[str, ...],
    grid: str,
    steps: int | None,
    method: str | None,
    guidance: float,
    out: Path | None,
    gif: Path | None,
    temperature: float,
    seed: int,
    **_: Any,
) -> None:
    """Draw a picture, or write texts, with a generative model."""
    import json

    from netc.cli.options import given
    from netc.cli.views.waiting import watched_cache
    from netc.drawing import DrawRequest, draw, grid_sizes
    from netc.netspec.errors import UserError
    from netc.runtime.files import made_for
    from netc.runtime.pictures import Pictures, format_of

    what, other = KINDS[run.config.recipe.generation.process]
    if strange := sorted(other & given().keys()):
        raise UserError(
            f"`{strange[0]}` applies to another kind of net, got {run.config.net.spec.name}, which {what}; leave it out"
        )
    images = what == IMAGES
    file = out or Path("samples.png")
    if images:
        format_of(file)
    if gif:
        format_of(gif, ("GIF",))
    rows, columns = grid_sizes(grid) if images else (samples, 1)
    if images and rows * columns >= 1 << 16:
        raise UserError(f"`grid` wants fewer than 65,536 images, got {grid}; give a smaller one")
    request = DrawRequest(rows * columns, classes, steps, method or "", guidance, temperature, seed, path=bool(gif))
    drawn = draw(
        run.config, run.folder, request, checkpoint=checkpoint, weights=weights, target=target or "",
        cache=watched_cache(),
    )  # fmt: skip
    if not isinstance(drawn, Pictures):
        _write(drawn, as_json=as_json)
        return
    drawn.save(made_for(file), rows, columns)
    if gif:
        drawn.save_film(made_for(gif), rows, columns)
    files = [str(f) for f in (file, gif) if f]
    if as_json:
        say(json.dumps({"files": files, "labels": list(drawn.labels)}))
        return
    for name in files:
        say(f"wrote {name}")


def _write(drawn: tuple[Any, ...], *, as_json: bool) -> None:
    """Texts with a line between them, or sequences [elements, C], a line each: `x,y x,y`."""
    import json

    if all(isinstance(one, str) for one in drawn):
        if as_json:
            say(json.dumps([{"text": text} for text in drawn]))
            return
        write(f"\n{'-' * 20}\n".join(map(_shown, drawn)) + "\n")
        return
    if as_json:
        say(json.dumps([{"elements": sequence.tolist()} for sequence in drawn]))
        return
    for sequence in drawn:
        say(" ".join(",".join(f"{v:.3f}" for v in element) for element in sequence.tolist()))


def _shown(text: str) -> str:
    """The text with control characters spelled out, but for ends of lines and tabs."""
    return "".join(c if c in "\n\t" else printable(c) for c in text)
