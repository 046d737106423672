"""Perceptual distance: how far two pictures' normalised feature maps are apart.

The features come from a `feature_fn` (pictures to a dictionary of maps by layer);
whoever calls brings the network. `feature_distance` takes maps that were computed
already, so that several metrics can share them.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from stylejax.checks import check_image, check_same_shape
from stylejax.losses.weighting import positions
from stylejax.typing import Features, Image, PerExample

FeatureFn = Callable[[Image], Features]
LayerWeights = Mapping[str, float]

_EPSILON = 1e-10


def perceptual_distance(
    x: Image,
    y: Image,
    *,
    feature_fn: FeatureFn,
    layer_weights: LayerWeights | None = None,
) -> PerExample:
    """The distance of channel-normalised features, averaged over positions.

        sum_l w_l mean_n | f_ln / |f_ln| - g_ln / |g_ln| |^2

    Each feature vector is scaled to length 1, so no layer outweighs another by the size
    of its numbers; a layer's term is 2 - 2 cos, at most 2 where features are not
    negative.

    Args:
      x: (b, h, w, 3), values in [0, 1].
      y: same shape.
      feature_fn: pictures to feature maps (b, h', w', c) by layer.
      layer_weights: w_l by layer, layers left out count 0; None weighs all layers
        alike, 1 over their number.

    Returns:
      (b,), float32; 0 for equal features. Not reduced over the batch.

    Raises:
      ValueError: no batches of RGB pictures of one shape, or weights that do not fit
        the layers.

    Example:
      >>> x = jnp.zeros((1, 4, 4, 3)).at[..., 0].set(1.0)
      >>> y = jnp.roll(x, 1, axis=3)
      >>> perceptual_distance(x, y, feature_fn=lambda x: {"pixels": x}).tolist()
      [2.0]

    Reference:
      Zhang et al. 2018, https://arxiv.org/abs/1801.03924. This is LPIPS without its
      learned channel weights (their "unweighted" baseline), and a mean over layers
      where they sum: numbers of the two cannot be compared.
    """
    check_pictures(x, y)
    return feature_distance(feature_fn(x), feature_fn(y), layer_weights=layer_weights)


def feature_distance(
    features: Features,
    target: Features,
    *,
    layer_weights: LayerWeights | None = None,
) -> PerExample:
    """The `perceptual_distance` of pictures whose feature maps are known.

    Args:
      features: maps (b, h, w, c) by layer.
      target: maps of the same layers and shapes.
      layer_weights: as in `perceptual_distance`.

    Returns:
      (b,), float32. Not reduced over the batch.

    Raises:
      ValueError: the layers or their shapes differ, or weights do not fit them.
    """

    def of_layer(x: jax.Array, y: jax.Array) -> PerExample:
        units = _unit(positions(x)) - _unit(positions(y))
        return jnp.mean(jnp.sum(jnp.square(units), axis=2), axis=1)

    return over_layers(of_layer, features, target, layer_weights=layer_weights)


def over_layers(
    of_layer: Callable[[jax.Array, jax.Array], PerExample],
    features: Features,
    target: Features,
    *,
    layer_weights: LayerWeights | None = None,
) -> PerExample:
    """The weighted sum of what a function finds in each layer.

    Args:
      of_layer: two maps of one layer to (b,).
      features: maps (b, h, w, c) by layer.
      target: maps of the same layers and shapes.
      layer_weights: by layer, layers left out count 0; None takes the mean.

    Returns:
      (b,), float32. Not reduced over the batch.

    Raises:
      ValueError: the layers or their shapes differ, or weights do not fit them.
    """
    check_layers(features, target)
    for layer in features:
        names = (f"features[{layer!r}]", f"target[{layer!r}]")
        check_same_shape(features[layer], target[layer], names=names)
    weights = resolved_weights(features, layer_weights)
    terms = [w * of_layer(features[n], target[n]) for n, w in weights.items()]
    return sum(terms[1:], start=terms[0])


def resolved_weights(
    layers: Mapping, layer_weights: LayerWeights | None
) -> dict[str, float]:
    """The weight of each layer that counts.

    Args:
      layers: what there is, by layer.
      layer_weights: by layer; None for the same weight for all, 1 in sum.

    Returns:
      Dictionary of weights other than 0, at least one.

    Raises:
      ValueError: a layer that is not there, a negative weight, or nothing to weigh.
    """
    if layer_weights is None:
        layer_weights = dict.fromkeys(layers, 1.0 / max(len(layers), 1))
    unknown = sorted(set(layer_weights) - set(layers))
    if unknown:
        raise ValueError(
            f"layer_weights: there is no layer {unknown[0]!r}; feature_fn gives"
            f" {', '.join(map(str, layers)) or 'none'}"
        )
    if any(not weight >= 0 for weight in layer_weights.values()):
        raise ValueError(
            f"layer_weights: expected none below 0, got {dict(layer_weights)}"
        )
    weights = {name: float(w) for name, w in layer_weights.items() if w}
    if not weights:
        raise ValueError("layer_weights: expected a weight above 0, got none")
    return weights


def check_layers(features: Mapping, target: Mapping) -> None:
    """Returns nothing; refuses two sets of features of different layers.

    Args:
      features: anything by layer.
      target: likewise.

    Raises:
      ValueError: the layers differ.
    """
    if set(features) != set(target):
        raise ValueError(
            f"expected features of one set of layers, got {sorted(features)} and"
            f" {sorted(target)}; use one feature_fn for both"
        )


def check_pictures(x: Image, y: Image) -> None:
    """Returns nothing; refuses what is no pair of batches of RGB pictures of one shape.

    Args:
      x: (b, h, w, 3), values in [0, 1].
      y: same shape.

    Raises:
      ValueError: they are not.
      TypeError: they hold no floats.
    """
    check_image(x, name="x")
    check_image(y, name="y")
    check_same_shape(x, y)


def _unit(x: jax.Array) -> jax.Array:
    return x / (jnp.linalg.norm(x, axis=-1, keepdims=True) + _EPSILON)
