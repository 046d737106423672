"""An encoder to a short content vector, and a decoder that renders it in a style.

    z = ContentEncoder(picture)          what is shown, `b d`
    s = StyleEncoder(picture)            how it is shown, `b e`
    picture = LatentDecoder(z, s)

The content encoder normalises every map, which takes away what a style changes most,
and keeps where things are; the style encoder does the opposite. The decoder grows the
content vector to a picture and lets the style choose gains and shifts of its norms. It
adds a learnt map at every size, always the same: a texture that stands still need not
be grown from the vector.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from stylejax.nn.conv import Conv, he_init
from stylejax.nn.norm import instance_norm
from stylejax.nn.upsample import NearestConv

GRID = 4
"""Positions to a side between the vector and the first convolution."""


def widths(width: int, num_downs: int) -> list[int]:
    """Channels after each halving.

    Args:
      width: after the first one.
      num_downs: how many there are.

    Returns:
      Doubling to four times the first at most.

    Example:
      >>> widths(8, 4)
      [8, 16, 32, 32]
    """
    return [width * min(2**i, 4) for i in range(num_downs)]


class ContentEncoder(nn.Module):
    """Square pictures `b s s 3` in [0, 1], s = 4 * 2**num_downs, to vectors `b d`.

    Attributes:
      latent_size: d.
      width: channels after the first halving.
      num_downs: halvings.
      dtype: dtype of the convolutions.
    """

    latent_size: int
    width: int = 32
    num_downs: int = 4
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = 2.0 * x - 1.0
        for i, features in enumerate(widths(self.width, self.num_downs)):
            conv = Conv(
                features,
                4,
                2,
                1,
                dtype=self.dtype,
                kernel_init=he_init,
                name=f"down{i}",
            )
            y = nn.leaky_relu(instance_norm(conv(y)), 0.2)
        flat = y.astype(jnp.float32).reshape(y.shape[0], -1)
        y = nn.relu(nn.Dense(4 * self.width, name="hidden")(flat))
        return nn.Dense(self.latent_size, name="vector")(y)


class StyleEncoder(nn.Module):
    """Square pictures `b s s 3` in [0, 1] to style vectors `b e`, wherever things are.

    Attributes:
      style_size: e.
      width: channels after the first halving.
      num_downs: halvings.
      dtype: dtype of the convolutions.
    """

    style_size: int
    width: int = 32
    num_downs: int = 3
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = 2.0 * x - 1.0
        for i, features in enumerate(widths(self.width, self.num_downs)):
            conv = Conv(
                features,
                4,
                2,
                1,
                dtype=self.dtype,
                kernel_init=he_init,
                name=f"down{i}",
            )
            y = nn.leaky_relu(conv(y), 0.2)
        return nn.Dense(self.style_size, name="vector")(
            jnp.mean(y.astype(jnp.float32), axis=(1, 2))
        )


class LatentDecoder(nn.Module):
    """Content vectors `b d` and style vectors `b e` to pictures `b s s 3` in [0, 1].

    Attributes:
      width: channels before the last enlargement, as in the encoder.
      num_ups: enlargements, as many as the encoder has halvings.
      dtype: dtype of the convolutions.
    """

    width: int = 32
    num_ups: int = 4
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, content: jax.Array, style: jax.Array) -> jax.Array:
        channels = widths(self.width, self.num_ups)[::-1]
        y = nn.relu(nn.Dense(4 * self.width, name="hidden")(content))
        y = nn.Dense(GRID * GRID * channels[0], name="grid")(y)
        y = y.reshape(-1, GRID, GRID, channels[0]).astype(self.dtype)
        for i, features in enumerate(channels):
            enlarge = NearestConv(
                features, dtype=self.dtype, kernel_init=he_init, name=f"up{i}"
            )
            y = enlarge(y)
            place = self.param(
                f"place{i}", nn.initializers.normal(0.1), (1, *y.shape[1:])
            )
            y = nn.relu(self._styled(y + place.astype(y.dtype), style, f"style{i}"))
        shared = {"dtype": self.dtype, "name": "head"}
        y = Conv(3, 3, padding=1, padding_mode="reflect", **shared)(y)
        return nn.sigmoid(y.astype(jnp.float32))

    def _styled(self, y: jax.Array, style: jax.Array, name: str) -> jax.Array:
        chosen = nn.Dense(2 * y.shape[-1], name=name)(style)[:, None, None]
        gain, shift = jnp.split(chosen, 2, axis=-1)
        normalized = instance_norm(y).astype(jnp.float32)
        return ((1.0 + gain) * normalized + shift).astype(y.dtype)


class StyleCritic(nn.Module):
    """Content vectors `b d` to logits of the style they come from, `b k`.

    Attributes:
      num_styles: k.
      width: of its two hidden layers.
    """

    num_styles: int
    width: int = 64

    @nn.compact
    def __call__(self, content: jax.Array) -> jax.Array:
        y = content
        for i in range(2):
            y = nn.leaky_relu(nn.Dense(self.width, name=f"hidden{i}")(y), 0.2)
        return nn.Dense(self.num_styles, name="logits")(y)
