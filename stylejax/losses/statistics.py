"""The style losses by name, each as a target to make once and a distance to it.

    target = statistic.target(style_features, mask)
    value = statistic.distance(features, target, mask)        # (b,)

So a method asks for a style loss by the name in its configuration and need not know
whether it compares Gram matrices, moments, quantiles or patches.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from stylejax.checks import check_choice
from stylejax.losses import patches, style
from stylejax.losses.weighting import FeatureMap, Mask
from stylejax.typing import PerExample

_NUM_DIRECTIONS = 64
# Directions are part of the loss's definition: two runs must compare the same ones.
_DIRECTIONS_SEED = 0


class StyleStatistic(NamedTuple):
    """One style loss.

    Attributes:
      target: (features, mask) of the style to what the distance compares with.
      distance: (features, target, mask) of the picture that is painted to (b,).
      least_side: positions that a map must have on each side.
    """

    target: Callable[[FeatureMap, Mask | None], Any]
    distance: Callable[[FeatureMap, Any, Mask | None], PerExample]
    least_side: int = 1


def get(name: str) -> StyleStatistic:
    """The style loss of this name.

    Args:
      name: a key of `STATISTICS`.

    Returns:
      A `StyleStatistic`.

    Raises:
      ValueError: no such name.

    Example:
      >>> ones = jax.numpy.ones((1, 4, 4, 2))
      >>> gram = get("gram")
      >>> gram.distance(3.0 * ones, gram.target(ones, None), None).tolist()
      [16.0]
    """
    check_choice(name, choices=STATISTICS, name="style_statistic")
    return STATISTICS[name]


def _compare(statistic: Callable, distance: Callable) -> StyleStatistic:
    """A loss that takes the same statistic of both pictures."""

    def target(features: FeatureMap, mask: Mask | None) -> Any:
        return statistic(features, mask=mask)

    def distance_to(features: FeatureMap, goal: Any, mask: Mask | None) -> PerExample:
        return distance(statistic(features, mask=mask), goal)

    return StyleStatistic(target, distance_to)


def _sliced(features: FeatureMap, *, mask: Mask | None) -> Any:
    key = jax.random.key(_DIRECTIONS_SEED)
    directions = style.random_directions(key, features.shape[-1], count=_NUM_DIRECTIONS)
    return style.sliced_quantiles(features, directions, mask=mask)


def _histogram_target(features: FeatureMap, mask: Mask | None) -> Any:
    return patches.channel_quantiles(features, mask=mask)


def _histogram_distance(
    features: FeatureMap, goal: Any, mask: Mask | None
) -> PerExample:
    return patches.histogram_distance(features, goal, mask=mask)


def _patch_target(features: FeatureMap, mask: Mask | None) -> Any:
    return patches.extract_patches(features, mask=mask)


def _patch_distance(features: FeatureMap, goal: Any, mask: Mask | None) -> PerExample:
    return patches.patch_distance(features, goal, mask=mask)


STATISTICS = {
    "gram": _compare(style.gram_matrix, style.gram_distance),
    "gram_positions": _compare(
        functools.partial(style.gram_matrix, normalization="positions"),
        style.gram_distance,
    ),
    "moments": _compare(style.moments, style.moments_distance),
    "sliced_wasserstein": _compare(_sliced, style.sliced_wasserstein_distance),
    "histogram": StyleStatistic(_histogram_target, _histogram_distance),
    "patches": StyleStatistic(_patch_target, _patch_distance, least_side=3),
}
"""Style losses by the name a configuration uses."""
