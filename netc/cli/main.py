"""The `netc` command: a table of commands, each imported only when it runs, and one place where errors become lines."""

from __future__ import annotations

import errno
import gc
import importlib
import io
import itertools
import os
import resource
import signal
import stat
import sys
from typing import NoReturn

import click

from netc import __version__
from netc.cli.console import say
from netc.cli.signals import Stopped, end_at_once, end_children, end_tidily
from netc.cli.spelling import parameters_of, spelled
from netc.netspec.nearest import did_you_mean
from netc.other_words import nearest

# name -> module, attribute, one line of help
COMMANDS: dict[str, tuple[str, str, str]] = {
    "ls": ("ls", "ls", "List the built-in networks."),
    "show": ("show", "show", "Show a network's layers, shapes, parameters and FLOPs."),
    "train": ("train", "train", "Train a network."),
    "launch": ("launch", "launch", "Train a network in several processes of this machine."),
    "recipes": ("recipes", "recipes", "List or show the training recipes that netc ships."),
    "sweep": ("sweep", "sweep", "Train with a grid of options, or search, and compare the runs."),
    "lr-find": ("lr_find", "lr_find", "Find a learning rate by a range test."),
    "eval": ("evaluate", "evaluate", "Evaluate a trained run on its test part."),
    "report": ("report", "report", "Write a page about runs: curves, metrics, mistakes, costs, evidence."),
    "predict": ("predict", "predict", "Classify images with a trained run."),
    "sample": ("sample", "sample", "Write text or draw images with a trained model."),
    "import": ("import_", "import_", "Import weights from elsewhere as a run."),
    "weights": ("weights", "weights", "List the published weights that fit a network."),
    "export": ("export", "export", "Export a run's weights for other programs."),
    "explain": ("explain", "explain", "Show which pixels of an image speak for a class."),
    "attack": ("attack", "attack", "Measure a run's accuracy under attack."),
    "atlas": ("atlas", "atlas", "Write a training step as a page to explore."),
    "emit-mlir": ("emit_mlir", "emit_mlir", "Write a network's training program as StableHLO."),
    "emit-c": ("emit_c", "emit_c", "Write a network's training program as C."),
    "compile": ("compile", "compile_", "Compile a network's training program for a target."),
    "tune": ("tune", "tune", "Find the fastest form of each convolution on this machine."),
    "profile": ("profile", "profile", "Profile a training step by dispatch and layer."),
    "cost": ("cost", "cost", "Estimate a training step's FLOPs, bytes moved and roofline time."),
    "memory": ("memory", "memory", "Break down the memory that a training step needs."),
    "bench": ("bench", "bench", "Benchmark a training step, alone or against JAX and PyTorch."),
    "emit-jax": ("emit_jax", "emit_jax", "Write the same training as a standalone JAX script."),
    "emit-lean": ("emit_lean", "emit_lean", "Write a network's specification as Lean 4."),
    "trace": ("trace", "trace", "Compare the traces of runs and find where they diverge."),
    "oracle": ("oracle", "oracle", "Check every gradient against JAX and finite differences."),
    "certify": ("certify", "certify", "Check in exact arithmetic that gradients are derivatives of the loss."),
    "prove": ("prove", "prove", "Prove, with Lean's kernel, that gradients are derivatives of the loss."),
    "kernel": ("kernel", "kernel", "Simulate, compile and run kernels written in Lean or Python."),
    "blas": ("blas", "blas", "List, emit and certify the routines of BLAS."),
    "data": ("data", "data", "List, download or tokenize datasets."),
    "cache": ("cache", "cache", "List, prune or clear compiled programs."),
    "doctor": ("doctor", "doctor", "Check what works on this machine and how to fix what does not."),
}


# New objects after which Python looks for cycles of them, 700 by default. Imports and emission make many objects and no
# such cycles, and looking took a tenth of the time to the first step.
COLLECT_AFTER = 100_000

DEV_FULL = os.makedev(1, 7)
BLOCK = 1 << 16  # bytes; a disk with less left is full

