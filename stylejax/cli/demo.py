"""`stylejax demo`: the whole way in a few minutes, on any machine, with no download.

It trains a small CycleGAN on the embedded emoji for a few hundred steps, stops it and
continues it from its checkpoint; then it takes the shipped checkpoint, translates
held-out emoji both ways, scores them against their true partners and explains one.
"""

import dataclasses
import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from stylejax import api, training
from stylejax.cli import demo_figures
from stylejax.cli.messages import UsageError
from stylejax.data import sources
from stylejax.data.pipeline import PipelineConfig
from stylejax.image import files
from stylejax.methods.cyclegan import CycleGANConfig
from stylejax.metrics import pixel
from stylejax.train.evaluate import Evaluator, make_evaluator
from stylejax.train.loop import LoopConfig

USAGE = "stylejax demo [--out=stylejax-demo]"
MARK = ".stylejax-demo"


@dataclasses.dataclass(frozen=True)
class Options:
    """What `stylejax demo` can be told.

    Attributes:
        out: folder of what is written; a former demo in it is replaced.
        steps: training steps; half of them before the stop, half after it.
        size: side of the training pictures.
        ngf: channels of the network that is trained.
        model: the checkpoint that is scored and explained, as stylejax.load takes it.
        target: region to explain as kind:channel@x,y,w,h; empty: where most changed.
        num_pairs: how many of the held-out pairs are used; 0 for all.
        json: print the numbers as JSON, all else on standard error.
        seed: of the training.
    """

    out: str = "stylejax-demo"
    steps: int = 300
    size: int = 32
    ngf: int = 16
    model: str = "emoji"
    target: str = ""
    num_pairs: int = 0
    json: bool = False
    seed: int = 0


class Diary:
    """Says lines to the person and keeps them in a file."""

    def __init__(self, path: Path, *, to_stderr: bool):
        self._file = path.open("w", encoding="utf-8")
        self._stream = sys.stderr if to_stderr else sys.stdout

    def __call__(self, text: str) -> None:
        for stream in (self._file, self._stream):
            print(text, file=stream, flush=True)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def run(options: Options, arguments: Sequence[str]) -> dict[str, Any]:
    """The numbers of the demo, as they stand in metrics.json.

    Args:
        options: from the flags.
        arguments: none are taken.

    Returns:
        Dictionary of numbers; errors on the scale 0..255.

    Raises:
        UsageError: arguments, or a folder that holds something else.
        ValueError: a setting that cannot work.
    """
    if arguments:
        raise UsageError(f"expected flags alone, got {arguments[0]!r}; usage: {USAGE}")
    if options.steps < 2:
        raise UsageError(f"steps: expected at least 2, got {options.steps}")
    began = time.monotonic()
    model = api.load(options.model)
    out = prepare_folder(Path(options.out))
    say = Diary(out / "log.txt", to_stderr=options.json)
    try:
        say(f"1/4  Training a small CycleGAN on emoji, {options.steps} steps.")
        trained, numbers = train(options, out / "training", say)
        say(f"2/4  Translating held-out emoji with the checkpoint {options.model!r}.")
        evaluator = make_evaluator(
            sources.load("emoji"),
            image_size=model.config.image_size,
            max_images=options.num_pairs,
        )
        outputs, scores = score(model, evaluator, say)
        say("3/4  Explaining one translation.")
        figure, error, text = demo_figures.explain_one(
            model, evaluator, outputs["AtoB"], target_text=options.target
        )
        say(f"     {text}")
        say("4/4  Drawing.")
        files.write(out / "explanation.png", figure)
        grid = demo_figures.draw_grid(
            trained, evaluator, outputs, num_steps=options.steps
        )
        files.write(out / "grid.png", grid)
        numbers |= scores | {"completeness_relative_error": error}
        numbers["seconds_total"] = round(time.monotonic() - began, 1)
        (out / "metrics.json").write_text(json.dumps(numbers, indent=1) + "\n")
        say(f"Done in {numbers['seconds_total']:.0f} s. Look at:")
        for name, what in CONTENTS.items():
            say(f"  {out / name}  {what}")
    finally:
        say.close()
    return numbers


CONTENTS = {
    "grid.png": "held-out emoji, both directions, beside their true partners",
    "explanation.png": "which input pixels made one region of an output",
    "metrics.json": "the numbers",
    "log.txt": "these lines",
    "training": "checkpoints, log.jsonl, samples, TensorBoard events",
}


