"""Every figure of a translator on test pictures, with its interval and what it is
compared with: the untranslated input and the true pictures of the target domain.

    {"AtoB": {"l1": {"value": 13.3, "unchanged": 15.9, "interval": [12.1, 14.4]}, …}}
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from stylejax.metrics import pixel
from stylejax.train.evaluate import Evaluator, TranslateFn
from stylejax.train.feature_metrics import (
    Judged,
    frechet_distances,
    kernel_distances,
)
from stylejax.train.scorecard import card_of

Figure = dict[str, Any]
"""`value` and, where they say something, `interval` (95 %), `unchanged`, `true`."""

BETTER = {
    "l1": "lower",
    "l1_ratio": "lower",
    "l1_wrong_partner": "",
    "wins": "higher",
    "psnr": "higher",
    "ssim": "higher",
    "gradient_energy_ratio": "near 1",
    "cycle_l1": "lower",
    "identity_l1": "lower",
    "perceptual": "lower",
    "style": "near true",
    "kernel_distance": "near 0",
    "frechet_distance": "lower",
    "content": "",
    "structure": "",
    "structure_similarity": "",
    "perceptual_change": "",
}
"""Metrics by name and what is good; "" for what tells how much was changed."""

_DIRECTIONS = ("AtoB", "BtoA")
_OWN = ("l1", "l1_ratio", "l1_wrong_partner", "wins", "psnr", "ssim")


def figures(
    evaluator: Evaluator, translate_fn: TranslateFn, *, seed: int = 0
) -> dict[str, dict[str, Figure]]:
    """Returns the figures of both directions.

    Args:
      evaluator: test pictures; with features, what they say is there as well.
      translate_fn: (pictures, direction) to pictures; jit it.
      seed: of the bootstrap over pictures and of the half-samples.

    Returns:
      {"AtoB": {metric: figure}, "BtoA": …} with the metrics of `BETTER` that the set
      allows: those of pixels need pairs, a kernel distance four pictures. A figure's
      `value` is None where it is not finite. `frechet_distance` says `rank_deficient`
      where there are no more pictures than dimensions: it is then biased.
    """
    outputs = evaluator.translate_all(translate_fn)
    if evaluator.paired:
        found = _of_pairs(evaluator, outputs, seed)
    else:
        found = _of_cycles(evaluator, translate_fn)
    if evaluator.judge is not None:
        for direction, judged in evaluator.judge(outputs).items():
            found[direction] |= _of_features(judged, seed)
    return found


def _of_pairs(evaluator: Evaluator, outputs: Mapping, seed: int) -> dict:
    found = {}
    images = (evaluator.test_a, evaluator.test_b)
    for direction, (source, truth) in zip(
        _DIRECTIONS, (images, images[::-1]), strict=True
    ):
        card = card_of(source, outputs[direction], truth, seed=seed)
        of_direction = {}
        for name in (*_OWN, "gradient_energy_ratio"):
            figure = _figure(card[name])
            for part in ("unchanged", "interval"):
                if f"{name}_{part}" in card:
                    figure[part] = card[f"{name}_{part}"]
            of_direction[name] = figure
        found[direction] = of_direction
    return found


def _of_cycles(evaluator: Evaluator, translate_fn: TranslateFn) -> dict:
    numbers = evaluator.cycle_and_identity(translate_fn)
    return {
        direction: {
            name: _figure(numbers[f"{direction[0]}/{name}"])
            for name in ("cycle_l1", "identity_l1")
        }
        for direction in _DIRECTIONS
    }


def _of_features(judged: Judged, seed: int) -> dict[str, Figure]:
    found = {}
    for name, values in judged.output.items():
        figure = _figure(values.mean())
        if np.isfinite(values).all():
            figure["interval"] = list(pixel.bootstrap_interval(values, seed=seed))
        for role in ("unchanged", "true"):
            if name in getattr(judged, role):
                figure[role] = _number(getattr(judged, role)[name].mean())
        found[name] = figure
    for role, kernel in kernel_distances(judged, seed=seed).items():
        if role == "output":
            found["kernel_distance"] = _figure(kernel.value) | {
                "interval": list(kernel.interval)
            }
        elif "kernel_distance" in found:
            found["kernel_distance"][role] = kernel.value
    for role, frechet in frechet_distances(judged).items():
        if role == "output":
            found["frechet_distance"] = _figure(frechet.value) | {
                "rank_deficient": frechet.rank_deficient
            }
        elif "frechet_distance" in found:
            found["frechet_distance"][role] = frechet.value
    return found


def _figure(value: Any) -> Figure:
    return {"value": _number(value)}


def _number(value: Any) -> float | None:
    """JSON knows no infinity."""
    number = float(value)
    return number if math.isfinite(number) else None
