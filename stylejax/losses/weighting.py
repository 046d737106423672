"""Means, quantiles and scales of feature maps over the positions a mask selects."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

FeatureMap = Float[Array, "b h w c"]
Mask = Float[Array, "b h w"]

_EPSILON = 1e-12


def position_weights(features: FeatureMap, mask: Mask | None) -> Float[Array, "b n"]:
    """The weights of the positions of each example, which sum to 1.

    Args:
      features: (b, h, w, c).
      mask: (b, h, w) or (1, h, w), not negative, of the size of the maps or of any
        other (then resized, antialiased); None weighs all positions alike.

    Returns:
      (b, h * w), float32. A mask that is zero everywhere gives zeros, so that nothing
      of this example counts.

    Raises:
      ValueError: the mask has another number of axes or examples.
    """
    b, h, w, _ = features.shape
    if mask is None:
        return jnp.full((b, h * w), 1.0 / (h * w), jnp.float32)
    if mask.ndim != 3 or mask.shape[0] not in (1, b):
        raise ValueError(
            f"mask: expected shape ({b}, h, w) or (1, h, w), got {mask.shape}"
        )
    mask = mask.astype(jnp.float32)
    if mask.shape[1:] != (h, w):
        mask = jax.image.resize(mask, (mask.shape[0], h, w), "linear", antialias=True)
    flat = jnp.broadcast_to(mask, (b, h, w)).reshape(b, h * w)
    return flat / jnp.maximum(jnp.sum(flat, axis=1, keepdims=True), _EPSILON)


def positions(features: FeatureMap) -> Float[Array, "b n c"]:
    """The feature vectors of each example, one after the other, in float32.

    Args:
      features: (b, h, w, c).

    Returns:
      (b, h * w, c), float32.

    Example:
      >>> positions(jnp.ones((2, 3, 4, 5))).shape
      (2, 12, 5)
    """
    b, h, w, c = features.shape
    return features.astype(jnp.float32).reshape(b, h * w, c)


def weighted_quantiles(
    values: Float[Array, "b n c"],
    weights: Float[Array, "b n"],
    *,
    num_quantiles: int,
) -> Float[Array, "b q c"]:
    """The quantiles of each channel at the middles of `num_quantiles` equal steps.

    The weight of a value is spread around its middle in the sorted order and the
    quantile function is linear between the middles, so that equal weights and as many
    quantiles as values give the sorted values back.

    Args:
      values: (b, n, c).
      weights: (b, n), not negative; those of an example sum to 1.
      num_quantiles: q.

    Returns:
      (b, q, c), float32, ascending along q.

    Example:
      >>> x = jnp.float32([3.0, 1.0, 2.0])[None, :, None]
      >>> weighted_quantiles(x, jnp.full((1, 3), 1 / 3), num_quantiles=3)[0, :, 0]
      Array([1., 2., 3.], dtype=float32)
    """
    levels = (jnp.arange(num_quantiles) + 0.5) / num_quantiles

    def of_channel(x: Float[Array, " n"], w: Float[Array, " n"]) -> Float[Array, " q"]:
        # Positions that the mask leaves out go to the end: their weight is 0, and no
        # value of theirs may be met on the way from one that counts to the next.
        order = jnp.argsort(jnp.where(w > 0, x, jnp.inf))
        ordered, share = x[order], w[order]
        middles = jnp.cumsum(share) - 0.5 * share
        last = jnp.maximum(jnp.sum(w > 0) - 1, 0)
        counts = jnp.arange(x.shape[0]) <= last
        ordered = jnp.where(counts, ordered, ordered[last])
        middles = jnp.where(counts, middles, 2.0)
        return jnp.interp(levels, middles, ordered)

    per_channel = jax.vmap(of_channel, in_axes=(1, None), out_axes=1)
    return jax.vmap(per_channel)(values.astype(jnp.float32), weights)
