"""What a run's net looks at in an image, and how easily it is misled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from netc.exporting import Source
from netc.netspec.errors import UserError
from netc.runs import Run
from netc.runtime.attack import attack as run_attack
from netc.runtime.attack import lipschitz_bound
from netc.runtime.cache.store import Cache
from netc.runtime.data.frame import fit_of
from netc.runtime.evaluate import Unread, classes_of, named_part, read_image
from netc.runtime.explain import Explainer, overlaid
from netc.runtime.files import file_name
from netc.runtime.picture_file import free_path, write_picture
from netc.runtime.target import parse_target

SIGN = "netc explain"  # in the pictures


@dataclass(frozen=True)
class Picture:
    """An image that was explained: the class, its probability, and the picture that was written."""

    image: str
    name: str
    probability: float
    picture: Path


def explain(
    run: Run,
    images: Sequence[Path],
    out: Path,
    *,
    of: str | None = None,
    method: str | None = "grad-cam",
    checkpoint: str | None = "best",
    weights: str | None = None,
    target: str | None = None,
    cache: Cache | None = None,
) -> Iterator[Picture | Unread]:
    """Write a picture for each image into the folder `out`, as NAME.explained.png; an Unread for what is no image.

    An earlier picture of this command is replaced; where another file has the name, a number is added. `of` is a class
    by its name or number, by default the likeliest. Raises UserError before the first picture.
    """
    source = Source.open(run.config, run.folder, checkpoint or "best", weights)
    net = run.config.net
    if out.exists() and not out.is_dir():
        raise UserError(f"`out` wants a folder, got the file {out}; name another")
    if not source.pixels.mean:
        raise UserError(f"explain wants a run that was trained on images, got {run.folder}; choose one of those")
    names = classes_of(source.saved)
    index = None if of is None else _index(of, names, net.out.shape[-1])
    where = parse_target(target or run.config.target)
    explainer = Explainer(net, source.tensors, source.pixels, where, cache or Cache(), method or "grad-cam")
    height, width, channels = net.spec.input
    taken = {image.resolve() for image in images}
    for image in images:
        pixels = read_image(image, (height, width, channels), fit_of(run.config.preprocess))
        if isinstance(pixels, Unread):
            yield pixels
            continue
        found = explainer(pixels, index)
        out.mkdir(parents=True, exist_ok=True)
        path = free_path(out, file_name(image.stem), "explained", SIGN, taken)
        write_picture(overlaid(pixels, found.heat), path, SIGN)
        name = names[found.index] if found.index < len(names) else f"class {found.index}"
        yield Picture(str(image), name, found.probability, path)


def _index(given: str, names: Sequence[str], outputs: int) -> int:
    if given in names:
        return names.index(given)
    if given.isdecimal() and int(given) < outputs:
        return int(given)
    shown = ", ".join(names[:8]) + (", .." if len(names) > 8 else "")
    raise UserError(f"`of` wants one of {shown}, or a number below {outputs}, got {given!r}; give one of them")


def attack(
    run: Run,
    *,
    radius: str | float = "8/255",
    steps: int = 10,
    step_size: float | None = None,
    images: int | None = None,
    seed: int = 0,
    data: str | None = None,
    data_dir: Path | None = None,
    checkpoint: str = "best",
    weights: str | None = None,
    target: str | None = None,
    cache: Cache | None = None,
) -> dict[str, Any]:
    """Accuracy as it is and under an attack, and of nets of dense layers the Lipschitz bound (runtime/attack.py)."""
    source = Source.open(run.config, run.folder, checkpoint, weights)
    size, found_data = _part(radius), run.data_of(data, checkpoint, data_dir)
    test = named_part(run.config, found_data, source.saved).test if data else found_data.test
    found = run_attack(
        run.config.net, run.config.recipe.loss.evaluated, source.tensors,
        test, source.pixels, parse_target(target or run.config.target),
        cache or Cache(), radius=size, steps=steps, step_size=step_size, batch=run.config.training.batch, most=images,
        seed=seed,
    )  # fmt: skip
    try:
        # pixels of 0 to 1 are divided by the stds first
        lipschitz = lipschitz_bound(run.config.net, source.tensors) / min(source.pixels.std)
    except UserError:
        lipschitz = None
    return {
        "images": found.count, "clean": found.clean, "robust": found.robust, "radius": size, "steps": steps,
        "seed": seed, "lipschitz": lipschitz,
    }  # fmt: skip


def _part(given: str | float) -> float:
    try:
        return float(Fraction(given)) if isinstance(given, str) else float(given)
    except (ValueError, ZeroDivisionError) as error:
        raise UserError(f"`radius` wants a number such as 0.03 or 8/255, got {given!r}; write it like that") from error
