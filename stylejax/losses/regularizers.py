"""Regularizers: total variation of images, gradients of discriminators."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from stylejax.checks import check_choice
from stylejax.losses.gradients import absolute, input_gradient
from stylejax.typing import Image, PerExample

_VARIATIONS = {"absolute": absolute, "squared": jnp.square}


def total_variation(image: Image, *, kind: str = "absolute") -> PerExample:
    """The total variation of each example: mean difference of neighbouring pixels.

    `mean g(x[i+1, j] - x[i, j]) + mean g(x[i, j+1] - x[i, j])`, with g the absolute
    value or the square. Means make the weight independent of the image's size.

    Args:
      image: (b, h, w, c), any range.
      kind: "absolute" or "squared".

    Returns:
      (b,), float32. Not reduced over the batch. A side of one pixel adds nothing.

    Raises:
      ValueError: for an unknown kind.

    Example:
      >>> step = jnp.zeros((1, 2, 2, 1)).at[:, 1].set(3.0)
      >>> total_variation(step).tolist(), total_variation(step, kind="squared").tolist()
      ([3.0], [9.0])

    Reference:
      Rudin et al. 1992, anisotropic. The neural-style codes take the sum: multiply by
      (h - 1) w c (square images) for theirs.
    """
    check_choice(kind, choices=tuple(_VARIATIONS), name="kind")
    x = image.astype(jnp.float32)
    penalize = _VARIATIONS[kind]
    vertical = _mean(penalize(x[:, 1:] - x[:, :-1]))
    horizontal = _mean(penalize(x[:, :, 1:] - x[:, :, :-1]))
    return vertical + horizontal


def range_excess(image: Image, *, low: float = 0.0, high: float = 1.0) -> PerExample:
    """How far values lie outside a range, squared: `mean max(0, low - x, x - high)^2`.

    Args:
      image: (b, h, w, c).
      low: lower end.
      high: upper end.

    Returns:
      (b,), float32. Not reduced over the batch.

    Example:
      >>> range_excess(jnp.float32([-1.0, 0.5, 1.0, 3.0]).reshape(1, 1, 4, 1)).tolist()
      [1.25]
    """
    x = image.astype(jnp.float32)
    return jnp.mean(jnp.square(x - jnp.clip(x, low, high)), axis=(1, 2, 3))


def r1(
    logits_fn: Callable[[Array], Float[Array, "b ..."]],
    real: Float[Array, "b h w c"],
) -> PerExample:
    """The R1 penalty of each example: `1/2 ||grad f(x)||^2` at the real images.

    f(x) is the mean of the example's logits. It can be differentiated again.

    Args:
      logits_fn: images (b h w c) to logits (b, ...); an example's logits may depend on
        that example alone.
      real: (b, h, w, c), in whatever range `logits_fn` takes.

    Returns:
      (b,), float32. The weight is the caller's.

    Example:
      >>> r1(lambda x: 2 * x[:, 0, 0, 0], jnp.ones((2, 4, 4, 3))).tolist()
      [2.0, 2.0]

    Reference:
      Mescheder et al. 2018. For patch logits some codes take the sum over patches
      where we take the mean; with one logit per example both agree.
    """
    gradient = input_gradient(logits_fn, real)
    return 0.5 * jnp.sum(jnp.square(gradient), axis=(1, 2, 3))


def _mean(differences: Float[Array, "b h w c"]) -> PerExample:
    count = max(1, differences[0].size)
    return jnp.sum(differences, axis=(1, 2, 3)) / count
