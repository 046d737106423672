"""ResNet generator of CycleGAN: `c7s1-64, d128, d256, R256 x9, u128, u64, c7s1-3`.

Instance norm and ReLU follow every convolution but the last; residual blocks pad by
reflection, strided and transposed convolutions by zeros, as the reference code does.

Reference: Zhu et al. 2017, https://arxiv.org/abs/1703.10593. We differ in two
options: `upsample="resize"` enlarges by nearest neighbour and convolves with
reflection, which leaves no checkerboard; `skips` adds what the encoder saw at a
resolution to what the decoder has there (Chaurasia and Culurciello 2017,
https://arxiv.org/abs/1707.03718), through one gate per channel that begins at 0
(Bachlechner et al. 2020, https://arxiv.org/abs/2003.04887), and likewise the picture's
own colours, which the instance norms would else remove, to what the head draws.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from stylejax.checks import check_choice
from stylejax.nn.conv import Conv, ConvTranspose
from stylejax.nn.norm import instance_norm
from stylejax.nn.upsample import NearestConv

UPSAMPLE_KINDS = ("transpose", "resize")
# Adam moves a parameter by its learning rate a step whatever its gradient: at 2e-4 a
# gate would need 5,000 steps to open, so what it stands for is larger.
GATE_SCALE = 10.0


def is_skip(name: str) -> bool:
    """Returns whether a submodule or parameter is there for `skips` alone.

    Args:
      name: first part of the parameter's path in a `ResNetGenerator`.

    Returns:
      True for the gates.

    Example:
      >>> is_skip("gate_0"), is_skip("up_0")
      (True, False)
    """
    return name.startswith("gate_")


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
      skips: add the encoder's maps to the decoder's and `x` to the head's, each channel
        through a gate that begins closed: fine detail and colours survive.
    """

    ngf: int = 64
    num_blocks: int = 9
    num_downs: int = 2
    upsample: str = "transpose"
    padding_mode: str = "reflect"
    dtype: Any = jnp.float32
    remat: bool = False
    skips: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        wide = {"padding": 3, "padding_mode": self.padding_mode, "dtype": self.dtype}
        block = nn.remat(ResidualBlock) if self.remat else ResidualBlock

        y = nn.relu(instance_norm(Conv(self.ngf, 7, **wide, name="stem")(x)))
        seen = []
        for i in range(self.num_downs):
            seen.append(y)
            features = self.ngf * 2 ** (i + 1)
            down = Conv(features, 3, 2, 1, dtype=self.dtype, name=f"down_{i}")
            y = nn.relu(instance_norm(down(y)))

        for i in range(self.num_blocks):
            features = self.ngf * 2**self.num_downs
            y = block(features, self.padding_mode, self.dtype, name=f"block_{i}")(y)

        for i in range(self.num_downs):
            features = self.ngf * 2 ** (self.num_downs - 1 - i)
            y = nn.relu(instance_norm(self._enlarge(y, features, f"up_{i}")))
            y = self._gated(y, seen.pop(), f"gate_{i}") if self.skips else y
        y = Conv(x.shape[-1], 7, **wide, name="head")(y)
        y = self._gated(y, x, "gate_head") if self.skips else y
        return jnp.tanh(y.astype(jnp.float32))

    def _gated(self, y: jax.Array, seen: jax.Array, name: str) -> jax.Array:
        gate = self.param(name, nn.initializers.zeros, (y.shape[-1],), jnp.float32)
        gain = (GATE_SCALE * gate)[None, None, None].astype(y.dtype)
        return y + gain * seen.astype(y.dtype)

    def _enlarge(self, x: jax.Array, features: int, name: str) -> jax.Array:
        check_choice(self.upsample, choices=UPSAMPLE_KINDS, name="upsample")
        if self.upsample == "transpose":
            return ConvTranspose(features, dtype=self.dtype, name=name)(x)
        return NearestConv(features, self.padding_mode, dtype=self.dtype, name=name)(x)
