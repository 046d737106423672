"""A feature loss as a sum of named terms: by kind, layer, region and style picture.

Each term is one number per example, its weight included, so that the loss is the plain
sum of the terms and its gradient the plain sum of theirs. `explain.loss_accounting`
splits a painted picture along these names.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from stylejax.checks import check_choice
from stylejax.losses import statistics
from stylejax.losses.content import DISTANCES
from stylejax.losses.weighting import Mask
from stylejax.typing import Features, PerExample

CONTENT_STYLE = "content"
"""Name of the "style picture" that is the content itself: what strength mixes in."""


class Term(NamedTuple):
    """The name of one addend of a loss; "" where a part does not apply.

    Attributes:
      kind: content, style, total_variation, range, …
      layer: tap of the feature network.
      style: name of the style picture.
      region: name of the region the term looks at.
    """

    kind: str
    layer: str = ""
    style: str = ""
    region: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in self if part)


Terms = Mapping[Term, PerExample]


class StyleTarget(NamedTuple):
    """What one style picture asks of one region.

    Attributes:
      statistics: by layer, from `style_statistics`.
      weight: () or (b,), its share in the style loss.
      mask: (1, h, w), (b, h, w) or None: the region of the painted picture.
    """

    statistics: Mapping[str, Any]
    weight: Float[Array, ""] | PerExample
    mask: Mask | None = None


def style_statistics(
    features: Features,
    layers: Sequence[str],
    *,
    statistic: str = "gram",
    mask: Mask | None = None,
) -> dict[str, Any]:
    """What the style loss compares a picture with, by layer.

    Args:
      features: maps (b, h, w, c) of the style picture by tap.
      layers: which taps count.
      statistic: a key of `statistics.STATISTICS`.
      mask: (b, h, w) or (1, h, w), the part of the style picture that counts.

    Returns:
      Dictionary from layer to the statistic.

    Raises:
      ValueError: an unknown statistic.
    """
    chosen = statistics.get(statistic)
    return {layer: chosen.target(features[layer], mask) for layer in layers}


def content_terms(
    features: Features,
    target: Features,
    weights: Mapping[str, float],
    *,
    distance: str = "euclidean",
    mask: Mask | None = None,
) -> dict[Term, PerExample]:
    """The content loss, a term for each layer: `weight * distance`.

    Args:
      features: maps (b, h, w, c) of the painted picture by tap.
      target: maps of the content picture, of the same shapes.
      weights: by layer.
      distance: a key of `content.DISTANCES`.
      mask: weighs positions; see `losses.content`.

    Returns:
      Dictionary of (b,) by `Term("content", layer)`.

    Raises:
      ValueError: an unknown distance.
    """
    check_choice(distance, choices=DISTANCES, name="distance")
    measure = DISTANCES[distance]
    return {
        Term("content", layer): weight
        * measure(features[layer], target[layer], mask=mask)
        for layer, weight in weights.items()
    }


def style_terms(
    features: Features,
    targets: Mapping[tuple[str, str], StyleTarget],
    weights: Mapping[str, float],
    *,
    statistic: str = "gram",
) -> dict[Term, PerExample]:
    """The style loss, a term for each layer, style picture and region.

        weight_layer * weight_target * distance

    For squared distances of a linear statistic (Gram matrices) the sum has the gradient
    of one distance to the weighted mean of the targets: mixing styles and adding up
    their terms is the same thing.

    Args:
      features: maps (b, h, w, c) of the painted picture by tap.
      targets: by (style, region).
      weights: by layer.
      statistic: a key of `statistics.STATISTICS`.

    Returns:
      Dictionary of (b,) by `Term("style", layer, style, region)`.
    """
    chosen = statistics.get(statistic)
    terms = {}
    for (style, region), target in targets.items():
        for layer, weight in weights.items():
            value = chosen.distance(
                features[layer], target.statistics[layer], target.mask
            )
            terms[Term("style", layer, style, region)] = weight * target.weight * value
    return terms


def layer_weights(
    whole: float, layers: Sequence[str], *, relative: Sequence[float] = ()
) -> dict[str, float]:
    """Weights of layers that sum to a whole.

    Args:
      whole: the sum.
      layers: names.
      relative: one number of at least 0 per layer; () weighs them alike.

    Returns:
      Numbers by layer.

    Raises:
      ValueError: no layers, or weights that are negative or all zero.

    Example:
      >>> layer_weights(10.0, ["relu1_1", "relu2_1"], relative=[1.0, 4.0])
      {'relu1_1': 2.0, 'relu2_1': 8.0}
    """
    relative = list(relative) or [1.0] * len(layers)
    if not relative or not min(relative) >= 0 or not sum(relative) > 0:
        raise ValueError(
            "expected layers with weights of at least 0, one of them above, got"
            f" {list(layers)} with {relative}"
        )
    scale = whole / sum(relative)
    return {
        layer: scale * weight for layer, weight in zip(layers, relative, strict=True)
    }


def total(terms: Terms) -> PerExample:
    """The loss: the sum of its terms.

    Args:
      terms: (b,) each.

    Returns:
      (b,).

    Example:
      >>> total({Term("content"): jnp.ones(2), Term("style"): jnp.ones(2)}).tolist()
      [2.0, 2.0]
    """
    return sum(terms.values(), start=jnp.zeros(()))
