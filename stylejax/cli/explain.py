"""`stylejax explain`: which parts of a picture made a region of its translation."""

import dataclasses
import json
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import tqdm

from stylejax import api, explain
from stylejax.cli import explain_figures as figures
from stylejax.cli import jobs
from stylejax.cli.demo_figures import changed_region
from stylejax.cli.messages import UsageError
from stylejax.cli.translate import parse_step
from stylejax.explain import curves, gradients, occlusion, regions
from stylejax.image import files
from stylejax.image.regions import grid_regions
from stylejax.image.resize import fit_longer_side

USAGE = "stylejax explain CHECKPOINT IMAGE… [--target=mean:red@x,y,w,h] [--out=DIR]"
# Cells a side of the table of most important regions.
_CELLS = 8
_TOP = 5


@dataclasses.dataclass(frozen=True)
class Options:
    """What `stylejax explain` can be told.

    Attributes:
        target: what of the output to explain, as mean:red@x,y,w,h or energy; repeat the
            flag for several. None takes the region that the translation changed most.
        change: explain the output less the input instead of the output.
        method: how; integrated_gradients adds up, the others say by how much not.
        baseline: blur, noise, zero, black, grey, white, or a picture's file.
        num_steps: gradients along the path, or draws of smooth_gradient.
        tolerance: relative completeness error at which integrated_gradients stops
            refining; 0 takes num_steps as they are.
        regions: also a map for each cell of a grid of the input, as 3x4 (rows x
            columns); empty: none.
        direction: AtoB or BtoA.
        size: longer side in pixels at most; 0 takes pictures as they are.
        out: folder of the drawings (.png) and numbers (.json); it is made.
        force: replace files that are there.
        on_bad_image: error stops at a picture that cannot be read, skip leaves it out.
        step: of a training, the checkpoint to use: a number or best; empty: the newest.
        json: print what was found as JSON.
        seed: of smooth_gradient's noise.
    """

    target: tuple[str, ...] = ()
    change: bool = False
    method: Literal[
        "integrated_gradients",
        "blur_path",
        "guided_path",
        "gradient",
        "input_x_gradient",
        "smooth_gradient",
        "occlusion",
    ] = "integrated_gradients"
    baseline: str = "blur"
    num_steps: int = 32
    tolerance: float = 0.01
    regions: str = ""
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    size: int = 256
    out: str = "explained"
    force: bool = False
    on_bad_image: Literal["error", "skip"] = "error"
    step: str = ""
    json: bool = False
    seed: int = 0


def run(options: Options, arguments: Sequence[str]) -> dict[str, Any]:
    """What was found in each picture, and where it was drawn.

    Args:
        options: from the flags.
        arguments: the checkpoint, then files, folders and globs.

    Returns:
        Dictionary with `explained`, `skipped`, `seconds` and what was asked for.

    Raises:
        UsageError: too few arguments, an output that exists or is an input, or no
            picture that could be read.
        ValueError: a broken picture or checkpoint, or a target outside the picture.
        FileNotFoundError: one that is not there.
    """
    if len(arguments) < 2:
        raise UsageError(f"expected a checkpoint and pictures; usage: {USAGE}")
    checkpoint, *inputs = arguments
    targets = [explain.parse_target(text) for text in options.target]
    grid = parse_grid(options.regions)
    baseline = _baseline(options.baseline)
    planned = jobs.plan(inputs, jobs.folder(options.out))
    outputs = [
        path for job in planned for path in figures.paths(job.target, bool(grid))
    ]
    jobs.check(outputs, [job.source for job in planned], force=options.force)
    model = api.load(checkpoint, step=parse_step(options.step))
    jobs.make_folders(outputs)
    began = time.monotonic()
    done, skipped = [], []
    with tqdm.tqdm(planned, unit="picture", disable=options.json or None) as bar:
        for job in bar:
            try:
                image = files.read(job.source)
            except files.ImageFileError as error:
                if options.on_bad_image == "error":
                    raise
                skipped.append({"input": str(job.source), "reason": str(error)})
                continue
            case = _Case(model, _shrunk(image, options.size), baseline, options)
            entry = _explain(case, targets, grid, job.target)
            done.append({"input": str(job.source), **entry})
            if not options.json:
                for found in entry["targets"]:
                    tqdm.tqdm.write(f"{job.source.name}: {found['summary']}")
    for entry in skipped:
        print(f"skipped: {entry['reason']}", file=sys.stderr)
    if not done:
        raise UsageError(f"none of {len(planned)} pictures could be read")
    seconds = time.monotonic() - began
    if not options.json:
        print(f"{jobs.pictures(len(done))} in {options.out}, {seconds:.1f} s")
    return {
        "checkpoint": checkpoint,
        "direction": options.direction,
        "method": options.method,
        "baseline": options.baseline,
        "out": options.out,
        "explained": done,
        "skipped": skipped,
        "seconds": round(seconds, 3),
    }


def parse_grid(text: str) -> tuple[int, int] | None:
    """Rows and columns of a grid.

    Args:
        text: such as "3x4", or "" for none.

    Returns:
        (rows, columns), or None.

    Raises:
        UsageError: something else.

    Example:
        >>> parse_grid("3x4")
        (3, 4)
    """
    if not text:
        return None
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(p.isdecimal() and int(p) > 0 for p in parts):
        raise UsageError(f"regions: expected rows x columns, as 3x4, got {text!r}")
    return int(parts[0]), int(parts[1])


