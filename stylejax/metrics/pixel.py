"""Pixel metrics against a known truth, and bootstrap intervals of their means.

The metrics take two batches of images in [0, 1] and run under `jax.jit`. The intervals
work on the host, on one value per example, with a NumPy seed.
"""

from collections.abc import Callable
from typing import NamedTuple

import dm_pix
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from stylejax.checks import check_image, check_positive, check_same_shape
from stylejax.image import filters
from stylejax.typing import Image, PerExample

_SSIM_WINDOW = 11
# Resamples are drawn in blocks of about this many numbers, to bound the memory.
_BLOCK = 4_000_000


class Interval(NamedTuple):
    """The two ends of a confidence interval."""

    low: float
    high: float


def mean_absolute_error(x: Image, y: Image, *, scale: float = 255.0) -> PerExample:
    """The mean absolute error of each example: `scale * mean |x - y|`.

    Args:
      x: (b, h, w, 3), values in [0, 1].
      y: same shape.
      scale: 255 states the error in grey levels of 0 … 255, 1 in the images' own unit.

    Returns:
      (b,), float32. Not reduced over the batch.

    Raises:
      ValueError: if the two are no batches of RGB images of one shape.

    Example:
      >>> mean_absolute_error(jnp.zeros((1, 4, 4, 3)), jnp.ones((1, 4, 4, 3))).tolist()
      [255.0]
    """
    x, y = _checked(x, y)
    return scale * jnp.mean(jnp.abs(x - y), axis=(1, 2, 3))


def psnr(x: Image, y: Image) -> PerExample:
    """The peak signal-to-noise ratio of each example: `-10 log10 mean (x - y)^2`.

    Args:
      x: (b, h, w, 3), values in [0, 1].
      y: same shape.

    Returns:
      (b,), float32, in dB; infinite for equal images. Not reduced over the batch.

    Raises:
      ValueError: if the two are no batches of RGB images of one shape.

    Example:
      >>> x = jnp.full((1, 4, 4, 3), 0.5)
      >>> round(float(psnr(x, x + 0.1)[0]), 3)
      20.0
    """
    x, y = _checked(x, y)
    return dm_pix.psnr(x, y)


def ssim(x: Image, y: Image) -> PerExample:
    """The structural similarity of each example: 1 for equal images.

    Gaussian window of 11 pixels (sigma 1.5), k1 0.01, k2 0.03, range 1, valid positions
    only, mean over positions and the RGB channels.

    Args:
      x: (b, h, w, 3), values in [0, 1]; both sides at least 11 pixels.
      y: same shape.

    Returns:
      (b,), float32, in [-1, 1]. Not reduced over the batch.

    Raises:
      ValueError: if the two are no batches of RGB images of one shape, or smaller than
        the window.

    Example:
      >>> image = jnp.linspace(0, 1, 12 * 12 * 3).reshape(1, 12, 12, 3)
      >>> round(float(ssim(image, image)[0]), 4)
      1.0

    Reference:
      Wang et al. 2004, by way of dm-pix. They use luminance alone, we all channels.
    """
    x, y = _checked(x, y)
    # dm-pix 0.4.5 swaps image and window below this size, without a word.
    if min(x.shape[1:3]) < _SSIM_WINDOW:
        raise ValueError(
            f"x: expected sides of at least {_SSIM_WINDOW} pixels, got shape "
            f"{x.shape}; enlarge the images first"
        )
    return dm_pix.ssim(x, y, filter_size=_SSIM_WINDOW)


def gradient_energy_ratio(x: Image, truth: Image) -> Float[Array, ""]:
    """The batch's gradient energy over the truth's: `mean E(x) / mean E(truth)`.

    Below 1 the images are blurred, above 1 they have noise or a checkerboard. A ratio
    of means: single flat images do not matter. For a whole test set, or an interval,
    collect `image.filters.gradient_energy` and use `bootstrap_ratio_interval`.

    Args:
      x: (b, h, w, 3), values in [0, 1].
      truth: same shape.

    Returns:
      A scalar, float32. 1 where neither has a gradient, infinite where only x has one.

    Raises:
      ValueError: if the two are no batches of RGB images of one shape.

    Example:
      >>> image = jnp.linspace(0, 1, 4 * 4 * 3).reshape(1, 4, 4, 3)
      >>> round(float(gradient_energy_ratio(0.5 * image, image)), 4)
      0.25
    """
    x, truth = _checked(x, truth, names=("x", "truth"))
    energy = jnp.mean(filters.gradient_energy(x))
    expected = jnp.mean(filters.gradient_energy(truth))
    both_flat = (energy == 0) & (expected == 0)
    return jnp.where(both_flat, 1.0, energy / jnp.where(both_flat, 1.0, expected))


