"""Enlarging feature maps: nearest neighbour and the convolution after it, in one.

A plain convolution after nearest-neighbour enlargement leaves no checkerboard (Odena et
al. 2016, https://distill.pub/2016/deconv-checkerboard).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from stylejax.nn.conv import add_bias, conv2d, kernel_init, pad

# What the three taps of a kernel row meet at an even and at an odd position of the
# enlarged map: which of two neighbouring positions of the small one.
_PHASES = np.array([[[1, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]], np.float32)


def nearest_conv2d(
    x: jax.Array, kernel: jax.Array, *, padding_mode: str = "reflect"
) -> jax.Array:
    """Returns the 3x3 convolution of `x` with every position repeated, twice as large.

    It multiplies less than half as often as enlarging first and then convolving. Two or
    four of the nine taps meet copies of one position, so each of the four positions of
    the enlarged map that come from one of `x` is a 2x2 convolution of `x` with sums of
    taps: 4 multiplications where the plain way does 9.

    Args:
      x: activations `b h w c`.
      kernel: weights `3 3 c o`.
      padding_mode: zero, reflect or replicate, of the enlarged map.

    Returns:
      Array `b 2h 2w o`; it differs from the plain way by rounding.

    Raises:
      ValueError: the kernel is not 3x3, or an unknown mode.

    Example:
      >>> nearest_conv2d(jnp.ones((1, 2, 3, 4)), jnp.ones((3, 3, 4, 5))).shape
      (1, 4, 6, 5)
    """
    if kernel.shape[:2] != (3, 3):
        raise ValueError(f"kernel: expected sides (3, 3), got {kernel.shape[:2]}")
    b, h, w, _ = x.shape
    # The enlarged map's first two rows are one: reflecting it repeats the edge of `x`.
    mode = "replicate" if padding_mode == "reflect" else padding_mode
    padded = pad(x, 1, mode=mode)
    taps = jnp.einsum("pyt,qxs,tsio->pqyxio", _PHASES, _PHASES, kernel)
    taps = taps.astype(kernel.dtype)
    phases = [
        [conv2d(padded[:, p : p + h + 1, q : q + w + 1], taps[p, q]) for q in (0, 1)]
        for p in (0, 1)
    ]
    woven = jnp.stack([jnp.stack(row, axis=3) for row in phases], axis=2)
    return woven.reshape(b, 2 * h, 2 * w, kernel.shape[-1])


class NearestConv(nn.Module):
    """Nearest-neighbour enlargement to twice the sides, then a 3x3 convolution.

    Attributes:
      features: number of output channels.
      padding_mode: zero, reflect or replicate, of the enlarged map.
      use_bias: add one number per output channel.
      dtype: dtype of the computation.
      kernel_init: initialiser of the kernel.
    """

    features: int
    padding_mode: str = "reflect"
    use_bias: bool = True
    dtype: Any = jnp.float32
    kernel_init: Callable[..., jax.Array] = kernel_init

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (3, 3, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
        y = nearest_conv2d(x, kernel, padding_mode=self.padding_mode)
        return add_bias(self, y)