@dataclasses.dataclass(frozen=True)
class _Case:
    """One picture under one model."""

    model: api.Translator
    image: np.ndarray
    given: str | np.ndarray
    options: Options

    @property
    def baseline(self) -> Any:
        """A name, or the given picture at this one's size."""
        if isinstance(self.given, str):
            return self.given
        resized = files.resize_bicubic(self.given, self.image.shape[:2])
        return jnp.asarray(resized.clip(0, 1))

    def translate(self, images: jax.Array) -> jax.Array:
        """The pictures in the other domain."""
        return self.model.translate(images, direction=self.options.direction)


def _explain(
    case: _Case,
    targets: Sequence[explain.Target],
    grid: tuple[int, int] | None,
    place: Path,
) -> dict[str, Any]:
    """The numbers of one picture, drawn and written."""
    output = np.asarray(case.translate(jnp.asarray(case.image)[None]))[0]
    if not targets:
        targets = [explain.parse_target(changed_region(case.image, output))]
    answers = [(target, _answer(case, target)) for target in targets]
    drawing, numbers, *more = figures.paths(place, bool(grid))
    files.write(drawing, figures.attributions(case.image, output, answers))
    entry: dict[str, Any] = {
        "drawing": str(drawing),
        "numbers": str(numbers),
        "size": list(case.image.shape[1::-1]),
        "targets": [_numbers(target, answer) for target, answer in answers],
    }
    if grid:
        found = _by_region(case, grid)
        files.write(more[0], figures.region_sheet(case.image, found, grid))
        entry["regions"] = {
            "drawing": str(more[0]),
            "grid": list(grid),
            "summary": found.summary(),
            "mean_error": found.mean_error,
            "max_error": found.max_error,
            "mean_change": found.mean_change,
        }
    numbers.write_text(json.dumps(entry, indent=1) + "\n", encoding="utf-8")
    return entry


def _answer(case: _Case, target: explain.Target) -> explain.Attribution:
    options, baseline = case.options, case.baseline
    behind = target.change_of if options.change else target.of
    fn = behind(case.translate)
    name = options.method
    if name == "blur_path":
        sigma = max(1.0, min(case.image.shape[:2]) / 16)
        curve = curves.blur_curve(jnp.asarray(case.image), sigma=sigma)
        return curves.curve_gradients(fn, curve, num_steps=options.num_steps)
    if name == "guided_path":
        return curves.guided_gradients(
            fn, case.image, baseline=baseline, num_steps=options.num_steps
        )
    if name == "smooth_gradient":
        return gradients.smooth_gradient(
            jax.random.key(options.seed),
            fn,
            case.image,
            baseline=baseline,
            num_samples=options.num_steps,
        )
    simple = {
        "gradient": gradients.gradient,
        "input_x_gradient": gradients.input_x_gradient,
        "occlusion": occlusion.occlusion,
    }
    if name in simple:
        return simple[name](fn, case.image, baseline=baseline)
    with warnings.catch_warnings():
        # The error is printed and drawn, met or not.
        warnings.simplefilter("ignore", explain.CompletenessWarning)
        return explain.integrated_gradients(
            fn,
            case.image,
            baseline=baseline,
            num_steps=options.num_steps,
            tolerance=options.tolerance or None,
        )


def _by_region(case: _Case, grid: tuple[int, int]) -> regions.RegionMaps:
    size = case.image.shape[:2]
    labels = grid_regions(size, rows=grid[0], columns=grid[1])
    return regions.region_maps(
        case.translate,
        case.image,
        labels=labels,
        baseline=case.baseline,
        num_steps=case.options.num_steps,
    )


def _numbers(target: explain.Target, answer: explain.Attribution) -> dict[str, Any]:
    """What is written of one attribution: its errors, and its strongest cells."""
    values = np.asarray(answer.map, np.float64).sum(axis=-1)
    height, width = values.shape
    rows, columns = min(_CELLS, height), min(_CELLS, width)
    labels = grid_regions((height, width), rows=rows, columns=columns)
    sums = np.bincount(labels.ravel(), values.ravel(), minlength=rows * columns)
    top = []
    for cell in np.argsort(-np.abs(sums))[:_TOP]:
        y, x = np.nonzero(labels == cell)
        box = [int(v) for v in (x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1)]
        top.append({"box": box, "contribution": float(sums[cell])})
    return {
        "target": target.name,
        "method": answer.method,
        "value": answer.target,
        "value_baseline": answer.target_baseline,
        "sum": answer.sum,
        "absolute_error": answer.absolute_error,
        "relative_error": figures.finite(answer.relative_error),
        "pixel_error": figures.finite(answer.error_estimate),
        "pixel_error_kind": answer.error_kind,
        "num_steps": answer.num_steps,
        "strongest_cells": top,
        "summary": f"{target.name}: {answer.summary()}",
    }


def _baseline(text: str) -> str | np.ndarray:
    if text in explain.BASELINES:
        return text
    if not Path(text).expanduser().is_file():
        names = ", ".join(explain.BASELINES)
        raise UsageError(f"baseline: expected one of {names} or a file, got {text!r}")
    return files.read(text)


def _shrunk(image: np.ndarray, size: int) -> np.ndarray:
    if not size or max(image.shape[:2]) <= size:
        return image
    return np.asarray(fit_longer_side(jnp.asarray(image)[None], size))[0]