def bootstrap_interval(
    values: ArrayLike,
    *,
    seed: int = 0,
    statistic: Callable[..., np.ndarray] = np.mean,
    num_resamples: int = 10_000,
    level: float = 0.95,
) -> Interval:
    """The percentile bootstrap interval of a statistic over examples.

    Args:
      values: (b,), one finite number per example.
      seed: of the resampling.
      statistic: called as `statistic(values, axis=-1)` on (num, b) resampled values.
      num_resamples: how often the examples are drawn anew, with replacement.
      level: coverage, in (0, 1).

    Returns:
      `Interval(low, high)`, Python floats.

    Raises:
      ValueError: if `values` is empty, not one-dimensional or not finite.

    Example:
      >>> bootstrap_interval([2.0, 2.0, 2.0])
      Interval(low=2.0, high=2.0)

    Reference:
      Efron 1979. The plain percentile interval, without bias correction.
    """
    values = _examples(values, name="values")
    estimates = [
        statistic(values[indices], axis=-1)
        for indices in _resamples(len(values), seed, num_resamples)
    ]
    return _percentile_interval(np.concatenate(estimates), level)


def bootstrap_ratio_interval(
    numerator: ArrayLike,
    denominator: ArrayLike,
    *,
    seed: int = 0,
    num_resamples: int = 10_000,
    level: float = 0.95,
) -> Interval:
    """The percentile bootstrap interval of `mean numerator / mean denominator`.

    The pairs are resampled together, so what makes an example hard for both cancels.

    Args:
      numerator: (b,), one finite number per example.
      denominator: (b,), of the same examples in the same order, with a mean above 0.
      seed: of the resampling.
      num_resamples: how often the examples are drawn anew, with replacement.
      level: coverage, in (0, 1).

    Returns:
      `Interval(low, high)`, Python floats.

    Raises:
      ValueError: if the two are empty, not finite, of different length, or a resampled
        denominator is not positive.

    Example:
      >>> bootstrap_ratio_interval([1.0, 3.0, 5.0], [2.0, 6.0, 10.0])
      Interval(low=0.5, high=0.5)
    """
    above = _examples(numerator, name="numerator")
    below = _examples(denominator, name="denominator")
    check_same_shape(above, below, names=("numerator", "denominator"))
    ratios = []
    for indices in _resamples(len(above), seed, num_resamples):
        means = below[indices].mean(axis=-1)
        if (means <= 0).any():
            raise ValueError(
                "denominator: expected means above 0, got a resample whose mean is "
                f"{means.min()}; the ratio has no interval"
            )
        ratios.append(above[indices].mean(axis=-1) / means)
    return _percentile_interval(np.concatenate(ratios), level)


def _checked(
    x: Image, y: Image, *, names: tuple[str, str] = ("x", "y")
) -> tuple[Array, Array]:
    check_image(x, name=names[0])
    check_image(y, name=names[1])
    check_same_shape(x, y, names=names)
    return jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32)


def _examples(values: ArrayLike, *, name: str) -> np.ndarray:
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise ValueError(
            f"{name}: expected one finite number per example, got shape {array.shape}"
            f" with {int(np.sum(~np.isfinite(array)))} values that are not finite"
        )
    return array


def _resamples(num_examples: int, seed: int, num_resamples: int):
    """Blocks of indices (num, num_examples), `num_resamples` rows in all."""
    check_positive(num_resamples, name="num_resamples")
    generator = np.random.default_rng(seed)
    rows = max(1, _BLOCK // num_examples)
    for start in range(0, num_resamples, rows):
        size = (min(rows, num_resamples - start), num_examples)
        yield generator.integers(num_examples, size=size)


def _percentile_interval(estimates: np.ndarray, level: float) -> Interval:
    if not 0 < level < 1:
        raise ValueError(f"level: expected a number between 0 and 1, got {level}")
    low, high = np.quantile(estimates, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))
