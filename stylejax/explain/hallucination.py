"""Did a translator paint in, or take out, what it should leave alone? An audit.

A segmenter of the caller's says what was there before and after. Without one,
`stylejax.explain.structure_change` finds unexpected structure of any kind, and
`stylejax.explain.dose_response` asks where it comes from.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from stylejax.checks import check_positive, check_same_shape
from stylejax.explain.finite import check_finite
from stylejax.explain.paired import PairedTest, paired_test, sign_test
from stylejax.typing import Image

_TOUCHING = np.ones((3, 3), bool)


@dataclasses.dataclass(frozen=True, eq=False)
class VanishingReport:
    """What a segmenter sees before and after.

    Attributes:
      appeared: (b,), objects of the output that touch nothing of the input's.
      vanished: (b,), objects of the input that touch nothing of the output's.
      added_area: (b,), share of the picture that is feature only in the output.
      removed_area: (b,), share that is feature only in the input.
      pictures_gained: pictures with the feature after, without it before.
      pictures_lost: pictures with the feature before, without it after.
      presence_p: two-sided exact McNemar test of the two counts above.
      objects: `appeared` against `vanished`, picture by picture.
      areas: `added_area` against `removed_area`, picture by picture.
    """

    appeared: np.ndarray
    vanished: np.ndarray
    added_area: np.ndarray
    removed_area: np.ndarray
    pictures_gained: int
    pictures_lost: int
    presence_p: float
    objects: PairedTest
    areas: PairedTest

    def summary(self) -> str:
        """One line for people: what appeared, what vanished, and how surely.

        Returns:
          Text without a line break.
        """
        low, high = self.areas.interval
        return (
            f"{int(self.appeared.sum())} objects appeared and"
            f" {int(self.vanished.sum())} vanished in {len(self.appeared)} pictures"
            f" (sign test p = {self.objects.sign_p:.2g}); feature gained in"
            f" {self.pictures_gained} pictures, lost in {self.pictures_lost} (McNemar"
            f" p = {self.presence_p:.2g}); area {self.areas.mean:+.3%} of the picture"
            f" [{low:+.3%}, {high:+.3%}], added {self.added_area.mean():.3%}, removed"
            f" {self.removed_area.mean():.3%}"
        )


def vanishing_check(
    detector: Callable[[Image], Any],
    inputs: Image,
    outputs: Image,
    *,
    threshold: float = 0.5,
    min_pixels: int = 1,
    reach: int = 0,
    seed: int = 0,
) -> VanishingReport:
    """What of a feature appeared and what vanished, by a segmenter of the caller's.

    The segmenter must work on both domains: its own mistakes count as the
    translator's. Run it on pairs with a known truth first.

    Args:
      detector: pictures (b, h, w, c) to a mask or probabilities (b, h, w).
      inputs: (b, h, w, c).
      outputs: their translations.
      threshold: probabilities from here on are feature.
      min_pixels: objects (pixels that touch, corners too) below this size are ignored.
      reach: objects this many pixels apart still count as the same.
      seed: of the bootstrap and the sign flips.

    Returns:
      `VanishingReport`.

    Raises:
      ValueError: shapes that do not fit, or a detector that gives NaN or infinity.

    Reference:
      Cohen, Luck and Honari 2018, "Distribution matching losses can hallucinate
      features in medical image translation". They show pictures; the tests are ours.
    """
    check_positive(min_pixels, name="min_pixels")
    check_same_shape(inputs, outputs, names=("inputs", "outputs"))
    before, after = (
        np.stack([_without_specks(mask, min_pixels) for mask in masks])
        for masks in (_masks(detector, x, threshold) for x in (inputs, outputs))
    )
    appeared, vanished = (
        np.array([_alone(*pair, reach) for pair in zip(first, second, strict=True)])
        for first, second in ((after, before), (before, after))
    )
    added, removed = (
        (first & ~second).mean(axis=(1, 2))
        for first, second in ((after, before), (before, after))
    )
    had, has = before.any(axis=(1, 2)), after.any(axis=(1, 2))
    gained, lost = int((has & ~had).sum()), int((had & ~has).sum())
    return VanishingReport(
        appeared=appeared,
        vanished=vanished,
        added_area=added,
        removed_area=removed,
        pictures_gained=gained,
        pictures_lost=lost,
        presence_p=sign_test(gained, lost),
        objects=paired_test(appeared, vanished, seed=seed),
        areas=paired_test(added, removed, seed=seed),
    )


def _masks(
    detector: Callable[[Image], Any], images: Image, threshold: float
) -> np.ndarray:
    found = np.asarray(detector(jnp.asarray(images)))
    if found.shape != np.shape(images)[:3]:
        raise ValueError(
            f"detector: expected masks of shape {np.shape(images)[:3]}, got"
            f" {found.shape}"
        )
    check_finite(found, name="detector", what="the masks of pictures")
    return found if found.dtype == bool else found >= threshold


def _without_specks(mask: np.ndarray, min_pixels: int) -> np.ndarray:
    objects, _ = ndimage.label(mask, _TOUCHING)
    sizes = np.bincount(objects.ravel())
    return mask & (sizes[objects] >= min_pixels)


def _alone(mask: np.ndarray, other: np.ndarray, reach: int) -> int:
    """How many objects of the mask touch nothing of the other."""
    objects, count = ndimage.label(mask, _TOUCHING)
    if reach:
        other = ndimage.binary_dilation(other, _TOUCHING, iterations=reach)
    return count - len(np.unique(objects[mask & other]))
