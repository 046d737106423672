"""How far pictures are from a style and from a content, judged by feature maps.

Distances are relative to the size of what they are compared with, so that a layer with
large numbers does not drown the others and 0.3 reads "30 % off" in every layer. The
functions of pictures take a `feature_fn` (pictures to maps by layer); those of
features take its maps, so that several metrics can share them.
"""

from collections.abc import Callable, Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float

from stylejax.checks import check_choice, check_image
from stylejax.losses.style import gram_matrix, moments
from stylejax.losses.weighting import FeatureMap
from stylejax.metrics.perceptual import (
    FeatureFn,
    LayerWeights,
    check_layers,
    check_pictures,
    over_layers,
    resolved_weights,
)
from stylejax.typing import Features, Image, PerExample


def _moments(features: FeatureMap) -> Float[Array, "b m"]:
    return jnp.concatenate(moments(features), axis=1)


STATISTICS: dict[str, Callable[[FeatureMap], Array]] = {
    "gram": gram_matrix,
    "moments": _moments,
}
"""What a style is, by name: Gram matrices, or means and deviations of the channels."""


def style_statistics(
    features: Features, *, statistic: str = "gram"
) -> dict[str, Array]:
    """What is compared of a style, by layer.

    Args:
      features: maps (b, h, w, c) by layer.
      statistic: a key of `STATISTICS`.

    Returns:
      Arrays (b, …), float32. Means of them over b are the style of a set of pictures.

    Raises:
      ValueError: an unknown statistic.
    """
    check_choice(statistic, choices=STATISTICS, name="statistic")
    return {name: STATISTICS[statistic](x) for name, x in features.items()}


def statistics_distance(
    statistics: Mapping[str, Array],
    target: Mapping[str, Array],
    *,
    layer_weights: LayerWeights | None = None,
) -> PerExample:
    """How far styles are from a target, relative to the target's own size.

        sum_l w_l |S_l - T_l| / |T_l|      (Frobenius norms)

    Args:
      statistics: from `style_statistics`, arrays (b, …) by layer.
      target: likewise, arrays (b, …) or (1, …): one style for all.
      layer_weights: w_l by layer; None weighs all alike, 1 over their number.

    Returns:
      (b,), float32; 0 for one style, 1 for pictures without any feature. Where the
      target is zero a difference counts in its own units. Not reduced over the batch.

    Raises:
      ValueError: the layers differ, or weights that do not fit them.
    """
    check_layers(statistics, target)
    weights = resolved_weights(statistics, layer_weights)
    terms = [w * _relative(statistics[n], target[n]) for n, w in weights.items()]
    return sum(terms[1:], start=terms[0])


def style_distance(
    x: Image,
    style: Image,
    *,
    feature_fn: FeatureFn,
    statistic: str = "gram",
    layer_weights: LayerWeights | None = None,
) -> PerExample:
    """How far the pictures' style is from another's: `statistics_distance` of the two.

    Args:
      x: (b, h, w, 3), values in [0, 1].
      style: (b, h', w', 3) or (1, h', w', 3), of any size.
      feature_fn: pictures to feature maps (b, h, w, c) by layer.
      statistic: "gram" (second moments) or "moments" (means and deviations).
      layer_weights: by layer; None weighs all layers alike, 1 over their number.

    Returns:
      (b,), float32; 0 for one style. Not reduced over the batch.

    Raises:
      ValueError: no batches of pictures, an unknown statistic, weights that do not fit.

    Example:
      >>> x = 0.5 * jnp.ones((1, 4, 4, 3))
      >>> style_distance(x, 2 * x, feature_fn=lambda x: {"pixels": x}).tolist()
      [0.75]

    Reference:
      Gatys et al. 2016 weigh layers of squared differences as they are; the relative
      size is ours.
    """
    check_image(x, name="x")
    check_image(style, name="style")
    if style.shape[0] not in (1, x.shape[0]):
        raise ValueError(
            f"style: expected 1 or {x.shape[0]} pictures, got {style.shape[0]}"
        )
    found, target = (
        style_statistics(feature_fn(image), statistic=statistic) for image in (x, style)
    )
    return statistics_distance(found, target, layer_weights=layer_weights)


def content_distance(
    x: Image,
    content: Image,
    *,
    feature_fn: FeatureFn,
    layer_weights: LayerWeights | None = None,
) -> PerExample:
    """How far the pictures' features are from the content's, position by position.

        sum_l w_l |F_l - C_l| / |C_l|

    Args:
      x: (b, h, w, 3), values in [0, 1].
      content: same shape.
      feature_fn: pictures to feature maps (b, h, w, c) by layer.
      layer_weights: by layer; None weighs all layers alike, 1 over their number.

    Returns:
      (b,), float32; 0 for equal features. Not reduced over the batch.

    Raises:
      ValueError: no batches of RGB pictures of one shape, or weights that do not fit.

    Example:
      >>> x = 0.5 * jnp.ones((1, 4, 4, 3))
      >>> content_distance(x, 2 * x, feature_fn=lambda x: {"pixels": x}).tolist()
      [0.5]
    """
    check_pictures(x, content)
    return maps_distance(
        feature_fn(x), feature_fn(content), layer_weights=layer_weights
    )


def maps_distance(
    features: Features,
    target: Features,
    *,
    layer_weights: LayerWeights | None = None,
) -> PerExample:
    """The `content_distance` of pictures whose feature maps are known.

    Args:
      features: maps (b, h, w, c) by layer.
      target: maps of the same layers and shapes.
      layer_weights: as in `content_distance`.

    Returns:
      (b,), float32. Not reduced over the batch.

    Raises:
      ValueError: the layers or their shapes differ, or weights do not fit them.
    """
    return over_layers(_relative, features, target, layer_weights=layer_weights)


def _relative(x: Array, target: Array) -> PerExample:
    """|x - target| / |target| of each example, over all axes but the first."""
    x, target = x.astype(jnp.float32), target.astype(jnp.float32)
    axes = tuple(range(1, x.ndim))
    squared = jnp.sum(jnp.square(x - target), axis=axes)
    # Two selections, so that the gradient of equal features is 0 and not NaN.
    equal = squared == 0  # not `<= 0`: NaN must stay NaN
    difference = jnp.where(equal, 0, jnp.sqrt(jnp.where(equal, 1, squared)))
    size = jnp.sqrt(jnp.sum(jnp.square(target), axis=axes))
    return difference / jnp.where(size > 0, size, 1.0)
