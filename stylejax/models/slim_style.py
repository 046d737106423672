"""A small encoder and decoder: any style on a laptop, with little arithmetic.

The encoder halves the picture at once and has maps at 1/2, 1/4 and 1/8 of its sides,
named after the VGG's of the same depth. The decoder mirrors it and takes the fused maps
of every depth, so that fine detail need not pass through the coarsest.

    features = encoder(images)                 # relu1_1 ... relu4_1
    images = decoder(fused features)
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from stylejax.nn.conv import Conv, he_init
from stylejax.nn.upsample import NearestConv
from stylejax.typing import Features

TAPS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
"""The encoder's maps, named after the VGG's that they stand for."""

STRIDES = {"relu1_1": 2, "relu2_1": 2, "relu3_1": 4, "relu4_1": 8}
"""Pixels between two positions of each map."""

FUSED = TAPS[1:]
"""The maps that the decoder takes."""

MULTIPLE = 8
"""Sides that are multiples of this one come back as they were."""


class SlimEncoder(nn.Module):
    """Pictures `b h w 3` in [0, 1] to maps by tap, see `STRIDES`.

    Attributes:
      width: channels of relu2_1; twice as many of relu3_1, four times of relu4_1.
      dtype: dtype of the computation.
    """

    width: int = 32
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> Features:
        maps, x = {}, x - 0.5
        layers = (
            ("conv1_1", "relu1_1", 1, 2),
            ("conv2_1", "relu2_1", 1, 1),
            ("down3", "", 2, 2),
            ("conv3_1", "relu3_1", 2, 1),
            ("down4", "", 4, 2),
            ("conv4_1", "relu4_1", 4, 1),
        )
        for name, tap, multiple, stride in layers:
            conv = Conv(
                multiple * self.width,
                3,
                stride,
                1,
                padding_mode="reflect",
                dtype=self.dtype,
                kernel_init=he_init,
                name=name,
            )
            x = nn.relu(conv(x))
            if tap:
                maps[tap] = x
        return maps


class SlimDecoder(nn.Module):
    """Fused maps by tap (`FUSED`) to pictures `b 8h 8w 3`, unbounded.

    Attributes:
      width: as in the encoder.
      num_blocks: residual blocks at 1/8.
      dtype: dtype of the computation.
    """

    width: int = 32
    num_blocks: int = 2
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, features: Features) -> jax.Array:
        x = features["relu4_1"].astype(self.dtype)
        for i in range(self.num_blocks):
            x = self._block(x, f"block4_{i}")
        x = self._enlarged(x, features["relu3_1"], 2 * self.width, "up3", "skip3")
        x = self._block(x, "block3")
        x = self._enlarged(x, features["relu2_1"], self.width, "up2", "skip2")
        x = nn.relu(self._conv(self.width, "conv2")(x))
        return 0.5 + self._near(3, "head")(x).astype(jnp.float32)

    def _enlarged(
        self, x: jax.Array, seen: jax.Array, features: int, name: str, skip: str
    ) -> jax.Array:
        """The map at twice the sides, and what the encoder saw there."""
        lateral = Conv(features, 1, dtype=self.dtype, kernel_init=he_init, name=skip)
        return nn.relu(self._near(features, name)(x) + lateral(seen))

    def _block(self, x: jax.Array, name: str) -> jax.Array:
        y = nn.relu(self._conv(x.shape[-1], f"{name}_a")(x))
        return x + self._conv(x.shape[-1], f"{name}_b")(y)

    def _conv(self, features: int, name: str) -> Conv:
        padding = {"padding": 1, "padding_mode": "reflect"}
        shared = {"dtype": self.dtype, "kernel_init": he_init, "name": name}
        return Conv(features, 3, **padding, **shared)

    def _near(self, features: int, name: str) -> NearestConv:
        return NearestConv(features, dtype=self.dtype, kernel_init=he_init, name=name)
