"""Feature maps in units of how active their channels are.

The layers of a VGG have mean activations that differ by a factor of twenty and more,
and so do the channels of one layer. Divided by their means all count alike, and the
published weights of feature losses, which are for normalised networks, keep their
meaning.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from stylejax.typing import Features, Image, Params

_LEAST = 0.1


def channel_means(
    feature_fn: Callable[[Image], Features], images: Image
) -> dict[str, jax.Array]:
    """The mean activation of every channel on some pictures, by tap.

    Args:
      feature_fn: pictures to maps by tap.
      images: (b, h, w, 3) in [0, 1]; they are looked at one by one.

    Returns:
      (c,) by tap, at least a tenth of the layer's mean: channels that are never active
      must not drown the others once they are divided by it.
    """
    mapped = jax.jit(lambda x: {t: m.mean((0, 1, 2)) for t, m in feature_fn(x).items()})
    found = [mapped(image[None]) for image in images]
    means = {tap: jnp.mean(jnp.stack([m[tap] for m in found]), 0) for tap in found[0]}
    return {tap: jnp.maximum(x, _LEAST * jnp.mean(x)) for tap, x in means.items()}


def scaled(features: Features, scales: Params) -> Features:
    """Features in units of their channels' scales.

    Args:
      features: maps (b, h, w, c) by tap.
      scales: (c,) by tap, from `channel_means`.

    Returns:
      Maps of the taps of `features`.

    Example:
      >>> maps = {"relu1_1": jnp.full((1, 1, 1, 2), 6.0)}
      >>> scaled(maps, {"relu1_1": jnp.array([2.0, 3.0])})["relu1_1"].ravel().tolist()
      [3.0, 2.0]
    """
    return {tap: x / scales[tap][None, None, None] for tap, x in features.items()}
