"""`stylejax translate`: pictures in, pictures of the other domain out, names kept."""

import dataclasses
import glob
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tqdm

from stylejax import api
from stylejax.cli.messages import UsageError
from stylejax.image import files

USAGE = "stylejax translate CHECKPOINT INPUT… --out=DIR [--direction=AtoB|BtoA]"
# Formats that are written as they came; all others become PNG.
KEPT_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}


@dataclasses.dataclass(frozen=True)
class Options:
    """What `stylejax translate` can be told.

    Attributes:
        out: folder of the translated pictures; it is made.
        direction: AtoB or BtoA.
        on_bad_image: error stops at a picture that cannot be read, skip leaves it out.
        step: of a training, the checkpoint to use: a number or best; empty: the newest.
        json: print what was done as JSON.
        seed: accepted by every command; a translation has no chance in it.
    """

    out: str = "translated"
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    on_bad_image: Literal["error", "skip"] = "error"
    step: str = ""
    json: bool = False
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Job:
    """One picture to translate: where it is and where it goes."""

    source: Path
    target: Path


def run(options: Options, arguments: Sequence[str]) -> dict[str, Any]:
    """What was translated and what was left out.

    Args:
        options: from the flags.
        arguments: the checkpoint, then files, folders and globs.

    Returns:
        Dictionary with `translated`, `skipped`, `seconds` and what was asked for.

    Raises:
        UsageError: too few arguments, an output that is an input, or no picture that
            could be read.
        ValueError: a broken picture or checkpoint.
        FileNotFoundError: one that is not there.
    """
    if len(arguments) < 2:
        raise UsageError(f"expected a checkpoint and pictures; usage: {USAGE}")
    checkpoint, *inputs = arguments
    jobs = plan(inputs, Path(options.out))
    model = api.load(checkpoint, step=_step(options.step))
    began = time.monotonic()
    translated, skipped = [], []
    with tqdm.tqdm(jobs, unit="picture", disable=options.json or None) as bar:
        for job in bar:
            try:
                image = files.read(job.source)
            except files.ImageFileError as error:
                if options.on_bad_image == "error":
                    raise
                skipped.append({"input": str(job.source), "reason": str(error)})
                continue
            output = model.translate(image[None], direction=options.direction)
            files.write(job.target, np.asarray(output)[0])
            translated.append({"input": str(job.source), "output": str(job.target)})
    for entry in skipped:
        print(f"skipped: {entry['reason']}", file=sys.stderr)
    if not translated:
        raise UsageError(f"none of {len(jobs)} pictures could be read")
    seconds = time.monotonic() - began
    if not options.json:
        left_out = f", {len(skipped)} skipped" if skipped else ""
        print(f"{len(translated)} pictures in {options.out}{left_out}, {seconds:.1f} s")
    return {
        "checkpoint": checkpoint,
        "direction": options.direction,
        "out": options.out,
        "translated": translated,
        "skipped": skipped,
        "seconds": round(seconds, 3),
    }


def plan(inputs: Sequence[str], out: Path) -> list[Job]:
    """Where each picture goes: its name and its folders below the input are kept.

    Args:
        inputs: files, folders (searched in depth) and globs.
        out: the folder of the outputs; pictures already in it are no inputs of a
            folder that contains it.

    Returns:
        One job per picture, in the order of the inputs; equal names are told apart by
        a number.

    Raises:
        FileNotFoundError: an input does not exist or holds no picture.
        UsageError: an output would replace an input.
    """
    jobs: list[Job] = []
    seen: set[Path] = set()
    taken: set[str] = set()
    for entry in inputs:
        for source, name in _named(entry, out):
            real = source.resolve()
            if real not in seen:
                seen.add(real)
                jobs.append(Job(source, out / _free(name, taken)))
    if not jobs:
        raise UsageError(f"expected pictures outside {str(out)!r}, got none")
    for job in jobs:
        if job.target.resolve() in seen:
            raise UsageError(
                f"the output {str(job.target)!r} would replace an input; choose another"
                " --out"
            )
    return jobs


def _named(entry: str, out: Path) -> Iterator[tuple[Path, Path]]:
    """Pictures of one input with their names relative to its folder."""
    base = _base(entry)
    inner = out.resolve()
    for path in files.list_images(entry):
        real = path.resolve()
        is_output = inner in real.parents and base.resolve() in inner.parents
        if is_output and path != Path(entry).expanduser():
            continue
        name = path.relative_to(base)
        keeps = name.suffix.lower() in KEPT_SUFFIXES
        yield path, name if keeps else name.with_suffix(".png")


def _base(entry: str) -> Path:
    """The folder that names are relative to: for a glob the part before the first *."""
    path = Path(entry).expanduser()
    if path.is_dir():
        return path
    if path.is_file():
        return path.parent
    while glob.has_magic(str(path)):
        path = path.parent
    return path


def _free(name: Path, taken: set[str]) -> Path:
    """The name, with a number if it is taken (file systems may ignore case)."""
    candidate, number = name, 2
    while os.fspath(candidate).lower() in taken:
        candidate = name.with_stem(f"{name.stem}-{number}")
        number += 1
    taken.add(os.fspath(candidate).lower())
    return candidate


def _step(text: str) -> int | str | None:
    if text in ("", "latest"):
        return None
    if text == "best":
        return text
    if not text.isdecimal():
        raise UsageError(f"step: expected a number, best or nothing, got {text!r}")
    return int(text)
