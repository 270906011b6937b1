"""A run: what a training left in its folder, and what it says of new data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netc.netspec.batch import Batch, parse_batch
from netc.netspec.errors import UserError
from netc.runtime import evaluate as library
from netc.runtime.backends.protocol import Array
from netc.runtime.cache.store import Cache
from netc.runtime.data.batches import eval_batches
from netc.runtime.data.catalog import DATASETS
from netc.runtime.data.dataset import Dataset, of_images
from netc.runtime.data.examples import Examples
from netc.runtime.data.windows import TextSplit
from netc.runtime.evaluate import Guess, Score, Unread, at_once, columns_of, open_session
from netc.runtime.run import checkpoint
from netc.runtime.run.checkpoint import Checkpoint, CheckpointError
from netc.runtime.run.config import RunConfig, checkpoint_of, normalise_of, read_config
from netc.runtime.table_guesses import guess_rows
from netc.runtime.trainer import Trainer
from netc.runtime.weights.chosen import PLAIN, chosen_weights, weights_word
from netc.traces.read import Trace
from netc.traces.read import read as read_trace
from netc.training_data import data_for, sized

if TYPE_CHECKING:
    from netc.exporting import Exported
    from netc.runtime.pictures import Pictures


@dataclass(frozen=True)
class Run:
    """A run's folder. `accuracy` is that of its last evaluation and `best` of its best one, NaN if there was none.

    `stopped`: a callback ended it before its end; netc.resume goes on with it. `data` is what it was trained on, where
    that was in this process.
    """

    folder: Path
    config: RunConfig
    steps: int
    accuracy: float
    best: float
    stopped: bool = False
    data: Dataset | None = field(default=None, repr=False, compare=False)
    _opened: dict[Any, tuple[Trainer, Checkpoint]] = field(default_factory=dict, repr=False, compare=False)

    def __str__(self) -> str:
        net, said = self.config.net.spec.name, f"{self.accuracy:.2%} test accuracy (best {self.best:.2%})"
        if self.config.recipe.metric == "nothing":  # numbers are learnt: there is no accuracy
            said = "trained"
        scored = "not evaluated" if math.isnan(self.accuracy) else said
        return f"{net} on {self.config.data}: {scored} after {self.steps:,} steps; {self.folder}"

    @classmethod
    def open(cls, folder: Path | str) -> Run:
        """The run in a folder; raises UserError if there is none."""
        folder = Path(folder)
        config, saved = read_config(folder), _newest(folder)
        meta: dict[str, Any] = saved.meta if saved else {}
        best = float(meta.get("best", -1.0))
        evaluated = best >= 0
        step = int(meta.get("step", 0))
        return cls(
            folder, config, step, float(meta["last"]) if evaluated else math.nan, best if evaluated else math.nan
        )

    @property
    def trace(self) -> Trace:
        """Every step and evaluation; raises TraceError, and OSError where there is none."""
        return read_trace(self.folder / "trace.jsonl")

    def weights(self, checkpoint: str = "best", weights: str = PLAIN) -> dict[str, Array]:
        """The whole state of a checkpoint, `best` or `last`, by name.

        `weights`, `ema` or `swa`, puts the average that the recipe keeps in the place of the parameters and running
        statistics.
        """
        return chosen_weights(checkpoint_of(self.folder, checkpoint).tensors, weights_word(self.config.recipe, weights))

    def evaluate(
        self,
        data: Dataset | str | None = None,
        *,
        checkpoint: str = "best",
        weights: str | None = None,
        target: str | None = None,
        data_dir: Path | None = None,
        skip_unknown: bool = False,
        by_number: bool = False,
        metrics: str | Iterable[str] = (),
        tta: str = "",
        on_damaged: str | None = None,
    ) -> Score:
        """The score on a test part: of the run's own data, or of other `data`, whose classes are matched by name.

        `weights` are `plain`, `ema` or `swa`: by default the average that the recipe keeps, if any, as `best` was
        chosen by it. `metrics` are words of docs/reports.md, such as `("f1", "ece")`, or `all`; they lie in the score's
        `metrics`.
        `tta="flip"` averages the predictions with those of the mirrored image. `by_number` matches classes by number,
        `skip_unknown` leaves out examples of classes that the run does not know. A folder and a text that
        have no test part of their own are taken whole. `on_damaged` says what becomes of damaged images, `refuse` or
        `skip`: by default as in training. Raises UserError and DataError.
        """
        found = self.data_of(data, checkpoint, data_dir, on_damaged)
        return self.score(
            found, checkpoint, target, other=data is not None, by_number=by_number, skip_unknown=skip_unknown,
            metrics=metrics, tta=tta, weights=weights,
        )  # fmt: skip

    def score(
        self,
        data: Dataset,
        checkpoint: str = "best",
        target: str | None = None,
        cache: Cache | None = None,
        *,
        other: bool,
        by_number: bool = False,
        skip_unknown: bool = False,
        metrics: str | Iterable[str] = (),
        tta: str = "",
        weights: str | None = None,
    ) -> Score:
        """The score on data at the net's input size, the run's own unless `other`; see `evaluate`."""
        if not other and (skip_unknown or by_number):
            raise UserError(
                "`skip_unknown` and `by_number` belong to `data`, got no `data`; a run knows its own classes"
            )
        return library.evaluate(
            self.config, data, self.folder, checkpoint, target or self.config.target, cache or Cache(), other=other,
            numbers=by_number, skip_unknown=skip_unknown, metrics=metrics, tta=tta, weights=weights,
        )  # fmt: skip

    def data_of(
        self,
        data: Dataset | str | None,
        checkpoint: str = "best",
        data_dir: Path | None = None,
        on_damaged: str | None = None,
    ) -> Dataset:
        """The data to evaluate on, at the net's input size: other data whole where nothing divides it.

        The run's own, and a copy of it, is divided as in training. `on_damaged` is as for `evaluate`.
        """
        name, config = data or self.config.data, self.config
        if on_damaged is not None:
            config = replace(config, preprocess=replace(config.preprocess, on_damaged=on_damaged))
        if not name:
            raise UserError(
                f"{self.folder} was imported and has no data of its own; name some by `data`, such as imagefolder:PATH"
            )
        if data is None:
            return self.data or data_for(config, name, data_dir, folder=self.folder)
        if isinstance(name, Dataset):
            return data_for(config, name)
        found = data_for(config, name, data_dir, whole=True, folder=self.folder)
        if name in DATASETS or found.digest != checkpoint_of(self.folder, checkpoint).meta.get("data_sha256"):
            return found
        return data_for(config, name, data_dir, folder=self.folder)

    def predict(
        self,
        x: Any,
        *,
        checkpoint: str = "best",
        weights: str | None = None,
        target: str | None = None,
        batch: Batch | str | None = None,
    ) -> Array:
        """The net's output [N, ..] for examples x [N, ..], of a classifier its logits; x as they were trained on.

        uint8 images [N, H, W] or [N, H, W, C] are resized and normalised as in training; other arrays go to the net as
        they are, and numbers that were learnt of a table come in its units. `weights` as for `evaluate`. `batch`:
        examples of a call, by default as in training; with `dynamic`, or a range as in `1..64`, one program takes any
        number of them. Raises UserError for arrays of the other kind, and DataError.
        """
        if self.config.recipe.generation.process:
            raise UserError(f"predict wants a run that predicts something from `x`, got {self.config.net.spec.name}, "
                            "which generates; use `draw`")  # fmt: skip
        nothing = np.zeros(len(x), np.int32)
        own = Dataset.from_arrays(x, nothing, x[:1], nothing[:1], classes=("",))
        data = sized(own, self.config.net, self.config.preprocess)
        chosen = None if batch is None else parse_batch(batch)
        trainer, saved = self._session(checkpoint, target or self.config.target, weights, chosen)
        normalise = normalise_of(saved)
        split, images = data.train, bool(normalise.mean) and not columns_of(saved).inputs
        if of_images(split) != images:
            wants = "uint8 images, which it normalises" if images else "arrays as the net takes them"
            raise UserError(f"{self.folder} was trained on {wants}, got {np.asarray(x).dtype}; give `x` in that form")
        if split.shape != self.config.net.spec.input:
            want, got = list(self.config.net.spec.input), list(split.shape)
            raise UserError(f"`x` wants examples of {want}, the `input` of the net, got {got}; reshape it")
        assert not isinstance(split, TextSplit)  # from arrays
        if isinstance(split, Examples):
            split = replace(split, standardise=bool(normalise.mean))
        found = []
        for some in eval_batches(split, batch=at_once(self.config, chosen), normalise=normalise):
            found.append(trainer.predict_part(some.x[some.weight > 0]))
        return normalise.target.undone(np.concatenate(found)).astype(np.float32)

    def sample(
        self,
        prompt: str = "",
        *,
        checkpoint: str = "best",
        weights: str | None = None,
        target: str | None = None,
        tokenizer: str = "",
        **words: Any,
    ) -> tuple[str, ...]:
        """Texts that a language model writes after a prompt, which is not among them.

        `words` are `tokens` (200), `samples`, `seed`, `stop`, `temperature` (0.8), `top_k`, `top_p`, `min_p` and
        `repetition`; docs/sampling.md says what each does. `tokenizer` names what made the tokens, where the run does
        not say. The same seed gives the same texts. Raises UserError for a
        run of another kind, and DataError for characters that it does not know.
        """
        from netc.sampling import request_sample, sample

        request = request_sample(prompt=prompt, **words)
        where = target or self.config.target
        parts = sample(
            self.config, self.folder, request, checkpoint=checkpoint, weights=weights, target=where, tokenizer=tokenizer
        )
        return tuple("".join(of) for of in zip(*parts, strict=True))

    def draw(
        self,
        *,
        checkpoint: str = "best",
        weights: str | None = None,
        target: str | None = None,
        **words: Any,
    ) -> Pictures | tuple[str, ...] | tuple[Array, ...]:
        """Images, texts or sequences that a generative model draws.

        Pictures have `pixels` uint8 [N, H, W, C]; a sequence is f32 [elements, C].

        `words` are `count` (64), `classes`, `steps`, `method`, `guidance`, `temperature`, `seed` and `path`, which
        docs/generative.md explains. The same seed gives the same samples. Raises UserError and SpecError.
        """
        from netc.drawing import draw, request_draw

        where = target or self.config.target
        request = request_draw(**words)
        return draw(self.config, self.folder, request, checkpoint=checkpoint, weights=weights, target=where)

    def export(
        self,
        *,
        safetensors: Path | str | None = None,
        onnx: Path | str | None = None,
        vmfb: Path | str | None = None,
        names: str | None = None,
        checkpoint: str = "best",
        weights: str | None = None,
        batch: int = 1,
        target: str | None = None,
    ) -> tuple[Exported, ...]:
        """Write the weights of a checkpoint for other programs, and say what was written.

        `safetensors`: the weights alone, by `names` of torchvision, timm, hf or netc. `onnx` and `vmfb`: the net with
        the weights inside, for `batch` examples at a time. `weights` as for `evaluate`. Raises UserError
        before a file is written.
        """
        from netc.exporting import Source, exported

        source = Source.open(self.config, self.folder, checkpoint, weights)
        files = {"safetensors": safetensors, "onnx": onnx, "vmfb": vmfb}
        return exported(source, files, names=names, batch=batch, target=target or self.config.target)

    def _session(
        self, which: str, target: str, weights: str | None = None, batch: Batch | None = None
    ) -> tuple[Trainer, Checkpoint]:
        """The session that holds a checkpoint, kept until the checkpoint is another."""
        path = self.folder / which / checkpoint.MANIFEST
        key = which, target, weights, batch, path.stat().st_mtime_ns if path.exists() else 0
        if key not in self._opened:
            self._opened.clear()
            self._opened[key] = open_session(self.config, self.folder, which, target, Cache(), weights, batch=batch)
        return self._opened[key]

    def classify(
        self,
        images: Iterable[Path | str],
        *,
        checkpoint: str = "best",
        weights: str | None = None,
        target: str | None = None,
        cache: Cache | None = None,
        batch: Batch | str | None = None,
    ) -> Iterator[Guess | Unread]:
        """The classes of image files, the likeliest first, each image resized to the net's input; in their order.

        A run that was trained on a table takes tables, and says what it predicts of each row. An Unread stands for a
        file that is none. `batch` as for `predict`. Raises UserError for a run that was trained on neither.
        """
        where = target or self.config.target
        paths = map(Path, images)
        saved = checkpoint_of(self.folder, checkpoint)
        guess = guess_rows if columns_of(saved).inputs else library.predict
        chosen = None if batch is None else parse_batch(batch)
        yield from guess(self.config, paths, self.folder, checkpoint, where, cache or Cache(), weights, saved, chosen)


def _newest(folder: Path) -> Checkpoint | None:
    for name in ("last", "best"):
        if checkpoint.exists(folder / name):
            try:
                return checkpoint.load(folder / name)
            except CheckpointError:
                continue
    return None
