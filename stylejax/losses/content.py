"""Content losses: how far one picture's feature maps are from another's.

Both compare position by position, so the two maps have one shape. A mask weighs the
positions; without one all weigh alike.
"""

import jax.numpy as jnp

from stylejax.checks import check_same_shape
from stylejax.losses.weighting import FeatureMap, Mask, position_weights, positions
from stylejax.typing import PerExample

_EPSILON = 1e-8


def euclidean_distance(
    features: FeatureMap, target: FeatureMap, *, mask: Mask | None = None
) -> PerExample:
    """The squared Euclidean feature distance of each example, per number.

        sum_n w_n mean_c (f_nc - t_nc)^2      with sum_n w_n = 1

    Args:
      features: (b, h, w, c).
      target: same shape.
      mask: (b, h, w) or (1, h, w), not negative, any size; None for all positions.

    Returns:
      (b,), float32. Not reduced over the batch.

    Raises:
      ValueError: the shapes differ, or the mask has another number of axes.

    Example:
      >>> x = jnp.zeros((1, 2, 2, 3))
      >>> euclidean_distance(x, x + 2.0).tolist()
      [4.0]

    Reference:
      Gatys et al. 2016, equation 1, who take half the sum: theirs is h w c / 2 times
      ours. The mean makes the weight independent of the picture's size.
    """
    check_same_shape(features, target, names=("features", "target"))
    difference = positions(features) - positions(target)
    weights = position_weights(features, mask)
    return jnp.sum(weights * jnp.mean(jnp.square(difference), axis=2), axis=1)


def cosine_distance(
    features: FeatureMap, target: FeatureMap, *, mask: Mask | None = None
) -> PerExample:
    """One minus the cosine between the feature vectors, averaged over positions.

        sum_n w_n (1 - <f_n, t_n> / (|f_n| |t_n|))      with sum_n w_n = 1

    It is blind to how strong a feature is and so to contrast. Where a vector is zero
    the cosine counts as 0.

    Args:
      features: (b, h, w, c).
      target: same shape.
      mask: (b, h, w) or (1, h, w), not negative, any size; None for all positions.

    Returns:
      (b,), float32 in [0, 2]. Not reduced over the batch.

    Raises:
      ValueError: the shapes differ, or the mask has another number of axes.

    Example:
      >>> x = jnp.ones((1, 2, 2, 3))
      >>> jnp.round(cosine_distance(x, -5.0 * x), 5).tolist()
      [2.0]
    """
    check_same_shape(features, target, names=("features", "target"))
    x, y = positions(features), positions(target)
    # The square roots take what is not zero, for their gradient's sake.
    norms = [jnp.sqrt(jnp.sum(v * v, axis=2) + _EPSILON**2) for v in (x, y)]
    cosine = jnp.sum(x * y, axis=2) / (norms[0] * norms[1])
    return jnp.sum(position_weights(features, mask) * (1.0 - cosine), axis=1)


DISTANCES = {"euclidean": euclidean_distance, "cosine": cosine_distance}
"""Content distances by the name a configuration uses."""
