"""`stylejax translate`: pictures in, pictures of the other domain out, names kept."""

import dataclasses
import sys
import time
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import tqdm

from stylejax import api
from stylejax.cli import jobs as picture_jobs
from stylejax.cli.messages import UsageError
from stylejax.image import files

USAGE = "stylejax translate CHECKPOINT INPUT… --out=DIR [--direction=AtoB|BtoA]"


@dataclasses.dataclass(frozen=True)
class Options:
    """What `stylejax translate` can be told.

    Attributes:
        out: folder of the translated pictures; it is made.
        direction: AtoB or BtoA.
        force: replace files that are there.
        on_bad_image: error stops at a picture that cannot be read, skip leaves it out.
        step: of a training, the checkpoint to use: a number or best; empty: the newest.
        json: print what was done as JSON.
        seed: accepted by every command; a translation has no chance in it.
    """

    out: str = "translated"
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    force: bool = False
    on_bad_image: Literal["error", "skip"] = "error"
    step: str = ""
    json: bool = False
    seed: int = 0


def run(options: Options, arguments: Sequence[str]) -> dict[str, Any]:
    """What was translated and what was left out.

    Args:
        options: from the flags.
        arguments: the checkpoint, then files, folders and globs.

    Returns:
        Dictionary with `translated`, `skipped`, `seconds` and what was asked for.

    Raises:
        UsageError: too few arguments, an output that exists or is an input, or no
            picture that could be read.
        ValueError: a broken picture or checkpoint.
        FileNotFoundError: one that is not there.
    """
    if len(arguments) < 2:
        raise UsageError(f"expected a checkpoint and pictures; usage: {USAGE}")
    checkpoint, *inputs = arguments
    jobs = picture_jobs.plan(inputs, picture_jobs.folder(options.out))
    outputs = [job.target for job in jobs]
    picture_jobs.check(outputs, [job.source for job in jobs], force=options.force)
    picture_jobs.make_folders(outputs)
    model = api.load(checkpoint, step=parse_step(options.step))
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
        many = picture_jobs.pictures(len(translated))
        print(f"{many} in {options.out}{left_out}, {seconds:.1f} s")
    return {
        "checkpoint": checkpoint,
        "direction": options.direction,
        "out": options.out,
        "translated": translated,
        "skipped": skipped,
        "seconds": round(seconds, 3),
    }


def parse_step(text: str) -> int | str | None:
    """The checkpoint of a training that a flag names.

    Args:
        text: a number, "best", "latest" or "".

    Returns:
        What `stylejax.load` takes: a number, "best", or None for the newest.

    Raises:
        UsageError: something else.
    """
    if text in ("", "latest"):
        return None
    if text == "best":
        return text
    if not text.isdecimal():
        raise UsageError(f"step: expected a number, best or nothing, got {text!r}")
    return int(text)
