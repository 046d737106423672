"""Style losses that keep a picture's own positions: patches and histograms."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from stylejax.losses.weighting import (
    FeatureMap,
    Mask,
    position_weights,
    positions,
    weighted_quantiles,
)
from stylejax.typing import PerExample

_EPSILON = 1e-8


def extract_patches(
    features: FeatureMap, *, size: int = 3, mask: Mask | None = None
) -> Float[Array, "b n d"]:
    """The square patches of a feature map, as vectors, from every position they fit.

    Args:
      features: (b, h, w, c).
      size: side of a patch in positions.
      mask: (b, h, w) or (1, h, w), not negative, any size: patches whose middle it
        leaves out are replaced by the one it weighs most, so that their number stays.

    Returns:
      (b, (h - size + 1) (w - size + 1), size size c), float32.

    Raises:
      ValueError: a side of the map is below `size`.

    Example:
      >>> extract_patches(jnp.ones((1, 5, 4, 2))).shape
      (1, 6, 18)
    """
    b, h, w, _ = features.shape
    if min(h, w) < size:
        raise ValueError(
            f"expected maps of at least {size} x {size} positions, got {h} x {w}; use"
            " larger pictures or taps that lie less deep"
        )
    rows, columns = h - size + 1, w - size + 1
    shifted = [
        features[:, i : i + rows, j : j + columns].astype(jnp.float32)
        for i in range(size)
        for j in range(size)
    ]
    found = jnp.concatenate(shifted, axis=3).reshape(b, rows * columns, -1)
    if mask is None:
        return found
    weights = _middle_weights(features, mask, size)[..., None]
    most = jnp.argmax(weights, axis=1, keepdims=True)
    return jnp.where(weights > 0, found, jnp.take_along_axis(found, most, axis=1))


def patch_distance(
    features: FeatureMap,
    style_patches: Float[Array, "b m d"],
    *,
    mask: Mask | None = None,
    size: int = 3,
    chunk: int = 1024,
) -> PerExample:
    """The mean squared distance of each patch to the style's patch most like it.

    Most like it is the one of highest cosine. The match is not differentiated.

    Args:
      features: (b, h, w, c), the picture that is painted.
      style_patches: (b, m, d) or (1, m, d), from `extract_patches` with this size.
      mask: (b, h, w) or (1, h, w), not negative; the weights of the patches' middles.
      size: side of a patch in positions.
      chunk: patches that are matched at once: memory is chunk times m numbers.

    Returns:
      (b,), float32. Not reduced over the batch.

    Raises:
      ValueError: the maps are smaller than a patch, or the patches' lengths differ.

    Reference:
      Li and Wand 2016, https://arxiv.org/abs/1601.04589, equations 2 and 3, with means
      for sums.
    """
    patches = extract_patches(features, size=size)
    if patches.shape[2] != style_patches.shape[2]:
        raise ValueError(
            f"style_patches: expected vectors of {patches.shape[2]} numbers, got"
            f" {style_patches.shape[2]}; extract them with size={size}"
        )
    style_patches = jnp.broadcast_to(
        style_patches, (patches.shape[0], *style_patches.shape[1:])
    )
    nearest = jax.vmap(lambda x, y: _nearest(x, y, chunk))(patches, style_patches)
    squares = jnp.mean(jnp.square(patches - nearest), axis=2)
    return jnp.sum(_middle_weights(features, mask, size) * squares, axis=1)


def _nearest(
    patches: Float[Array, "n d"], style: Float[Array, "m d"], chunk: int
) -> Float[Array, "n d"]:
    """The rows of `style` that have the highest cosine with each row of `patches`."""
    lengths = jnp.linalg.norm(style, axis=1, keepdims=True)
    directions = style / jnp.maximum(lengths, _EPSILON)
    count = patches.shape[0]
    chunk = min(chunk, count)
    padded = jnp.pad(patches, ((0, -count % chunk), (0, 0)))
    blocks = padded.reshape(-1, chunk, patches.shape[1])
    best = jax.lax.map(lambda x: jnp.argmax(x @ directions.T, axis=1), blocks)
    return jax.lax.stop_gradient(style[best.reshape(-1)[:count]])


def _middle_weights(
    features: FeatureMap, mask: Mask | None, size: int
) -> Float[Array, "b n"]:
    b, h, w, c = features.shape
    start = (size - 1) // 2
    rows, columns = h - size + 1, w - size + 1
    weights = position_weights(features, mask).reshape(b, h, w)
    inner = weights[:, start : start + rows, start : start + columns]
    return position_weights(features[:, :rows, :columns], inner)


def histogram_distance(
    features: FeatureMap,
    style_quantiles: Float[Array, "b q c"],
    *,
    mask: Mask | None = None,
) -> PerExample:
    """The mean squared change that would give each channel the style's histogram.

    Each number is compared with the one that the same rank has in the style; that
    target is not differentiated.

    Args:
      features: (b, h, w, c).
      style_quantiles: (b, q, c) or (1, q, c), from `channel_quantiles`.
      mask: (b, h, w) or (1, h, w), not negative, any size; None for all positions.

    Returns:
      (b,), float32. Not reduced over the batch.

    Reference:
      Risser et al. 2017, https://arxiv.org/abs/1701.08893, equation 5, with means for
      sums and quantiles for histograms.
    """
    x, weights = positions(features), position_weights(features, mask)
    count = style_quantiles.shape[1]
    target = jnp.broadcast_to(style_quantiles, (x.shape[0], *style_quantiles.shape[1:]))
    own = weighted_quantiles(x, weights, num_quantiles=count)

    remap = jax.vmap(jax.vmap(jnp.interp, in_axes=1, out_axes=1))
    matched = jax.lax.stop_gradient(remap(x, own, target))
    return jnp.sum(weights * jnp.mean(jnp.square(x - matched), axis=2), axis=1)


def channel_quantiles(
    features: FeatureMap, *, mask: Mask | None = None, num_quantiles: int = 256
) -> Float[Array, "b q c"]:
    """The quantiles of each channel of each example.

    Args:
      features: (b, h, w, c).
      mask: (b, h, w) or (1, h, w), not negative, any size; None for all positions.
      num_quantiles: q.

    Returns:
      (b, q, c), float32, ascending along q.
    """
    weights = position_weights(features, mask)
    return weighted_quantiles(positions(features), weights, num_quantiles=num_quantiles)
