"""L1 losses of unpaired translation: the cycle, the identity, the price of a change.

All take images of one range and return the mean absolute difference per example. They
are one formula under three names, so that a training step reads like its paper.
"""

import jax.numpy as jnp

from stylejax.checks import check_same_shape
from stylejax.losses.gradients import absolute
from stylejax.typing import Image, PerExample


def cycle_loss(real: Image, cycled: Image) -> PerExample:
    """The cycle-consistency loss of each example: `mean |cycled - real|`.

    Args:
      real: (b, h, w, c), any range.
      cycled: same shape: `real` translated there and back.

    Returns:
      (b,), float32, in the unit of the images: twice as large for [-1, 1] as for
      [0, 1]. Not reduced over the batch.

    Raises:
      ValueError: if the two shapes differ.

    Example:
      >>> cycle_loss(jnp.zeros((2, 4, 4, 3)), jnp.ones((2, 4, 4, 3))).tolist()
      [1.0, 1.0]

    Reference:
      Zhu et al. 2017, equation 2. The reference code works on [-1, 1].
    """
    check_same_shape(real, cycled, names=("real", "cycled"))
    return _mean_absolute_difference(real, cycled)


def identity_loss(real: Image, same: Image) -> PerExample:
    """The identity loss of each example: `mean |same - real|`.

    Args:
      real: (b, h, w, c), any range.
      same: same shape: the output of the generator *into* the domain of `real`.

    Returns:
      (b,), float32, in the unit of the images. Not reduced over the batch.

    Raises:
      ValueError: if the two shapes differ.

    Example:
      >>> identity_loss(jnp.zeros((1, 4, 4, 3)), jnp.ones((1, 4, 4, 3))).tolist()
      [1.0]

    Reference:
      Taigman et al. 2016; section 5.2 of Zhu et al. 2017, where its weight is half
      that of the cycle.
    """
    check_same_shape(real, same, names=("real", "same"))
    return _mean_absolute_difference(real, same)


def preserve_loss(real: Image, fake: Image) -> PerExample:
    """The price of each example's change: `mean |fake - real|`.

    Where the two domains nearly agree pixel by pixel, it keeps a generator from
    changing what the discriminator does not ask it to change.

    Args:
      real: (b, h, w, c), any range.
      fake: same shape: `real` translated into the other domain.

    Returns:
      (b,), float32, in the unit of the images. Not reduced over the batch.

    Raises:
      ValueError: if the two shapes differ.

    Example:
      >>> preserve_loss(jnp.zeros((1, 4, 4, 3)), jnp.ones((1, 4, 4, 3))).tolist()
      [1.0]

    Reference:
      Shrivastava et al. 2017, https://arxiv.org/abs/1612.07828, the self-regularization
      term with the identity as feature transform. We take the mean where they sum.
    """
    check_same_shape(real, fake, names=("real", "fake"))
    return _mean_absolute_difference(real, fake)


def _mean_absolute_difference(x: Image, y: Image) -> PerExample:
    difference = x.astype(jnp.float32) - y.astype(jnp.float32)
    return jnp.mean(absolute(difference), axis=(1, 2, 3))
