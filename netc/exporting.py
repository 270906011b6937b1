"""Write what a run has learned for other programs. Everything is checked and made before the first file is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from netc.netspec.errors import UserError
from netc.runtime.backends.protocol import Array
from netc.runtime.data.batches import Normalise
from netc.runtime.evaluate import classes_of, columns_of
from netc.runtime.files import made_for
from netc.runtime.run.checkpoint import Checkpoint
from netc.runtime.run.config import RunConfig, checkpoint_of, normalise_of
from netc.runtime.weights.chosen import chosen_weights, weights_word
from netc.runtime.weights.names import naming_for
from netc.runtime.weights.said import metadata_of
from netc.runtime.weights.write import named_tensors, write_tensors


@dataclass(frozen=True)
class Exported:
    """A file that was written, and a sentence that says what it holds."""

    path: Path
    what: str


@dataclass(frozen=True)
class Source:
    """The checkpoint of a run that is written, the run's record, and the tensors: the averaged ones where chosen."""

    config: RunConfig
    saved: Checkpoint
    tensors: Mapping[str, Array]

    @classmethod
    def open(cls, config: RunConfig, folder: Path, checkpoint: str, weights: str | None = None) -> Source:
        """Read it. Raises CheckpointError, and UserError where it is of another net than run.json.

        `weights` is `plain`, `ema` or `swa`, as for an evaluation.
        """
        saved, chosen = checkpoint_of(folder, checkpoint), weights_word(config.recipe, weights)
        if saved.meta.get("spec_sha256") != config.net.digest:
            raise UserError(f"{folder / checkpoint} belongs to another spec than run.json; give the run that made it")
        return cls(config, saved, chosen_weights(saved.tensors, chosen))

    @property
    def pixels(self) -> Normalise:
        """How pixels become what the net takes; of a run on numbers or tokens there are none."""
        return Normalise((), ()) if columns_of(self.saved).inputs else normalise_of(self.saved)

    @property
    def metadata(self) -> dict[str, str]:
        """What the file says besides the tensors: net, classes, normalisation, resizing."""
        net, levels = self.config.net, normalise_of(self.saved)
        return metadata_of(
            net.spec.name, net.digest, net.x.shape, classes_of(self.saved), levels, self.config.preprocess
        )


Write = Callable[[], Exported]


def weights_writer(source: Source, path: Path, names: str | None = None) -> Write:
    """What writes the weights without moments as .safetensors, by a project's `names`; the first known by default."""
    net = source.config.net
    naming = naming_for(net.spec.name, names)
    steps = source.saved.meta.get("step", 0)
    tensors = named_tensors(net, source.tensors, naming, steps if isinstance(steps, int) else 0)

    def write() -> Exported:
        write_tensors(made_for(path), tensors, source.metadata)
        remark = f"; {naming.remark}" if naming.remark else ""
        return Exported(path, f"{len(tensors):,} tensors by names of {naming.project}{remark}")

    return write


def onnx_writer(source: Source, path: Path, batch: int) -> Write:
    """What writes the net with its weights as an ONNX model, pixels in where the run was trained on images."""
    from netc.codegen.inference import NAME, inference_module
    from netc.runtime.export.frozen import levels_of
    from netc.runtime.export.onnx_model import OPSET, model_of, write_model

    _refuse_documents(source, "onnx")
    function = inference_module(source.config.net, batch, levels_of(source.pixels)).function(NAME)
    given = function.params[-1]
    content = model_of(function, {n: source.tensors[n] for n in function.names[:-1]}, source.metadata)

    def write() -> Exported:
        write_model(made_for(path), content)
        return Exported(path, f"ONNX, opset {OPSET}, from {function.names[-1]} {given.type} to logits")

    return write


def vmfb_writer(source: Source, path: Path, batch: int, target: str) -> Write:
    """What compiles the net with its weights for a target of IREE's, pixels in where it was trained on images."""
    from netc.codegen.inference import NAME
    from netc.runtime.export.frozen import freeze
    from netc.runtime.target import parse_target

    _refuse_documents(source, "vmfb")
    frozen = freeze(
        source.config.net, source.tensors, parse_target(target), batch=batch,
        normalise=source.pixels, classes=classes_of(source.saved), preprocess=source.config.preprocess,
    )  # fmt: skip
    function = frozen.module.function(NAME)

    def write() -> Exported:
        frozen.save(made_for(path))
        return Exported(path, f"{NAME} for {target}, from {function.names[0]} {function.params[0].type} to logits")

    return write


def _refuse_documents(source: Source, word: str) -> None:
    """Raise UserError for a run whose net is another one than its layers alone say."""
    if source.config.recipe.documents.document_mask:
        raise UserError(
            f"`{word}` wants a run without `document_mask`, got one: the file would let documents see each other; "
            "export its weights instead"
        )


def _file(given: Path | str, word: str, digest: str) -> Path:
    """The path of a file to write; raises UserError for a folder, another ending, and another's file."""
    path, ending = Path(given), f".{word}"
    if path.is_dir():
        raise UserError(f"`{word}` wants a file, got the folder {path}; name a {ending} file in it")
    if path.suffix != ending:
        raise UserError(f"`{word}` wants a name that ends in {ending}, got {path}; other programs rely on the ending")
    if path.exists() and not _is_of(path, digest):
        raise UserError(
            f"`{word}` wants a new file, or one that holds the same net and may be replaced, got {path}; name another"
        )
    return path


def _is_of(path: Path, digest: str) -> bool:
    """Whether a file that netc exported is of the net with this digest, which stands in it or beside it."""
    beside = path.with_name(path.name + ".json")
    return any(digest.encode() in part.read_bytes() for part in (path, beside) if part.is_file())


def exported(
    source: Source, files: Mapping[str, Path | str | None], *, names: str | None, batch: int, target: str
) -> tuple[Exported, ...]:
    """Write the files, by their kind: safetensors, onnx, vmfb. All are ready before the first is written."""
    if not 1 <= batch < 1 << 24:
        raise UserError(f"`batch` wants a positive integer below 2^24, got {batch}; choose one in that range")
    if names is not None and files.get("safetensors") is None:
        raise UserError("`names` belongs to `safetensors`, got no `safetensors`; other files have names of their own")
    makers: dict[str, Callable[[Path], Write]] = {
        "safetensors": lambda path: weights_writer(source, path, names),
        "onnx": lambda path: onnx_writer(source, path, batch),
        "vmfb": lambda path: vmfb_writer(source, path, batch, target),
    }
    paths = {word: _file(given, word, source.config.net.digest) for word, given in files.items() if given is not None}
    if not paths:
        raise UserError("export wants a file to write, got none; name one by `safetensors`, `onnx` or `vmfb`")
    writers = [makers[word](path) for word, path in paths.items()]
    return tuple(write() for write in writers)