def prepare_folder(out: Path) -> Path:
    """The demo's folder, empty; only a folder that a demo made is ever emptied.

    Args:
        out: where it shall be.

    Returns:
        `out`.

    Raises:
        UsageError: it is a file or holds something else.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{str(out)!r} is a file; choose another --out")
    if out.is_dir() and any(out.iterdir()):
        if not (out / MARK).exists():
            raise UsageError(
                f"{str(out)!r} holds something else than a demo; choose another --out"
            )
        for name in CONTENTS:
            path = out / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / MARK).touch()
    return out


def train(
    options: Options, workdir: Path, say: Diary
) -> tuple[api.Translator, dict[str, Any]]:
    """A model trained for a few steps, stopped half-way and continued.

    Args:
        options: how many steps, how large.
        workdir: folder of the run.
        say: told what happens.

    Returns:
        (the model, train_steps and train_seconds).
    """
    began = time.monotonic()
    config = CycleGANConfig(
        ngf=options.ngf,
        num_blocks=3,
        ndf=options.ngf,
        num_layers=2,
        image_size=options.size,
        upsample="resize",
        seed=options.seed,
    )
    # One picture of each domain for every device.
    pipeline = PipelineConfig(
        batch_size=jax.device_count(), image_size=options.size, seed=options.seed
    )
    half = options.steps // 2
    for num_steps, text in ((half, "Stopped"), (options.steps, "Finished")):
        result = training.fit(
            "emoji",
            config,
            workdir=workdir,
            pipeline=pipeline,
            loop_config=LoopConfig(
                num_steps=num_steps,
                log_every=max(1, min(25, half)),
                sample_every=half,
                evaluate_every=0,
                checkpoint_every=0,
            ),
        )
        loss = result.last_metrics.get("generator/cycle", float("nan"))
        say(f"     {text} at step {result.step}, saved; cycle loss {loss:.2f}.")
        if num_steps == half:
            say("     Continuing from its checkpoint.")
    seconds = round(time.monotonic() - began, 1)
    numbers = {"train_steps": result.step, "train_seconds": seconds}
    return api.load(workdir), numbers


def score(
    model: api.Translator, evaluator: Evaluator, say: Diary
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Translations of all held-out pictures and their distances from the truth.

    Args:
        model: the translator.
        evaluator: the held-out pairs.
        say: told the numbers.

    Returns:
        (translations by direction, numbers on the scale 0..255).
    """
    truths = {"AtoB": evaluator.test_b, "BtoA": evaluator.test_a}
    unchanged = demo_figures.distances(*truths.values())
    outputs, numbers = {}, {}
    for direction, truth in truths.items():
        outputs[direction] = evaluator.translate(
            lambda x, d: model.translate(x, direction=d), direction
        )
        error = demo_figures.distances(outputs[direction], truth)
        ratio = error.mean() / unchanged.mean()
        interval = pixel.bootstrap_ratio_interval(error, unchanged)
        numbers[f"l1_{direction}"] = float(error.mean())
        numbers[f"l1_ratio_{direction}"] = float(ratio)
        numbers[f"l1_ratio_{direction}_upper95"] = interval.high
        say(
            f"     {direction}: L1 to the true partner {error.mean():.2f} of 255, the"
            f" unchanged input {unchanged.mean():.2f}; ratio {ratio:.3f}"
            f" (95 % {interval.low:.3f} to {interval.high:.3f})"
        )
    numbers["l1_unchanged"] = float(unchanged.mean())
    numbers["l1_wrong_partner"] = wrong_partner_error(outputs["AtoB"], truths["AtoB"])
    say(f"     AtoB against a wrong partner: {numbers['l1_wrong_partner']:.2f}")
    return outputs, numbers


def wrong_partner_error(outputs: np.ndarray, truths: np.ndarray) -> float:
    """The mean L1 of every output to every truth but its own, on the scale 0..255.

    Args:
        outputs: `n h w c` in [0, 1], n at least 2.
        truths: the same shape.

    Returns:
        One number.
    """
    distances = [np.abs(x[None] - truths).mean(axis=(1, 2, 3)) for x in outputs]
    others = ~np.eye(len(outputs), dtype=bool)
    return float(255 * np.stack(distances)[others].mean())