# what the system says when a path was mistyped or may not be written
MISTAKES = {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.EEXIST, errno.ENOTDIR, errno.EROFS}

MEANT = {
    "nets": "ls", "models": "ls", "list": "ls", "evaluate": "eval", "test": "eval", "infer": "predict",
    "generate": "sample", "benchmark": "bench", "resume": "train --resume RUN",
}  # fmt: skip
"""What is no command, and the one that does it."""
EXTRA = "Got unexpected extra argument"
LISTED = "`netc --help` lists them"
COLUMN = "--data csv:FILE,label=NAME"


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called; its help needs only the table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command = getattr(importlib.import_module(f"netc.cli.{module}"), attribute)
        assert isinstance(command, click.Command)
        flags = [flag for option in command.params for flag in option.opts]
        if twice := sorted({flag for flag in flags if flags.count(flag) > 1}):  # a plugin's, for netc's own are tested
            raise click.UsageError(
                f"two options are called {twice[0]}; give the plugin's another name by option(.., flag=..)"
            )
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that was named; raises UsageError with the nearest names for one that is none."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            hint = f"did you mean {MEANT[name]}?" if name in MEANT else did_you_mean(name, COMMANDS, LISTED)
            raise click.UsageError(f"netc wants a command, got {name!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--plugin",
    multiple=True,
    metavar="FILE",
    expose_value=False,
    callback=lambda context, option, files: load_plugins(files),
    help="A .py file with your own layers, optimizers or data, or a .lean file with activations.",
)
@click.version_option(__version__, "-V", "--version", prog_name="netc")
def cli() -> None:
    """Compile a network's whole training program to one StableHLO module, and run it.

    NET is a name from `netc ls`, a .toml file, or FILE.lean:NAME for a net in a Lean file.

    Start with: netc train resnet34
    """


def load_plugins(files: tuple[str, ...]) -> None:
    """Import the files before the command is, whose options come from the words that there are."""
    if files:
        from netc.plugin_files import load_plugin

        for file in files:
            load_plugin(file)


def plugins_first(arguments: list[str]) -> list[str]:
    """The arguments with each `--plugin FILE` before the command."""
    found: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word == "--plugin":
            found += [word, *([following] if (following := next(words, None)) is not None else [])]
        else:
            (found if word.startswith("--plugin=") else rest).append(word)
    return found + rest


def main() -> NoReturn:
    """Run the command line. Exit codes: 0 done, 1 a failure, 2 a user's mistake, 128 and a signal's number.

    And 75, where another process of a training is gone.
    """
    gc.set_threshold(COLLECT_AFTER)
    _write_whole()
    end_tidily()
    code = _run(sys.argv[1:])
    end_at_once()
    if code > 128:
        end_children()
    if code and getattr(sys.modules.get("netc.runtime.backends.xla_processes"), "LEFT", None):
        sys.stdout.flush()
        os._exit(code)  # what jaxlib does at the end would wait for the other processes
    sys.exit(code)


def _write_whole() -> None:
    """Make an output that PYTHONUNBUFFERED left bare write all or raise; it drops what the system takes in part."""
    bare = getattr(sys.stdout, "buffer", None)
    if isinstance(bare, io.RawIOBase):
        held = io.BufferedWriter(bare)
        sys.stdout = io.TextIOWrapper(held, sys.stdout.encoding, sys.stdout.errors, line_buffering=True)


def _run(arguments: list[str]) -> int:
    from netc.netspec.errors import NetcError

    try:
        code = cli.main(plugins_first(arguments), prog_name="netc", standalone_mode=False)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.ClickException as error:
        return _refused(error, arguments)
    except (click.Abort, KeyboardInterrupt):
        _say("stopped")
        return 128 + signal.SIGINT
    except Stopped as stopped:
        _say(f"stopped by {signal.Signals(stopped.number).name}")
        return 128 + stopped.number
    except NetcError as error:
        _say(_spelled(str(error), arguments))
        return error.exit_code
    except BrokenPipeError:
        _silence()
        return 1
    except MemoryError:
        _say("out of memory; try a smaller --input, --batch or net")
        return 1
    except OSError as error:
        if error.filename is None and _output_is_full():
            _silence()
            _say(f"cannot write the output: {error.strerror}; the rest of it is lost")
            return 1
        _say(_os_sentence(error))
        return 2 if error.errno in MISTAKES else 1
    except ValueError as error:
        if type(error).__name__ != "TraceError":  # the traces room imports nothing of ours, not even the error class
            raise
        _say(_spelled(str(error), arguments))
        return 2
    return code if isinstance(code, int) else 0  # what ctx.exit(..) was given


