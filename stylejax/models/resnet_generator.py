"""ResNet generator of CycleGAN: `c7s1-64, d128, d256, R256 x9, u128, u64, c7s1-3`.

Instance norm and ReLU follow every convolution but the last; residual blocks pad by
reflection, strided and transposed convolutions by zeros, as the reference code does.

Reference: Zhu et al. 2017, https://arxiv.org/abs/1703.10593. We differ in two
options: `upsample="resize"` enlarges by nearest neighbour and convolves with
reflection, which leaves no checkerboard; `input_skip` lets the network draw changes of
its input instead of the whole picture.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from stylejax.checks import check_choice
from stylejax.nn.conv import Conv, ConvTranspose
from stylejax.nn.norm import instance_norm
from stylejax.nn.upsample import nearest

UPSAMPLE_KINDS = ("transpose", "resize")


class ResidualBlock(nn.Module):
    """`x + norm(conv(relu(norm(conv(x)))))`, no ReLU after the sum."""

    features: int
    padding_mode: str = "reflect"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        options = {"padding": 1, "padding_mode": self.padding_mode, "dtype": self.dtype}
        y = Conv(self.features, 3, **options, name="conv_0")(x)
        y = nn.relu(instance_norm(y))
        y = Conv(self.features, 3, **options, name="conv_1")(y)
        return x + instance_norm(y)


def blend_towards_ends(x: jax.Array, share: jax.Array) -> jax.Array:
    """Returns `x` moved by `share` of its distance to white, or to black if negative.

        x + share (1 - x) where share > 0,  x + share (1 + x) elsewhere

    Unlike `x + share` it never leaves the range, and unlike a sum before tanh it lets
    pure white and black change as easily as grey.

    Args:
      x: pictures in [-1, 1].
      share: numbers in [-1, 1], same shape.

    Returns:
      Pictures in [-1, 1].

    Example:
      >>> blend_towards_ends(jnp.array([0.0, 0.0, 1.0]), jnp.array([0.5, -1.0, 0.5]))
      Array([ 0.5, -1. ,  1. ], dtype=float32)
    """
    distance = jnp.where(share > 0, 1.0 - x, 1.0 + x)
    return x + share * distance


class ResNetGenerator(nn.Module):
    """Pictures `b h w 3` in [-1, 1] to pictures of the same shape and range.

    Attributes:
      ngf: channels after the first convolution.
      num_blocks: residual blocks; the reference uses 9 at 256 px and 6 at 128 px.
      num_downs: halvings before the blocks; sides must divide by 2 to this power.
      upsample: "transpose" (the reference) or "resize" (no checkerboard).
      padding_mode: padding of the 7x7, residual and resize convolutions.
      dtype: dtype of the computation; parameters and norm moments stay float32.
      remat: recompute residual blocks in the backward pass instead of storing them.
      input_skip: the output is the input, moved towards white or black by the share
        the network says (`blend_towards_ends`); it starts close to the identity.
    """

    ngf: int = 64
    num_blocks: int = 9
    num_downs: int = 2
    upsample: str = "transpose"
    padding_mode: str = "reflect"
    dtype: Any = jnp.float32
    remat: bool = False
    input_skip: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        wide = {"padding": 3, "padding_mode": self.padding_mode, "dtype": self.dtype}
        block = nn.remat(ResidualBlock) if self.remat else ResidualBlock

        y = nn.relu(instance_norm(Conv(self.ngf, 7, **wide, name="stem")(x)))
        for i in range(self.num_downs):
            features = self.ngf * 2 ** (i + 1)
            down = Conv(features, 3, 2, 1, dtype=self.dtype, name=f"down_{i}")
            y = nn.relu(instance_norm(down(y)))

        for i in range(self.num_blocks):
            features = self.ngf * 2**self.num_downs
            y = block(features, self.padding_mode, self.dtype, name=f"block_{i}")(y)

        for i in range(self.num_downs):
            features = self.ngf * 2 ** (self.num_downs - 1 - i)
            y = nn.relu(instance_norm(self._enlarge(y, features, f"up_{i}")))
        # A hundredth of the usual variance, so that training starts near "no change".
        scale = 0.002 if self.input_skip else 0.02
        y = Conv(x.shape[-1], 7, **wide, init_scale=scale, name="head")(y)
        y = jnp.tanh(y.astype(jnp.float32))
        return blend_towards_ends(x, y) if self.input_skip else y

    def _enlarge(self, x: jax.Array, features: int, name: str) -> jax.Array:
        check_choice(self.upsample, choices=UPSAMPLE_KINDS, name="upsample")
        if self.upsample == "transpose":
            return ConvTranspose(features, dtype=self.dtype, name=name)(x)
        options = {"padding": 1, "padding_mode": self.padding_mode, "dtype": self.dtype}
        return Conv(features, 3, **options, name=name)(nearest(x))
