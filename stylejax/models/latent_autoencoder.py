"""An encoder to a short content vector, and a decoder that renders it in a style.

    z = ContentEncoder(picture)          what is shown, `b d`
    s = StyleEncoder(picture)            how it is shown, `b e`
    picture = LatentDecoder(z, s)

The content encoder normalises every map, which takes away what a style changes most,
and keeps where things are; the style encoder does the opposite. The decoder draws what
is shown on a canvas and places the canvas in the picture: the first three numbers of
the content vector are its shift to the right, downwards, and its zoom (Jaderberg et al.
2015, https://arxiv.org/abs/1506.02025), so where things are and how large is to be
read off them whatever is shown. The style chooses gains and shifts after each
enlargement. The decoder's norm is over the whole of a canvas (Ba et al. 2016,
https://arxiv.org/abs/1607.06450): a norm of each map would hide how much of it an
object fills. A learnt map, always the same, is added at full size: a texture that
stands still need not be drawn.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from stylejax.nn.conv import Conv, he_init
from stylejax.nn.norm import instance_norm, layer_norm
from stylejax.nn.upsample import NearestConv

GRID = 4
"""Positions to a side between the vector and the first convolution."""
PLACE = 3
"""Numbers of a content vector that place the canvas: to the right, downwards, zoom."""
# Of a number of the vector, which is about 1 at the start: a canvas that begins far
# outside of the picture leaves nothing to learn from.
_STEP = 0.3
# Of the critic's logits, by the numbers it is shown: of as many, each moves the logits
# by as much in a step as the optimiser moves its weight.
# With few numbers it would begin too sure of itself.
_GAIN, _MOST_GAIN = 2240.0, 4.0


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


class FeatureEncoder(nn.Module):
    """Feature maps `b h w c`, at least 0, to vectors `b d`.

    Attributes:
      latent_size: d.
      width: four times these are the channels after the halving.
      dtype: dtype of the convolution.
    """

    latent_size: int
    width: int = 32
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, maps: jax.Array) -> jax.Array:
        # Of a VGG's activations few are far larger than all others.
        y = layer_norm(jnp.sqrt(maps + 1.0)).astype(self.dtype)
        shared = {"dtype": self.dtype, "kernel_init": he_init}
        y = nn.leaky_relu(Conv(4 * self.width, 4, 2, 1, name="down", **shared)(y), 0.2)
        flat = y.astype(jnp.float32).reshape(y.shape[0], -1)
        y = nn.leaky_relu(nn.Dense(8 * self.width, name="hidden")(flat), 0.2)
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


def placed(canvas: jax.Array, place: jax.Array) -> jax.Array:
    """Returns pictures with the canvas shifted and zoomed in them.

    The canvas fills the picture at zeros. What of a picture it leaves empty is 0.

    Args:
      canvas: `b s s c`.
      place: (b, 3): the canvas' centre, to the right and downwards of the picture's, in
        halves of its side; and the logarithm of the canvas' side by the picture's.

    Returns:
      `b s s c`, by bilinear interpolation (averages where the canvas is shrunk),
      differentiable by both.

    Example:
      >>> canvas = jnp.arange(4.0).reshape(1, 1, 4, 1).repeat(4, 1)
      >>> placed(canvas, jnp.array([[0.5, 0.0, 0.0]]))[0, 0, :, 0].tolist()
      [0.0, 0.0, 1.0, 2.0]
    """
    side = canvas.shape[1]

    def one(canvas: jax.Array, place: jax.Array) -> jax.Array:
        zoom = jnp.exp(place[2])
        corner = (1.0 + place[1::-1] - zoom) * (side / 2)
        scales = jnp.stack([zoom, zoom])
        return jax.image.scale_and_translate(
            canvas, canvas.shape, (0, 1), scales, corner, "linear"
        )

    return jax.vmap(one)(canvas, place).astype(canvas.dtype)


class LatentDecoder(nn.Module):
    """Content vectors `b d` and style vectors `b e` to pictures `b s s 3` in [0, 1].

    Attributes:
      width: four times this are the channels up to a quarter of the sides; there are
        this many at half, and half of them at the full size.
      num_ups: enlargements, as many as the encoder has halvings.
      dtype: dtype of the convolutions.
    """

    width: int = 32
    num_ups: int = 4
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, content: jax.Array, style: jax.Array) -> jax.Array:
        full = 4 * self.width
        last = [self.width, max(1, self.width // 2)]
        channels = [full] * (self.num_ups - 2) + last[-self.num_ups :]
        shared = {"dtype": self.dtype, "kernel_init": he_init}
        place, shown = content[:, :PLACE], content[:, PLACE:]
        y = nn.Dense(GRID * GRID * full, name="grid")(shown)
        y = y.reshape(-1, GRID, GRID, full).astype(self.dtype)
        for i, features in enumerate(channels):
            y = NearestConv(features, name=f"up{i}", **shared)(y)
            if i < self.num_ups - 1:
                y = nn.relu(self._styled(layer_norm(y), style, f"style{i}"))
            if i < self.num_ups - 2:
                same = {"padding": 1, "padding_mode": "reflect", "name": f"same{i}"}
                y = y + nn.relu(Conv(features, 3, **same, **shared)(y))
        y = placed(y, _STEP * place)
        shape = (1, *y.shape[1:])
        still = self.param("still", nn.initializers.normal(0.1), shape)
        still = still.astype(y.dtype)
        y = self._styled(y, style, "drawn") + self._styled(still, style, "ground")
        head = Conv(
            3, 3, padding=1, padding_mode="reflect", dtype=self.dtype, name="head"
        )
        return nn.sigmoid(head(nn.relu(y)).astype(jnp.float32))

    def _styled(self, y: jax.Array, style: jax.Array, name: str) -> jax.Array:
        chosen = nn.Dense(2 * y.shape[-1], name=name)(style)[:, None, None]
        gain, shift = jnp.split(chosen, 2, axis=-1)
        return ((1.0 + gain) * y.astype(jnp.float32) + shift).astype(y.dtype)


class StyleCritic(nn.Module):
    """Content vectors `b d` to logits of the style they come from, `b k`.

    It is shown the products of any two numbers as well, and reads all of them linearly
    beside its two layers: so it finds soon where a style is left in the numbers' means
    or spreads, and keeps up with an encoder that hides it.

    Attributes:
      num_styles: k.
      width: of its two hidden layers.
    """

    num_styles: int
    width: int = 64

    @nn.compact
    def __call__(self, content: jax.Array) -> jax.Array:
        i, j = np.triu_indices(content.shape[1])
        seen = jnp.concatenate([content, content[:, i] * content[:, j]], axis=1)
        y = seen
        for n in range(2):
            y = nn.leaky_relu(nn.Dense(self.width, name=f"hidden{n}")(y), 0.2)
        y = nn.Dense(self.num_styles, name="logits")(y)
        gain = min(_GAIN / seen.shape[1], _MOST_GAIN)
        return gain * (y + nn.Dense(self.num_styles, name="linear")(seen))
