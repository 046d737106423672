"""ResNet generator of CycleGAN: `c7s1-64, d128, d256, R256 x9, u128, u64, c7s1-3`.

Instance norm and ReLU follow every convolution but the last; residual blocks pad by
reflection, strided and transposed convolutions by zeros, as the reference code does.

Reference: Zhu et al. 2017, https://arxiv.org/abs/1703.10593. We differ in one
option: `upsample="resize"` enlarges by nearest neighbour and convolves with
reflection, which leaves no checkerboard.
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
    """

    ngf: int = 64
    num_blocks: int = 9
    num_downs: int = 2
    upsample: str = "transpose"
    padding_mode: str = "reflect"
    dtype: Any = jnp.float32
    remat: bool = False

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
        y = Conv(x.shape[-1], 7, **wide, name="head")(y)
        return jnp.tanh(y.astype(jnp.float32))

    def _enlarge(self, x: jax.Array, features: int, name: str) -> jax.Array:
        check_choice(self.upsample, choices=UPSAMPLE_KINDS, name="upsample")
        if self.upsample == "transpose":
            return ConvTranspose(features, dtype=self.dtype, name=name)(x)
        options = {"padding": 1, "padding_mode": self.padding_mode, "dtype": self.dtype}
        return Conv(features, 3, **options, name=name)(nearest(x))