def _refused(error: click.ClickException, arguments: list[str]) -> int:
    if isinstance(error, click.NoSuchOption) and error.ctx:
        near = " or ".join(_near(error.option_name, error.ctx.command))
        if error.option_name in ("--label", "--labels") and "data" in {p.name for p in error.ctx.command.params}:
            near = COLUMN
        if error.option_name == "--guidance" and error.ctx.command.name == "train":
            near = "netc sample RUN --guidance"
        hint = f"; did you mean {near}?" if near else ""
        error = click.UsageError(f"No such option {error.option_name}{hint}", error.ctx)
    if error.message.startswith(EXTRA) and isinstance(error, click.UsageError) and error.ctx:
        flags = {flag for o in error.ctx.command.params if getattr(o, "is_flag", False) for flag in o.opts}
        given = [pair for pair in itertools.pairwise(arguments) if pair[0] in flags and f"({pair[1]}" in error.message]
        if given:
            error = click.UsageError(f"{given[0][0]} takes no value, got {given[0][1]!r}; leave it out", error.ctx)
    text = error.format_message()
    text = (text if text[:2].isupper() else text[:1].lower() + text[1:]).rstrip(".")
    if isinstance(error, click.UsageError) and error.ctx and "; " not in text:
        text += f"; see {error.ctx.command_path} --help"
    _say(text)
    return 2


def _output_is_full() -> bool:
    """Whether standard output takes no more: a full disk, a file as large as `ulimit -f` allows, or /dev/full."""
    handle = sys.stdout.fileno()
    found = os.fstat(handle)
    if stat.S_ISREG(found.st_mode):
        disk, (most, _) = os.fstatvfs(handle), resource.getrlimit(resource.RLIMIT_FSIZE)
        return disk.f_bavail * disk.f_frsize < BLOCK or 0 <= most <= found.st_size
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == DEV_FULL


def _silence() -> None:
    """Let standard output go nowhere, so that the interpreter's last flush says nothing."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(text: str) -> None:
    for line in text.split("\n"):
        say(f"netc: {line}", err=True)


def _spelled(text: str, arguments: list[str]) -> str:
    """The text of an error, its fields as the flags of the command that ran."""
    from netc.netspec.errors import NetcError

    try:
        command = next((found for a in arguments if (found := cli.get_command(click.Context(cli), a))), None)
    except NetcError:  # an installed plugin fails, which is what the text says
        command = None
    own = {str(parameter.name): parameter for parameter in cli.params}
    if command is not None:  # of the room that refuses
        text = text.replace("`proofs_oracle` wants", f"`netc {command.name}` wants")
    return spelled(text, {**own, **(parameters_of(command, arguments) if command else {})})


def _near(flag: str, command: click.Command) -> list[str]:
    """The flags of the command near one that it has not, by what other libraries call them too."""
    flags = {max(o.opts, key=len): o for o in command.params if isinstance(o, click.Option)}
    flags = {flag.lstrip("-").replace("-", "_"): o for flag, o in flags.items()}
    takes_net = any(p.name == "net" and isinstance(p, click.Argument) for p in command.params)
    near = nearest(flag.lstrip("-").replace("-", "_"), [*flags, *(["net"] if takes_net else [])])
    return [max(flags[word].opts, key=len) if word in flags else "NET, without a flag" for word in near]


def _os_sentence(error: OSError) -> str:
    where = f" at {error.filename}" if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"the disk is full{where}; what was there before is unchanged; free some space"
    return f"the system refused{where}: {error.strerror or error}; check the path and its permissions"
