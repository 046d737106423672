"""One feed-forward network, many styles: instance norms whose gains a style chooses.

Every convolution is followed by an instance norm with a row of gains and shifts for
each style; everything else is shared. A picture may be painted with a mixture of rows.

Reference: Dumoulin et al. 2017, https://arxiv.org/abs/1610.07629, and the layers of its
TensorFlow code: reflection padding, nearest-neighbour enlargement, a sigmoid last.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from stylejax.nn.conv import Conv
from stylejax.nn.norm import ConditionalInstanceNorm
from stylejax.nn.upsample import NearestConv

KERNEL_STD = 0.01
_init = nn.initializers.normal(KERNEL_STD)

MULTIPLE = 4
"""Sides that are multiples of this one come back as they were."""


class MultiStyleGenerator(nn.Module):
    """Pictures `b h w 3` in [0, 1] and weights `b k` of styles to pictures in [0, 1].

    Attributes:
      num_styles: k.
      width: channels after the first convolution; 32 in the reference.
      num_blocks: residual blocks at a quarter of the sides.
      dtype: dtype of the computation.
    """

    num_styles: int
    width: int = 32
    num_blocks: int = 5
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, weights: jax.Array) -> jax.Array:
        y = x.astype(self.dtype)
        y = nn.relu(self._layer(y, weights, self.width, 9, "conv1"))
        y = nn.relu(self._layer(y, weights, 2 * self.width, 3, "conv2", stride=2))
        y = nn.relu(self._layer(y, weights, 4 * self.width, 3, "conv3", stride=2))
        for i in range(self.num_blocks):
            z = self._layer(y, weights, 4 * self.width, 3, f"block{i}_a")
            z = self._layer(nn.relu(z), weights, 4 * self.width, 3, f"block{i}_b")
            y = y + z
        for name, features in (("up1", 2 * self.width), ("up2", self.width)):
            enlarge = NearestConv(
                features, use_bias=False, dtype=self.dtype, kernel_init=_init, name=name
            )
            y = nn.relu(self._norm(f"{name}_norm")(enlarge(y), weights))
        y = self._layer(y, weights, 3, 9, "head")
        return nn.sigmoid(y.astype(jnp.float32))

    def _layer(
        self,
        x: jax.Array,
        weights: jax.Array,
        features: int,
        size: int,
        name: str,
        *,
        stride: int = 1,
    ) -> jax.Array:
        conv = Conv(
            features,
            size,
            stride,
            size // 2,
            padding_mode="reflect",
            use_bias=False,
            dtype=self.dtype,
            kernel_init=_init,
            name=name,
        )
        return self._norm(f"{name}_norm")(conv(x), weights)

    def _norm(self, name: str) -> ConditionalInstanceNorm:
        return ConditionalInstanceNorm(self.num_styles, name=name)
