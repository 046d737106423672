"""The card of a translator on a paired test set: what the release criteria ask for."""

import jax
import numpy as np

from stylejax.image import filters
from stylejax.metrics import pixel
from stylejax.train.evaluate import Evaluator, TranslateFn


def paired_scorecard(
    evaluator: Evaluator, translate_fn: TranslateFn, *, seed: int = 0
) -> dict[str, dict[str, float | list[float]]]:
    """Returns, by direction, how near the translations come to their true partners.

    Args:
      evaluator: paired test pictures.
      translate_fn: (pictures, direction) to pictures; jit it.
      seed: of the bootstrap over pairs (10,000 resamples, percentiles).

    Returns:
      {"AtoB": {...}, "BtoA": {...}} with l1 (0..255), l1_unchanged (the input as it
      is), l1_wrong_partner (the output against every other picture's partner),
      l1_ratio (l1 / l1_unchanged) with l1_ratio_interval (95 %), gradient_energy_ratio
      (to the truth's) with its interval, psnr, ssim, wins (share of pairs nearer than
      the input) and num_pairs.

    Raises:
      ValueError: the test set is not paired.
    """
    if not evaluator.paired:
        raise ValueError("expected a paired test set, got an unpaired one")
    both = {"AtoB": (evaluator.test_a, evaluator.test_b)}
    both["BtoA"] = both["AtoB"][::-1]
    cards = {}
    for direction, (source, truth) in both.items():
        output = evaluator.translate(translate_fn, direction)
        cards[direction] = card_of(source, output, truth, seed=seed)
    return cards


def card_of(
    source: np.ndarray, output: np.ndarray, truth: np.ndarray, *, seed: int = 0
) -> dict[str, float | list[float]]:
    """Returns the card of one direction.

    Args:
      source: pictures `n h w 3` in [0, 1].
      output: the same, translated.
      truth: their true partners.
      seed: of the bootstrap.

    Returns:
      Numbers by name, see `paired_scorecard`.
    """
    error = _each(pixel.mean_absolute_error, output, truth)
    unchanged = _each(pixel.mean_absolute_error, source, truth)
    energy, true_energy = (_each(filters.gradient_energy, x) for x in (output, truth))
    interval = pixel.bootstrap_ratio_interval(error, unchanged, seed=seed)
    energy_interval = pixel.bootstrap_ratio_interval(energy, true_energy, seed=seed)
    return {
        "num_pairs": len(source),
        "l1": float(error.mean()),
        "l1_unchanged": float(unchanged.mean()),
        "l1_wrong_partner": _wrong_partner(output, truth),
        "l1_ratio": float(error.mean() / unchanged.mean()),
        "l1_ratio_interval": [float(x) for x in interval],
        "gradient_energy_ratio": float(energy.mean() / true_energy.mean()),
        "gradient_energy_ratio_interval": [float(x) for x in energy_interval],
        "psnr": float(_each(pixel.psnr, output, truth).mean()),
        "ssim": float(_each(pixel.ssim, output, truth).mean()),
        "wins": float(np.mean(error < unchanged)),
    }


def _each(metric, *arrays) -> np.ndarray:
    return np.asarray(jax.jit(metric)(*arrays), np.float64)


def _wrong_partner(output: np.ndarray, truth: np.ndarray) -> float:
    """Mean L1 (0..255) of every output to the truths of all other pictures."""
    total = 0.0
    for index, image in enumerate(output):
        distance = np.abs(truth - image[None]).mean(axis=(1, 2, 3))
        total += float(distance.sum() - distance[index]) / (len(truth) - 1)
    return 255 * total / len(output)
