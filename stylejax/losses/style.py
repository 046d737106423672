"""Style losses: which features a picture has, wherever in the picture they are.

A statistic is computed once for the style and at each step for the picture that is
painted; a distance compares two of them:

    statistic(features, mask=...) -> pytree         distance(statistic, target) -> (b,)

The picture and the style may differ in size. A mask keeps a statistic to a region
("guided" Gram matrices, Gatys et al. 2017). The losses that need the picture's own
positions (patches, histograms) are in `stylejax.losses.patches`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from stylejax.checks import check_choice
from stylejax.losses.weighting import (
    FeatureMap,
    Mask,
    position_weights,
    positions,
    weighted_quantiles,
)
from stylejax.typing import Features, Key, PerExample

GRAM_NORMALIZATIONS = ("positions_channels", "positions")
_EPSILON = 1e-5


def gram_matrix(
    features: FeatureMap,
    *,
    mask: Mask | None = None,
    normalization: str = "positions_channels",
) -> Float[Array, "b c c"]:
    """The Gram matrix of each example: mean products of every two channels.

        G_cd = sum_n w_n f_nc f_nd / C      with sum_n w_n = 1

    Args:
      features: (b, h, w, c).
      mask: (b, h, w) or (1, h, w), not negative, any size; None for all positions.
      normalization: "positions_channels" divides by the number of channels too, as
        the neural-style codes do (h w c); "positions" does not (h w), as others.

    Returns:
      (b, c, c), float32, symmetric. Not reduced over the batch.

    Raises:
      ValueError: an unknown normalization, or a mask with another number of axes.

    Example:
      >>> gram_matrix(2.0 * jnp.ones((1, 3, 3, 2)), normalization="positions")[0, 0]
      Array([4., 4.], dtype=float32)

    Reference:
      Gatys et al. 2016, equation 3, without its scale.
    """
    check_choice(normalization, choices=GRAM_NORMALIZATIONS, name="normalization")
    x = positions(features)
    if mask is None:
        gram = _products(x) / x.shape[1]
    else:
        weights = position_weights(features, mask)
        gram = jnp.einsum("bn,bnc,bnd->bcd", weights, x, x)
    return gram / x.shape[2] if normalization == "positions_channels" else gram


@jax.custom_jvp
def _products(x: Float[Array, "b n c"]) -> Float[Array, "b c c"]:
    """Sums over positions of the products of every two channels."""
    return _products_of(x, x)


def _products_of(
    x: Float[Array, "b n c"], y: Float[Array, "b n d"]
) -> Float[Array, "b c d"]:
    return jax.lax.dot_general(x, y, (((1,), (1,)), ((0,), (0,))))


@_products.defjvp
def _products_jvp(primals: tuple, tangents: tuple) -> tuple:
    # The derivative is symmetric: one matrix product where the rule for a product of
    # two needs two. `x_dot` stands first, so that the gradient comes out with positions
    # before channels and need not be turned: together a quarter of the time on a CPU
    # (jax 0.10.2, 2026-11-28).
    (x,), (x_dot,) = primals, tangents
    half = _products_of(x_dot, x)
    return _products(x), half + jnp.swapaxes(half, 1, 2)


def gram_distance(
    gram: Float[Array, "b c c"], target: Float[Array, "b c c"]
) -> PerExample:
    """The mean squared difference of two Gram matrices, per example.

    Args:
      gram: (b, c, c).
      target: (b, c, c) or (1, c, c), of the same normalization.

    Returns:
      (b,), float32. Not reduced over the batch.

    Example:
      >>> gram_distance(jnp.zeros((1, 2, 2)), 3.0 * jnp.ones((1, 2, 2))).tolist()
      [9.0]
    """
    return jnp.mean(jnp.square(gram - target), axis=(1, 2))


def relative_gram_distance(
    gram: Float[Array, "b c c"], target: Float[Array, "b c c"]
) -> PerExample:
    """The squared difference of two Gram matrices as a share of the target's square.

        |G - T|^2 / |T|^2      (Frobenius norms)

    So no layer and no style weighs more than another because its features are larger.

    Args:
      gram: (b, c, c).
      target: (b, c, c) or (1, c, c), of the same normalization.

    Returns:
      (b,), float32; 0 for one style, 1 for a picture without any feature. Where the
      target is zero, about 1e12 times the difference. Not reduced over the batch.

    Example:
      >>> target = 2.0 * jnp.ones((1, 2, 2))
      >>> relative_gram_distance(jnp.ones((1, 2, 2)), target).tolist()
      [0.25]
    """
    size = jnp.mean(jnp.square(target), axis=(1, 2))
    return gram_distance(gram, target) / (size + 1e-12)


def relative_gram_loss(features: Features, target: Features) -> PerExample:
    """The `relative_gram_distance` of feature maps, summed over a style's layers.

    Args:
      features: maps (b, h, w, c) by layer; all layers of `target`.
      target: maps (b, h', w', c) or (1, h', w', c) of the style.

    Returns:
      (b,), float32. Not reduced over the batch.

    Example:
      >>> maps = {"a": jnp.ones((1, 2, 2, 3)), "b": jnp.ones((1, 1, 1, 2))}
      >>> double = {name: 2.0 * x for name, x in maps.items()}
      >>> relative_gram_loss(maps, double).tolist()
      [1.125]
    """

    def distance(x: FeatureMap, goal: FeatureMap) -> PerExample:
        return relative_gram_distance(
            *(gram_matrix(maps, normalization="positions") for maps in (x, goal))
        )

    return _over_layers(distance, features, target)


def _over_layers(
    distance: Callable[[FeatureMap, FeatureMap], PerExample],
    features: Features,
    target: Features,
) -> PerExample:
    values = [distance(features[tap], goal) for tap, goal in target.items()]
    return sum(values[1:], start=values[0])


def moments(
    features: FeatureMap, *, mask: Mask | None = None
) -> tuple[Float[Array, "b c"], Float[Array, "b c"]]:
    """The mean and the standard deviation of each channel of each example.

    Args:
      features: (b, h, w, c).
      mask: (b, h, w) or (1, h, w), not negative, any size; None for all positions.

    Returns:
      Two arrays (b, c), float32. The deviation is sqrt(variance + 1e-5), the biased
      variance.

    Example:
      >>> mean, deviation = moments(jnp.ones((1, 2, 2, 1)))
      >>> float(mean[0, 0]), round(float(deviation[0, 0]), 4)
      (1.0, 0.0032)

    Reference:
      Huang and Belongie 2017, https://arxiv.org/abs/1703.06868.
    """
    x, weights = positions(features), position_weights(features, mask)
    mean = jnp.einsum("bn,bnc->bc", weights, x)
    centred = jnp.square(x - mean[:, None])
    variance = jnp.einsum("bn,bnc->bc", weights, centred)
    return mean, jnp.sqrt(variance + _EPSILON)


def moments_distance(statistic: tuple, target: tuple) -> PerExample:
    """The mean squared difference of means plus that of deviations, per example.

    Args:
      statistic: from `moments`, two arrays (b, c).
      target: likewise, (b, c) or (1, c).

    Returns:
      (b,), float32. Not reduced over the batch.

    Example:
      >>> zero = jnp.zeros((1, 3))
      >>> moments_distance((zero, zero), (zero + 1.0, zero + 2.0)).tolist()
      [5.0]

    Reference:
      Huang and Belongie 2017, equation 13, with means of squares for norms.
    """
    pairs = zip(statistic, target, strict=True)
    return sum(
        (jnp.mean(jnp.square(x - y), axis=1) for x, y in pairs), start=jnp.zeros(())
    )


def moments_loss(features: Features, target: Features) -> PerExample:
    """The `moments_distance` of feature maps, summed over the layers of a style.

    Args:
      features: maps (b, h, w, c) by layer; all layers of `target`.
      target: maps (b, h', w', c) or (1, h', w', c) of the style.

    Returns:
      (b,), float32. Not reduced over the batch.

    Example:
      >>> maps = {"a": jnp.zeros((1, 2, 2, 3)), "b": jnp.zeros((1, 1, 1, 2))}
      >>> moments_loss(maps, {name: x + 2.0 for name, x in maps.items()}).tolist()
      [8.0]

    Reference:
      Huang and Belongie 2017, equation 13.
    """
    return _over_layers(
        lambda x, goal: moments_distance(moments(x), moments(goal)), features, target
    )


def random_directions(key: Key, channels: int, *, count: int) -> Float[Array, "c d"]:
    """Unit vectors in feature space, drawn evenly over the sphere.

    Args:
      key: PRNG key.
      channels: c.
      count: d, how many.

    Returns:
      (c, d), float32; each column has length 1.

    Example:
      >>> random_directions(jax.random.key(0), 8, count=3).shape
      (8, 3)
    """
    directions = jax.random.normal(key, (channels, count))
    return directions / jnp.linalg.norm(directions, axis=0, keepdims=True)


def sliced_quantiles(
    features: FeatureMap,
    directions: Float[Array, "c d"],
    *,
    mask: Mask | None = None,
    num_quantiles: int = 256,
) -> Float[Array, "b q d"]:
    """The quantiles of the features' projections on each direction.

    Args:
      features: (b, h, w, c).
      directions: (c, d), for example from `random_directions`.
      mask: (b, h, w) or (1, h, w), not negative, any size; None for all positions.
      num_quantiles: q.

    Returns:
      (b, q, d), float32, ascending along q.
    """
    projected = positions(features) @ directions
    weights = position_weights(features, mask)
    return weighted_quantiles(projected, weights, num_quantiles=num_quantiles)


def sliced_wasserstein_distance(
    quantiles: Float[Array, "b q d"], target: Float[Array, "b q d"]
) -> PerExample:
    """The squared 2-Wasserstein distance of the projections, averaged over directions.

        mean_d mean_q (Q_d(q) - T_d(q))^2

    It is zero only where the whole distributions agree, not their second moments alone.

    Args:
      quantiles: (b, q, d), from `sliced_quantiles`.
      target: (b, q, d) or (1, q, d), on the same directions.

    Returns:
      (b,), float32. Not reduced over the batch.

    Example:
      >>> x = jnp.zeros((1, 4, 2))
      >>> sliced_wasserstein_distance(x, x + 1.0).tolist()
      [1.0]

    Reference:
      Heitz et al. 2021, https://arxiv.org/abs/2006.07229. They draw new directions at
      each step and sort as many samples as the picture has; we compare quantiles, so
      the two sizes may differ.
    """
    return jnp.mean(jnp.square(quantiles - target), axis=(1, 2))
