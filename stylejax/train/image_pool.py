"""The history of generated pictures a discriminator is trained on, as fixed arrays.

The pool lives in the training state and is updated by a pure function of the global
batch, so it means the same on one device, on many and after a resume.

Reference: Shrivastava et al. 2017, https://arxiv.org/abs/1612.07828; the rule is that
of the CycleGAN reference code: until the pool is full every picture is stored and
returned; afterwards, with probability one half, a stored picture is returned and
the new one takes its place.
"""

from typing import NamedTuple

import flax.struct
import jax
import jax.numpy as jnp


class Decisions(NamedTuple):
    """What chance decided for each picture of a batch: swap it, and with which.

    Attributes:
      swap: bool `b`; used only while the pool is full.
      index: int32 `b` in [0, size): the place that is swapped.
    """

    swap: jax.Array
    index: jax.Array  # type: ignore[assignment]  # hides tuple.index, on purpose


@flax.struct.dataclass
class ImagePool:
    """Stored pictures `n h w c` and how many of the places are filled."""

    images: jax.Array
    count: jax.Array


def init_pool(size: int, image_shape: tuple[int, int, int]) -> ImagePool:
    """Returns an empty pool of `size` places.

    Args:
      size: number of places; 0 makes `query` return what it is given.
      image_shape: (h, w, c) of one picture.

    Returns:
      `ImagePool` of zeros with count 0.
    """
    images = jnp.zeros((size, *image_shape), jnp.float32)
    return ImagePool(images=images, count=jnp.zeros((), jnp.int32))


def draw_decisions(key: jax.Array, batch: int, pool_size: int) -> Decisions:
    """Returns fair coins and uniform places for `batch` pictures.

    Args:
      key: PRNG key.
      batch: number of pictures of the global batch.
      pool_size: number of places.

    Returns:
      `Decisions` of length `batch`.
    """
    coin_key, index_key = jax.random.split(key)
    swap = jax.random.bernoulli(coin_key, 0.5, (batch,))
    index = jax.random.randint(index_key, (batch,), 0, max(pool_size, 1), jnp.int32)
    return Decisions(swap=swap, index=index)


def query(
    pool: ImagePool, images: jax.Array, decisions: Decisions
) -> tuple[ImagePool, jax.Array]:
    """Returns the updated pool and the pictures to show the discriminator.

    The batch is taken in order: a later picture may draw one stored just before.

    Args:
      pool: current pool.
      images: new pictures `b h w c`, in the pool's range.
      decisions: one coin and one place per picture.

    Returns:
      (pool, pictures `b h w c`).
    """
    size = pool.images.shape[0]
    if size == 0:
        return pool, images

    def visit(pool: ImagePool, new: tuple) -> tuple[ImagePool, jax.Array]:
        image, swap, index = new
        is_filling = pool.count < size
        place = jnp.where(is_filling, pool.count, index)
        stored = pool.images[place]
        is_kept = is_filling | swap
        images = pool.images.at[place].set(jnp.where(is_kept, image, stored))
        count = jnp.minimum(pool.count + 1, size)
        returned = jnp.where(is_filling | ~swap, image, stored)
        return ImagePool(images=images, count=count), returned

    return jax.lax.scan(visit, pool, (images, decisions.swap, decisions.index))
