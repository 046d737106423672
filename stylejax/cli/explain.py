"""`stylejax explain`: which parts of a picture made a region of its translation."""

import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
import tqdm

from stylejax import api, explain
from stylejax.cli import explain_figures as figures
from stylejax.cli import jobs
from stylejax.cli.demo_figures import changed_region
from stylejax.cli.explain_case import Case, answer, by_region
from stylejax.cli.messages import UsageError
from stylejax.cli.translate import parse_step
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
        baseline: blur, noise, zero, black, grey, white, or a picture's file; blur_path
            has its own, statistics_path takes colour statistics from it.
        num_steps: gradients along the path, or draws of smooth_gradient.
        rule: where on the path, and how they are weighed; of integrated_gradients,
            blur_path, statistics_path and --regions.
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
        "statistics_path",
        "guided_path",
        "gradient",
        "input_x_gradient",
        "smooth_gradient",
        "occlusion",
    ] = "integrated_gradients"
    baseline: str = "blur"
    num_steps: int = 32
    rule: Literal["gauss_legendre", "midpoint", "trapezoid", "left", "right"] = (
        "gauss_legendre"
    )
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
    if options.size < 0:
        raise UsageError(
            f"size: expected pixels, or 0 for the picture's own, got {options.size}"
        )
    if options.method == "blur_path" and options.baseline != "blur":
        raise UsageError("blur_path starts from a blur of its own; drop --baseline")
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
            case = Case(model, _shrunk(image, options.size), baseline, options)
            asked = {"input": str(job.source), **_asked(checkpoint, options)}
            entry = _explain(case, targets, grid, job.target, asked)
            done.append(entry)
            if not options.json:
                for found in entry["targets"]:
                    tqdm.tqdm.write(f"{job.source}: {found['summary']}")
    for entry in skipped:
        print(f"skipped: {entry['reason']}", file=sys.stderr)
    if not done:
        raise UsageError(f"none of {jobs.pictures(len(planned))} could be read")
    seconds = time.monotonic() - began
    if not options.json:
        print(f"{jobs.pictures(len(done))} in {options.out}, {seconds:.1f} s")
    return {
        **_asked(checkpoint, options),
        "out": options.out,
        "explained": done,
        "skipped": skipped,
        "seconds": round(seconds, 3),
    }


def _asked(checkpoint: str, options: Options) -> dict[str, Any]:
    """What the numbers depend on beside the picture, so that they can be had again."""
    return {
        "checkpoint": checkpoint,
        "step": options.step,
        "direction": options.direction,
        "method": options.method,
        "baseline": options.baseline,
        "num_steps": options.num_steps,
        "rule": options.rule,
        "tolerance": options.tolerance,
        "change": options.change,
        "longest_side": options.size,
        "seed": options.seed,
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


def _explain(
    case: Case,
    targets: Sequence[explain.Target],
    grid: tuple[int, int] | None,
    place: Path,
    asked: dict[str, Any],
) -> dict[str, Any]:
    """The numbers of one picture beside what was asked for, drawn and written."""
    output = np.asarray(case.translate(jnp.asarray(case.image)[None]))[0]
    if not targets:
        targets = [explain.parse_target(changed_region(case.image, output))]
    answers = [(target, answer(case, target)) for target in targets]
    drawing, numbers, *more = figures.paths(place, bool(grid))
    named = [(_name(case, t), t.box, found) for t, found in answers]
    method = case.options.method
    files.write(drawing, figures.attributions(case.image, output, named, method=method))
    entry: dict[str, Any] = {
        **asked,
        "drawing": str(drawing),
        "numbers": str(numbers),
        "size": list(case.image.shape[1::-1]),
        "targets": [_numbers(name, answer) for name, _, answer in named],
    }
    if grid:
        found = by_region(case, grid)
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


def _name(case: Case, target: explain.Target) -> str:
    return f"change of {target.name}" if case.options.change else target.name


def _numbers(name: str, answer: explain.Attribution) -> dict[str, Any]:
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
        "target": name,
        "value": answer.target,
        "value_baseline": answer.target_baseline,
        "sum": answer.sum,
        "absolute_error": answer.absolute_error,
        "relative_error": figures.finite(answer.relative_error),
        "pixel_error": figures.finite(answer.error_estimate),
        "pixel_error_kind": answer.error_kind,
        "steps_taken": answer.num_steps,
        "strongest_cells": top,
        "summary": f"{name}: {answer.summary()}",
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
