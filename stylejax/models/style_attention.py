"""Attention from content to style at one depth: which style patch paints this one.

    P = softmax(q(norm(content)) . k(norm(style)))
    mean = P v,  deviation = sqrt(P v^2 - mean^2)
    fused = deviation * norm(content) + mean        v: the style's features as they are

So every content position gets moments of its own, of the positions it attends to.

Reference: Liu et al. 2021 (AdaAttN), https://arxiv.org/abs/2108.03647, equations 4 to
8; style positions that are too many are thinned out on an even grid, not at random, so
that the same pictures give the same result.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from stylejax.nn import attention
from stylejax.nn.conv import Conv, he_init
from stylejax.nn.norm import instance_norm


class StyleKeys(NamedTuple):
    """A style as attention sees it.

    Attributes:
      keys: (b, m, d).
      values: (b, m, c), the style's features at the same positions.
    """

    keys: Float[Array, "b m d"]
    values: Float[Array, "b m c"]


class StyleAttention(nn.Module):
    """Queries and keys of one depth; see the module's text.

    Attributes:
      channels: of the feature maps.
      max_keys: style positions that are looked at, at most.
      tile: content positions worked on at a time.
      dtype: dtype of the two projections.
    """

    channels: int
    max_keys: int = 4096
    tile: int = attention.TILE
    dtype: Any = jnp.float32

    def setup(self):
        """Makes the two projections; Flax calls it."""
        shared = {"dtype": self.dtype, "kernel_init": he_init}
        self.query = Conv(self.channels, 1, **shared)
        self.key = Conv(self.channels, 1, **shared)

    def __call__(self, content: jax.Array, style: jax.Array) -> jax.Array:
        """Content `b h w c` and style `b h' w' c` to fused features `b h w c`."""
        return self.fuse(content, instance_norm(content), self.keys_of(style))

    def keys_of(self, style: jax.Array) -> StyleKeys:
        """Style features `b h w c` to keys and values of at most `max_keys` places."""
        b, h, w, c = style.shape
        places = attention.spaced((h, w), at_most=self.max_keys)
        keys = self.key(instance_norm(style)).reshape(b, h * w, -1)
        return StyleKeys(keys[:, places], style.reshape(b, h * w, c)[:, places])

    def queries_of(self, content: jax.Array) -> Float[Array, "b n d"]:
        """Content features `b h w c` to one query for each position."""
        b, h, w, _ = content.shape
        return self.query(instance_norm(content)).reshape(b, h * w, -1)

    def fuse(
        self, content: jax.Array, normalized: jax.Array, style: StyleKeys
    ) -> jax.Array:
        """Content `b h w c`, the same normalised, and a style to fused features."""
        values = jnp.broadcast_to(
            style.values, (content.shape[0], *style.values.shape[1:])
        )
        keys = jnp.broadcast_to(style.keys, (content.shape[0], *style.keys.shape[1:]))
        squares = jnp.concatenate([values, jnp.square(values)], axis=-1)
        found = attention.attend(
            self.queries_of(content), keys, squares, tile=self.tile, scale=self.scale
        )
        mean, square = (x.reshape(content.shape) for x in jnp.split(found, 2, axis=-1))
        # Rounding may put a mean of squares below the square of the mean.
        variance = jnp.maximum(square - jnp.square(mean), 1e-6)
        return jnp.sqrt(variance) * normalized + mean

    @property
    def scale(self) -> float:
        """What products of queries and keys are multiplied with."""
        return self.channels**-0.5

    def rows(
        self, content: jax.Array, style: StyleKeys, places: jax.Array
    ) -> Float[Array, "b n m"]:
        """Rows of the attention matrix of some content positions; each sums to 1."""
        queries = self.queries_of(content)[:, places]
        return attention.weights(queries, style.keys, scale=self.scale)
