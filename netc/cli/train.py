"""`netc train`: from a name to a trained network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from netc.cli.console import say
from netc.cli.lean_config import config_option, file_options, say_stated
from netc.cli.options import complete_net, given, net_options, tuned_option
from netc.cli.out_path import OUT_FOLDER
from netc.cli.processes import processes_options
from netc.cli.recipe_options import (
    augment_options,
    decay_options,
    feeding_options,
    memory_budget_option,
    mesh_option,
    preprocess_options,
    recipe_options,
    shard_option,
    steps_per_call_option,
)
from netc.cli.resuming import check, resuming_options
from netc.cli.sections import LOSS, MOST, RATE, RUNS, SPEED, START, Sectioned, under
from netc.cli.spelling import spelled_here
from netc.netspec.errors import UserError

if TYPE_CHECKING:
    from netc.requests import Plan
    from netc.runtime.processes.group import Together
    from netc.runtime.run.outcome import Outcome
    from netc.together import Shared
    from netc.traces.schema import EvalRecord
    from netc.train_request import TrainRequest


HERE = frozenset({"resume", "same_bits", "quiet", "coordinator", "process_id", "processes"})  # no words of a run


@click.command("train", cls=Sectioned, listed=True)
@click.argument("net", metavar="NET", required=False, shell_complete=complete_net)
@under(
    MOST,
    net_options,
    click.option(
        "--data",
        default="digits",
        show_default=True,
        help="Dataset: a name or a form from `netc data ls`, such as imagefolder:PATH.",
    ),
    click.option("--data-dir", type=click.Path(path_type=Path), help="Folder with the dataset's files."),
    click.option(
        "--target", default="cpu", show_default=True, help="Target: cpu, cuda:SM, rocm:GFX, vulkan, xla, c, reference."
    ),
    click.option("--epochs", type=int, help="Number of epochs.  [default: 6 for small datasets, otherwise 5]"),
    click.option(
        "--batch", type=int, help="Batch size, of all devices.  [default: 32 for small datasets, otherwise 128]"
    ),
    click.option("--lr", type=float, default=1e-3, show_default=True, help="Peak learning rate."),
    config_option,
    file_options,
    click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Random seed."),
    click.option(
        "--out",
        type=OUT_FOLDER,
        help="Run folder.  [default: runs/NET-DATA, or runs/NET-DATA-2 if that is taken]",
    ),
    click.option("--quiet", is_flag=True, help="Print only the result."),
)
@under(
    RATE,
    click.option("--warmup", type=float, help="Linear warmup, in epochs.  [default: 0 for one-cycle, else 0.5]"),
    decay_options,
)
@recipe_options
@augment_options
@feeding_options
@under(
    LOSS,
    click.option(
        "--class-weights",
        metavar="WEIGHTS",
        help="Class weights in the loss: balanced, or numbers such as 1,2,0.5 (crossEntropy, focal).",
    ),
)
@preprocess_options
@under(
    SPEED,
    tuned_option,
    memory_budget_option,
    steps_per_call_option,
    click.option(
        "--devices",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        metavar="N",
        help="Train on N devices of the target at once, each with an equal part of the batch.",
    ),
    mesh_option,
    shard_option,
    processes_options,
)
@under(
    START,
    click.option(
        "--init",
        type=click.Path(path_type=Path),
        help="Initialise from weights: RUN, RUN/last or a .safetensors file.",
    ),
    click.option(
        "--pretrained", is_flag=True, help="Initialise from published weights; `netc weights NET` lists them."
    ),
    click.option(
        "--new-head",
        is_flag=True,
        help="With --init or --pretrained: reinitialise the final layer, for other classes.",
    ),
)
@under(
    RUNS,
    click.option("--log", metavar="LOG,..", help="Also log to csv, tensorboard, wandb or mlflow.  [default: none]"),
    click.option("--log-every", type=click.IntRange(min=1), metavar="N", help="Log every N steps.  [default: 10]"),
    resuming_options,
)  # fmt: skip
def train(
    net: str | None,
    quiet: bool,
    resume: Path | None,
    same_bits: bool,
    auto_resume: bool,
    coordinator: str | None,
    process_id: int | None,
    processes: str | None,
    **options: Any,
) -> None:
    """Train NET: emit its program, compile it and run it, keeping a trace and checkpoints.

    For example, `netc train resnet34` learns the bundled digits on this machine's CPU.
    """
    from netc.cli.lasting import lasting_output

    file = any(options[name] for name in ("config", "recipe", "set_"))
    check(net, resume, auto_resume=auto_resume, same_bits=same_bits, file=file)
    with lasting_output():
        from netc.together import joined

        request = None if resume else train_request(net)
        shared = _shared(resume, request)
        with joined(coordinator, process_id, processes, shared) as together:
            ended = _train(request, resume, together, shared, same_bits=same_bits, quiet=quiet)
        if together.leads:
            _tell(*ended, resume)
        elif ended.outcome.interrupted:
            click.get_current_context().exit(128 + ended.outcome.signal)


class _Ended(NamedTuple):
    plan: Plan
    outcome: Outcome
    last: EvalRecord | None
    before: int


def _shared(folder: Path | None, request: TrainRequest | None) -> Shared:
    """The devices that processes would share: those of a mesh, or as words or a file say. Raises UserError."""
    from netc.codegen.sharding.mesh import parse_sharding
    from netc.resuming import on_devices
    from netc.runtime.run.config import read_config
    from netc.together import Shared

    stated = given().get("devices")
    if request is None:
        assert folder is not None  # what else there is to train
        config = on_devices(read_config(folder), given())
        if stated is None and config.devices > 1:
            stated = config.devices
        return Shared(stated, config.sharding)
    if stated is None and request.devices > 1:
        stated = request.devices
    return Shared(stated, parse_sharding(request.mesh, request.shard))


def _train(
    request: TrainRequest | None,
    folder: Path | None,
    together: Together,
    shared: Shared,
    *,
    same_bits: bool,
    quiet: bool,
) -> _Ended:
    from netc.cli.views.train import TrainView
    from netc.runs import Run
    from netc.runtime.train import Progress
    from netc.together import planned_together
    from netc.training import plan_of, plan_resumed, run_plan

    def note(text: str) -> None:
        if together.leads:
            say(f"netc: {text}", err=True)

    devices = shared.words(together.part.count)
    if request is None:
        assert folder is not None
        words = {**devices, **{name: value for name, value in given().items() if name not in HERE}}
        plan, resume = plan_resumed(folder, words.pop("data", None), words, same_bits=same_bits), True
    else:
        plan, resume = plan_of(replace(request, **devices), same_bits=same_bits, note=note)
    plan = planned_together(plan, together, shared)
    before = Run.open(folder).steps if folder is not None else 0
    with TrainView(plan.config, plan.data, quiet=quiet or not together.leads) as view:
        for text in plan.start.notes_for(plan.data.classes) if plan.start and together.leads else ():
            view.note(spelled_here(text))
        outcome = run_plan(
            plan, resume=resume, same_bits=same_bits, progress=view.progress if together.leads else Progress(),
            cache=view.cache(), together=together,
        )  # fmt: skip
    return _Ended(plan, outcome, view.last, before)


def _tell(plan: Plan, outcome: Outcome, last: EvalRecord | None, before: int, folder: Path | None) -> None:
    """The last lines of a run, which `folder` says to have gone on after `before` steps."""
    if folder is not None and outcome.steps == before and outcome.early:
        say("the run ended early because its patience ran out; give --patience 0 to continue", err=True)
    elif folder is not None and outcome.steps == before == plan.config.training.max_steps:
        say(f"the run has done its {before:,} steps, and --max-steps ends it; start a new run for more", err=True)
    elif folder is not None and outcome.steps == before:
        epochs = plan.config.training.epochs
        plural = "s" if epochs > 1 else ""
        say(f"the run has done its {epochs} epoch{plural}; give --epochs {epochs + 1} or more to continue", err=True)
    _last_line(plan, outcome, last)


def train_request(net: str | None, **others: Any) -> TrainRequest:
    """The training that the options of the command that runs say, and `others`. Raises UserError or SpecError."""
    from netc.config_file import settings
    from netc.requests import request_training
    from netc.train_request import request_words

    stated = given()
    words = {name: stated[name] for name in request_words() & stated.keys()}
    settled = settings(stated.get("set", ()))
    if twice := sorted(settled.keys() & {*words, *(("net",) if net else ())}):
        raise UserError(f"wants `{twice[0]}` once, got it in `set` too; leave one out")
    config = settled.pop("config", None) or stated.get("config")
    net = settled.pop("net", None) or net
    return request_training(net, config=config, on_stated=say_stated, **{**settled, **words, **others})


def _last_line(plan: Plan, outcome: Outcome, last: EvalRecord | None) -> None:
    name, folder = plan.config.net.spec.name, outcome.folder
    if outcome.interrupted:
        say(f"{name} stopped after step {outcome.steps}, nothing is lost; resume with: netc train --resume {folder}")
        click.get_current_context().exit(128 + outcome.signal)
    reached = f"{name} reached {outcome.accuracy:.2%} test accuracy on {plan.config.data} (best {outcome.best:.2%})"
    if plan.config.recipe.metric == "nothing":  # of a regression no number is right
        loss = f", test loss {last.loss:.4f}," if last else ""
        reached = f"{name} was trained on {plan.config.data}{loss}"
    say(f"{reached} in {outcome.seconds:.0f} s; next: netc eval {folder}")
