"""Feature fusion: content features that take the statistics of a style's features.

    own, goal = fusion.statistic(content), fusion.statistic(style)
    fused = fusion.apply(content, own, goal)

Both moments and whole covariances are known; a mask keeps a statistic to a region.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from stylejax.checks import check_choice

FeatureMap = Float[Array, "b h w c"]
Mask = Float[Array, "b h w"]

EPSILON = 1e-5
"""Added to variances, as in the AdaIN reference code."""

_SMALLEST = 1e-5  # share of the largest variance below which a direction is noise


class Moments(NamedTuple):
    """Mean and standard deviation of each channel over the positions of a region.

    Attributes:
      mean: (b, c), float32.
      deviation: (b, c), sqrt(variance + 1e-5).
    """

    mean: Float[Array, "b c"]
    deviation: Float[Array, "b c"]


class Covariance(NamedTuple):
    """Mean of each channel and covariance of every two, over the positions.

    Attributes:
      mean: (b, c), float32.
      covariance: (b, c, c), symmetric.
    """

    mean: Float[Array, "b c"]
    covariance: Float[Array, "b c c"]


class Fusion(NamedTuple):
    """One way to give features another picture's statistics.

    Attributes:
      statistic: (features, mask=None) to what is compared.
      apply: (features, own statistic, goal statistic) to features of the same shape.
    """

    statistic: Callable[..., Any]
    apply: Callable[[FeatureMap, Any, Any], FeatureMap]


def moments(features: FeatureMap, *, mask: Mask | None = None) -> Moments:
    """The mean and deviation of each channel of each example, unbiased.

    Args:
      features: (b, h, w, c).
      mask: (b, h, w) or (1, h, w), not negative, of the size of the maps.

    Returns:
      `Moments`. A single position, or a mask of nothing, has variance 0.

    Example:
      >>> found = moments(jnp.float32([[0.0, 2.0]])[..., None, None])
      >>> float(found.mean[0, 0]), round(float(found.deviation[0, 0]), 4)
      (1.0, 1.4142)

    Reference:
      Huang and Belongie 2017, https://arxiv.org/abs/1703.06868; the variance is the
      unbiased one, as in the reference code.
    """
    x, weights = _flat(features), _weights(features, mask)
    mean = jnp.einsum("bn,bnc->bc", weights, x)
    squares = jnp.square(x - mean[:, None])
    variance = jnp.einsum("bn,bnc->bc", weights, squares) * _unbias(weights)
    return Moments(mean, jnp.sqrt(variance + EPSILON))


def adaptive_instance_norm(
    features: FeatureMap, own: Moments, goal: Moments
) -> FeatureMap:
    """Features whose channels are shifted and scaled from their moments to others.

        (f - mean_own) / deviation_own * deviation_goal + mean_goal

    Args:
      features: (b, h, w, c).
      own: their `moments`, (b, c) each.
      goal: those they get, (b, c) or (1, c) each.

    Returns:
      (b, h, w, c), of the dtype of `features`.

    Reference:
      Huang and Belongie 2017, equation 8.
    """
    gain = goal.deviation / own.deviation
    shift = goal.mean - own.mean * gain
    fused = features.astype(jnp.float32) * _spread(gain) + _spread(shift)
    return fused.astype(features.dtype)


def covariance(features: FeatureMap, *, mask: Mask | None = None) -> Covariance:
    """The mean and the covariance of the channels of each example, unbiased.

    Args:
      features: (b, h, w, c).
      mask: (b, h, w) or (1, h, w), not negative, of the size of the maps.

    Returns:
      `Covariance`.
    """
    x, weights = _flat(features), _weights(features, mask)
    mean = jnp.einsum("bn,bnc->bc", weights, x)
    x = x - mean[:, None]
    products = jnp.einsum("bnc,bnd->bcd", weights[..., None] * x, x)
    return Covariance(mean, products * _unbias(weights)[..., None])


def whiten_and_color(
    features: FeatureMap, own: Covariance, goal: Covariance
) -> FeatureMap:
    """Features whose channels get another covariance, not their variances alone.

        S_goal^(1/2) S_own^(-1/2) (f - mean_own) + mean_goal

    with symmetric square roots: of all maps that do it the one nearest to leaving
    features as they are, once white. Directions with almost no variance are dropped,
    as in the reference code.

    Args:
      features: (b, h, w, c).
      own: their `covariance`.
      goal: the one they get, of b or one example.

    Returns:
      (b, h, w, c), of the dtype of `features`.

    Reference:
      Li et al. 2017, https://arxiv.org/abs/1705.08086, equations 3 and 4.
    """
    whitening = _power(own.covariance, -0.5)
    coloring = _power(goal.covariance, 0.5)
    matrix = jnp.einsum("bcd,bde->bce", coloring, whitening)
    x = features.astype(jnp.float32) - _spread(own.mean)
    fused = jnp.einsum("bhwe,bce->bhwc", x, matrix) + _spread(goal.mean)
    return fused.astype(features.dtype)


FUSIONS = {
    "adain": Fusion(moments, adaptive_instance_norm),
    "wct": Fusion(covariance, whiten_and_color),
}
"""Fusions by the name a configuration uses."""


def get(name: str) -> Fusion:
    """The fusion of a name.

    Args:
      name: a key of `FUSIONS`.

    Returns:
      A `Fusion`.

    Raises:
      ValueError: no such name.
    """
    check_choice(name, choices=FUSIONS, name="fusion")
    return FUSIONS[name]


def _flat(features: FeatureMap) -> Float[Array, "b n c"]:
    b, h, w, c = features.shape
    return features.astype(jnp.float32).reshape(b, h * w, c)


def _weights(features: FeatureMap, mask: Mask | None) -> Float[Array, "b n"]:
    """Weights of the positions, which sum to 1 (to 0 where the mask is of nothing)."""
    b, h, w, _ = features.shape
    if mask is None:
        return jnp.full((b, h * w), 1.0 / (h * w), jnp.float32)
    flat = jnp.broadcast_to(mask.astype(jnp.float32), (b, h, w)).reshape(b, h * w)
    return flat / jnp.maximum(jnp.sum(flat, axis=1, keepdims=True), 1e-12)


def _unbias(weights: Float[Array, "b n"]) -> Float[Array, "b 1"]:
    """What makes a weighted variance unbiased: n / (n - 1) where weights are equal."""
    left = 1.0 - jnp.sum(jnp.square(weights), axis=1, keepdims=True)
    return jnp.where(left > 1e-6, 1.0 / jnp.maximum(left, 1e-6), 1.0)


def _spread(x: Float[Array, "b c"]) -> Float[Array, "b 1 1 c"]:
    return x[:, None, None, :]


def _power(matrix: Float[Array, "b c c"], exponent: float) -> Float[Array, "b c c"]:
    """A power of symmetric matrices, without the directions of no variance."""
    values, vectors = jnp.linalg.eigh(matrix)
    least = _SMALLEST * jnp.max(values, axis=1, keepdims=True)
    is_kept = values > jnp.maximum(least, 1e-12)
    powers = jnp.where(is_kept, jnp.where(is_kept, values, 1.0) ** exponent, 0.0)
    return jnp.einsum("bcv,bv,bdv->bcd", vectors, powers, vectors)
