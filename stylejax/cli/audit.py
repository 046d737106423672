"""`stylejax audit`: does a translator hide, invent or lose things?"""

import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from stylejax import api
from stylejax.cli import jobs
from stylejax.cli.audits import AUDITS, BACK, LEAST, Case, structure_of
from stylejax.cli.messages import UsageError
from stylejax.cli.translate import parse_step
from stylejax.data import sources
from stylejax.image import files, panel
from stylejax.train.evaluate import make_evaluator

USAGE = "stylejax audit CHECKPOINT [--dataset=emoji] [--out=DIR]"
_SHOWN = 6


@dataclasses.dataclass(frozen=True)
class Options:
    """What `stylejax audit` can be told.

    Attributes:
        dataset: name of a data set, as for `stylejax evaluate`; its test pictures.
        num_images: test pictures of each domain.
        size: side of the pictures in pixels; 0 for that of the training.
        draws: networks with random parameters.
        out: folder of audit.json and the drawings; it is made.
        force: replace files that are there.
        step: of a training, the checkpoint to use: a number or best; empty: the newest.
        data_dir: where prepared tfds sets lie.
        on_bad_image: error stops at a picture that cannot be read, skip leaves it out.
        json: print what was found as JSON.
        seed: of noise, random networks and bootstrap.
    """

    dataset: str = "emoji"
    num_images: int = 48
    size: int = 0
    draws: int = 3
    out: str = "audit"
    force: bool = False
    step: str = ""
    data_dir: str = ""
    on_bad_image: Literal["error", "skip"] = "error"
    json: bool = False
    seed: int = 0


def run(options: Options, arguments: Sequence[str]) -> dict[str, Any]:
    """What each audit found.

    Args:
        options: from the flags.
        arguments: the checkpoint.

    Returns:
        Dictionary with `steganography`, `structure`, `randomization`, `probes`, each
        with numbers and a summary or the reason why there is none, and `seconds`.

    Raises:
        UsageError: not one checkpoint, too few pictures, or files that are there.
        ValueError: a broken checkpoint or data set.
        FileNotFoundError: one that is not there.
    """
    if len(arguments) != 1:
        raise UsageError(f"expected one checkpoint; usage: {USAGE}")
    if options.num_images < LEAST:
        raise UsageError(
            f"num_images: expected at least {LEAST}, got {options.num_images}"
        )
    place = jobs.folder(options.out)
    outputs = [place / name for name in ("audit.json", "structure.png")]
    jobs.check(outputs, [], force=options.force)
    model = api.load(arguments[0], step=parse_step(options.step))
    case = _opened(model, options)
    jobs.make_folders(outputs)
    began = time.monotonic()
    found: dict[str, Any] = {"checkpoint": arguments[0], "dataset": options.dataset}
    stream = sys.stderr if options.json else sys.stdout
    for name, audit in AUDITS.items():
        try:
            found[name] = audit(case)
        except ValueError as error:  # one that cannot be done must not cost the others
            found[name] = dict.fromkeys(BACK, {"summary": f"not done: {error}"})
        for direction, entry in found[name].items():
            print(f"{name}, {direction}: {entry['summary']}", file=stream, flush=True)
    found["pictures"] = len(case.inputs("AtoB"))
    found["size"] = int(case.inputs("AtoB").shape[1])
    found["seconds"] = round(time.monotonic() - began, 1)
    drawn = draw_structure(case)
    if drawn is not None:
        files.write(outputs[1], drawn)
    outputs[0].write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"written: {outputs[0]}", file=stream)
    return found


def draw_structure(case: Case) -> np.ndarray | None:
    """The pictures to which most structure was added, beside where.

    Args:
        case: model and pictures.

    Returns:
        (h, w, 3) in [0, 1], or None without true partners.
    """
    if not case.evaluator.paired:
        return None
    inputs, outputs = case.inputs("AtoB"), case.outputs["AtoB"]
    report = structure_of(case, "AtoB")
    rows = [
        [
            inputs[i],
            outputs[i],
            panel.heatmap(np.asarray(report.maps.added[i])),
            panel.heatmap(np.asarray(report.maps.removed[i])),
        ]
        for i in np.argsort(-report.added)[:_SHOWN]
    ]
    figure = panel.grid(
        rows,
        column_titles=["input", "output", "added", "removed"],
        scale=max(1, 128 // inputs.shape[1]),
    )
    return panel.caption(figure, f"AtoB: {report.summary()}")


def _opened(model: api.Translator, options: Options) -> Case:
    dataset = sources.load(
        options.dataset,
        on_bad_image=options.on_bad_image,
        data_dir=options.data_dir or None,
    )
    fewest = min(len(dataset.test_a), len(dataset.test_b))
    if fewest < LEAST:
        raise UsageError(
            f"expected at least {LEAST} test pictures in each domain of"
            f" {dataset.name!r}, got {fewest}"
        )
    size = options.size or model.config.image_size
    evaluator = make_evaluator(dataset, image_size=size, max_images=options.num_images)
    return Case(model, evaluator, dataset, options.seed, options.draws)
