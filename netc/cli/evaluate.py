"""`netc eval`: the accuracy of a trained run."""

from __future__ import annotations

from pathlib import Path

import click

from netc.cli.console import say
from netc.cli.options import checkpoint_option, json_option, run_target_option, weights_option
from netc.netspec.preprocess import DAMAGED


@click.command("eval")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@checkpoint_option
@click.option("--data", metavar="DATA", help="Another dataset, as for train.  [default: the run's own]")
@click.option("--skip-unknown", is_flag=True, help="Skip images of classes that the run does not know.")
@click.option("--by-number", is_flag=True, help="Match classes by index; there must be one for each output.")
@weights_option
@run_target_option
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder with the dataset's files.")
@click.option("--metrics", metavar="NAME,..", help="Extra metrics to compute, or all.")
@click.option("--tta", metavar="flip", help="Average the predictions with those of the mirrored images.")
@click.option("--on-damaged", type=click.Choice(DAMAGED), help="For damaged images.  [default: as in training]")
@click.option("--by-position", is_flag=True, help="For text, also the perplexity at each position of a context.")
@json_option
def evaluate(
    run: Path,
    checkpoint: str,
    weights: str | None,
    data: str | None,
    skip_unknown: bool,
    by_number: bool,
    target: str | None,
    data_dir: Path | None,
    metrics: str | None,
    tta: str | None,
    on_damaged: str | None,
    by_position: bool,
    as_json: bool,
) -> None:
    """Evaluate a run on the test split of its dataset.

    RUN is a folder made by `netc train` or `netc import`. The classes of another dataset are matched to the run's by
    name, and so are the characters of another text; any other text is tokenized by the run's tokenizer. A text, or an
    image folder without a test split, is evaluated whole. `--metrics all` shows every metric that the loss and the
    output have.
    """
    import json

    from netc.cli.views.examples import examples_of, of_characters, predictions
    from netc.cli.views.metrics import show_metrics
    from netc.cli.views.waiting import watched_cache
    from netc.runs import Run

    if by_position:
        metrics = f"{metrics},by-position" if metrics else "by-position"
    opened = Run.open(run)
    found = opened.data_of(data, checkpoint, data_dir, on_damaged)
    score = opened.score(
        *(found, checkpoint, target, watched_cache()),
        other=data is not None, by_number=by_number, skip_unknown=skip_unknown, metrics=metrics or (),
        tta=tta or "", weights=weights,
    )  # fmt: skip
    if as_json:
        say(json.dumps(score.to_json(), allow_nan=False))
        return
    for note in (*found.notes, *score.notes):
        say(note)
    config = opened.config
    table = bool(found.columns.inputs)
    counted = f"{score.count:,} test {examples_of(config.net, table=table)}"
    if config.recipe.metric != "nothing":  # numbers are no classes
        of = counted
        if config.net.out.rank > 1:
            of = predictions(config.net, score.count, table=table, text=of_characters(found))
        counted = f"{score.accuracy:.2%} of {of}"
    said = f"{config.net.spec.name} ({checkpoint}): {counted} of {data or config.data}, mean loss {score.loss:.4f}"
    say(said + "".join(f", {bits:.4f} bits {name.replace('_', ' ')}" for name, bits in score.bits.items()))
    if spread := score.experts:
        say(f"experts got {spread['expert_least']:.0%} to {spread['expert_most']:.0%} of the choices in their layers")
    show_metrics(score.metrics)
