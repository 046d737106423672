"""Structure of pictures: which places look alike, whatever they look like.

Two pictures are compared by the self-correlations of their feature maps, so a new
palette or texture does not count and a moved edge does.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from stylejax.checks import check_positive
from stylejax.losses.weighting import FeatureMap, positions
from stylejax.metrics.perceptual import (
    FeatureFn,
    LayerWeights,
    check_pictures,
    over_layers,
)
from stylejax.typing import Features, Image, PerExample

MAX_POSITIONS = 256
_EPSILON = 1e-12
_CONTRAST = 1e-10  # variance of cosines below which a layout has none


def self_similarity(
    features: FeatureMap, *, max_positions: int = MAX_POSITIONS
) -> Float[Array, "b n n"]:
    """The cosines between the feature vectors of every two positions.

    Maps with more than `max_positions` positions are averaged down first (antialiased,
    proportions kept), so an example never needs more than `max_positions`^2 numbers.

    Args:
      features: (b, h, w, c).
      max_positions: upper bound of n.

    Returns:
      (b, n, n), float32, in [-1, 1]; 1 on the diagonal, 0 where a vector is zero.

    Raises:
      ValueError: `max_positions` is not above 0.

    Example:
      >>> self_similarity(jnp.ones((1, 32, 64, 3)), max_positions=50).shape
      (1, 50, 50)

    Reference:
      Shechtman and Irani 2007; of deep features Kolkin et al. 2019 and Tumanyan et al.
      2022, who take keys of a transformer.
    """
    check_positive(max_positions, name="max_positions")
    b, h, w, c = features.shape
    x = features.astype(jnp.float32)
    if h * w > max_positions:
        scale = math.sqrt(max_positions / (h * w))
        rows = min(max(1, math.floor(h * scale)), max_positions)
        columns = min(max(1, math.floor(w * scale)), max_positions)
        x = jax.image.resize(x, (b, rows, columns, c), "linear", antialias=True)
    vectors = positions(x)
    squares = jnp.sum(jnp.square(vectors), axis=2, keepdims=True)
    # The root has no slope at 0, so a zero vector never enters it.
    is_zero = squares <= _EPSILON**2
    norms = jnp.sqrt(jnp.where(is_zero, 1.0, squares))
    units = jnp.where(is_zero, 0.0, vectors / norms)
    return jnp.clip(jnp.einsum("bnc,bmc->bnm", units, units), -1.0, 1.0)


def structure_distance(
    x: Image,
    y: Image,
    *,
    feature_fn: FeatureFn,
    layer_weights: LayerWeights | None = None,
    max_positions: int = MAX_POSITIONS,
) -> PerExample:
    """How far the layout of two pictures differs: mean |S(x) - S(y)|.

    S is the `self_similarity`: which places look alike, whatever they look like. So it
    is blind to a new palette and sees a moved edge.

    Args:
      x: (b, h, w, 3), values in [0, 1].
      y: same shape.
      feature_fn: pictures to feature maps (b, h, w, c) by layer.
      layer_weights: by layer; None weighs all layers alike, 1 over their number.
      max_positions: bounds the memory, see `self_similarity`.

    Returns:
      (b,), float32 in [0, 2], in units of a cosine. Not reduced over the batch.

    Raises:
      ValueError: no batches of RGB pictures of one shape, or weights that do not fit.
    """
    check_pictures(x, y)
    return layout_distance(
        feature_fn(x),
        feature_fn(y),
        layer_weights=layer_weights,
        max_positions=max_positions,
    )


def layout_distance(
    features: Features,
    target: Features,
    *,
    layer_weights: LayerWeights | None = None,
    max_positions: int = MAX_POSITIONS,
) -> PerExample:
    """The `structure_distance` of pictures whose feature maps are known.

    Args:
      features: maps (b, h, w, c) by layer.
      target: maps of the same layers and shapes.
      layer_weights: as in `structure_distance`.
      max_positions: as in `self_similarity`.

    Returns:
      (b,), float32 in [0, 2]. Not reduced over the batch.

    Raises:
      ValueError: the layers or their shapes differ, or weights do not fit them.
    """

    def of_layer(x: FeatureMap, y: FeatureMap) -> PerExample:
        both = (self_similarity(z, max_positions=max_positions) for z in (x, y))
        first, second = both
        return jnp.mean(jnp.abs(first - second), axis=(1, 2))

    return over_layers(of_layer, features, target, layer_weights=layer_weights)


def structure_similarity(
    x: Image,
    y: Image,
    *,
    feature_fn: FeatureFn,
    layer_weights: LayerWeights | None = None,
    max_positions: int = MAX_POSITIONS,
) -> PerExample:
    """How well the layouts of two pictures agree: the correlation of S(x) and S(y).

    Pearson's correlation over all pairs of different positions. Against
    `structure_distance` it does not mind that all cosines of one picture are nearer to
    1 than the other's.

    Args:
      x: (b, h, w, 3), values in [0, 1].
      y: same shape.
      feature_fn: pictures to feature maps (b, h, w, c) by layer, with more than two
        positions.
      layer_weights: by layer; None weighs all layers alike, 1 over their number.
      max_positions: bounds the memory, see `self_similarity`.

    Returns:
      (b,), float32 in [-1, 1]: 1 for equal layouts. A layout without any contrast
      correlates with nothing: 0. Not reduced over the batch.

    Raises:
      ValueError: no batches of RGB pictures of one shape, or weights that do not fit.
    """
    check_pictures(x, y)
    return layout_similarity(
        feature_fn(x),
        feature_fn(y),
        layer_weights=layer_weights,
        max_positions=max_positions,
    )


def layout_similarity(
    features: Features,
    target: Features,
    *,
    layer_weights: LayerWeights | None = None,
    max_positions: int = MAX_POSITIONS,
) -> PerExample:
    """The `structure_similarity` of pictures whose feature maps are known.

    Args:
      features: maps (b, h, w, c) by layer.
      target: maps of the same layers and shapes.
      layer_weights: as in `structure_similarity`.
      max_positions: as in `self_similarity`.

    Returns:
      (b,), float32 in [-1, 1]. Not reduced over the batch.

    Raises:
      ValueError: the layers or their shapes differ, or weights do not fit them.
    """

    def of_layer(x: FeatureMap, y: FeatureMap) -> PerExample:
        first, second = (
            _pairs(self_similarity(z, max_positions=max_positions)) for z in (x, y)
        )
        product = jnp.sum(first * second, axis=(1, 2))
        sizes = (jnp.sum(jnp.square(z), axis=(1, 2)) for z in (first, second))
        squares = math.prod(sizes, start=jnp.ones(()))
        # What is left of a layout without contrast is rounding, which correlates; and
        # the root has no slope at 0.
        least = _CONTRAST * first.shape[1] * first.shape[2]
        has_contrast = squares > least**2
        correlation = product / jnp.sqrt(jnp.where(has_contrast, squares, 1.0))
        return jnp.where(has_contrast, jnp.clip(correlation, -1.0, 1.0), 0.0)

    return over_layers(of_layer, features, target, layer_weights=layer_weights)


def _pairs(similarity: Float[Array, "b n n"]) -> Float[Array, "b n n"]:
    """The similarities of different positions, their mean taken off, 0 elsewhere."""
    n = similarity.shape[-1]
    others = 1.0 - jnp.eye(n)[None]
    total = jnp.sum(similarity * others, axis=(1, 2), keepdims=True)
    return (similarity - total / max(n * (n - 1), 1)) * others
