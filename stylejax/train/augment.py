"""Differentiable augmentation of what a discriminator sees.

Real and generated pictures pass through the same kinds of random change, so the
discriminator cannot learn the training set by heart and the generator is not pushed
to imitate the changes. Draws are separate from their use: they are made for the
global batch, whatever the number of devices.

Reference: Zhao et al. 2020, https://arxiv.org/abs/2006.10738. We differ in the fill:
pictures in [-1, 1] are moved by reflection, not over black.
"""

import jax
import jax.numpy as jnp

from stylejax.checks import check_choice

KINDS = ("translation", "cutout", "color")
_SHIFT = 1 / 8
_CUTOUT = 1 / 2


def parse(policy: str) -> tuple[str, ...]:
    """Returns the kinds named in a comma list.

    Args:
      policy: for example "translation,cutout"; empty for none.

    Returns:
      Tuple of names among `KINDS`.

    Raises:
      ValueError: an unknown name.

    Example:
      >>> parse("translation, color")
      ('translation', 'color')
    """
    kinds = tuple(name.strip() for name in policy.split(",") if name.strip())
    for kind in kinds:
        check_choice(kind, choices=KINDS, name="augment")
    return kinds


def draw(key: jax.Array, batch: int) -> dict[str, jax.Array]:
    """Returns uniform numbers in [0, 1) that decide the changes of a batch.

    Args:
      key: PRNG key.
      batch: number of pictures.

    Returns:
      Dictionary of kind to array `b 3`.
    """
    keys = jax.random.split(key, len(KINDS))
    return {
        kind: jax.random.uniform(k, (batch, 3))
        for kind, k in zip(KINDS, keys, strict=True)
    }


def apply(images: jax.Array, draws: dict, *, kinds: tuple[str, ...]) -> jax.Array:
    """Returns `images` changed as `draws` says, differentiably.

    Args:
      images: pictures `b h w c` in [-1, 1].
      draws: from `draw`, for the same `b`.
      kinds: which changes to make, in this order; empty returns `images`.

    Returns:
      Pictures `b h w c`; colour changes may leave [-1, 1].
    """
    changes = {"translation": _translate, "cutout": _cut_out, "color": _recolor}
    for kind in kinds:
        images = jax.vmap(changes[kind])(images, draws[kind])
    return images


def _translate(image: jax.Array, draw: jax.Array) -> jax.Array:
    h, w, _ = image.shape
    reach = (max(1, round(h * _SHIFT)), max(1, round(w * _SHIFT)))
    widths = ((reach[0], reach[0]), (reach[1], reach[1]), (0, 0))
    padded = jnp.pad(image, widths, mode="reflect")
    start = jnp.floor(draw[:2] * (2 * jnp.array(reach) + 1)).astype(jnp.int32)
    return jax.lax.dynamic_slice(padded, (start[0], start[1], 0), image.shape)


def _cut_out(image: jax.Array, draw: jax.Array) -> jax.Array:
    h, w, _ = image.shape
    rows = jnp.abs(jnp.arange(h) - draw[0] * h) < _CUTOUT * h / 2
    columns = jnp.abs(jnp.arange(w) - draw[1] * w) < _CUTOUT * w / 2
    return jnp.where((rows[:, None] & columns[None, :])[:, :, None], 0.0, image)


def _recolor(image: jax.Array, draw: jax.Array) -> jax.Array:
    image = image + (draw[0] - 0.5)
    grey = jnp.mean(image, axis=-1, keepdims=True)
    image = (image - grey) * (2.0 * draw[1]) + grey
    mean = jnp.mean(image)
    return (image - mean) * (draw[2] + 0.5) + mean
