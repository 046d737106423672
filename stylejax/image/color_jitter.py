"""Other colours for whole pictures, at random: to widen a small set of styles.

Colours are turned around the grey axis, saturated more or less, and their lightness is
bent and scaled. Structure stays where it is. Draws are separate from their use, so that
they are the same on any number of devices.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from stylejax.typing import Image, Key

NUM_DRAWS = 5
_SATURATION = (0.5, 1.5)
_GAIN = (0.75, 1.25)
_GAMMA = (0.7, 1.4)
_GREY = 3**-0.5


def draw(key: Key, batch: int) -> Float[Array, "b d"]:
    """Uniform numbers that decide the changes of a batch.

    Args:
      key: PRNG key.
      batch: number of pictures.

    Returns:
      (b, 5) in [0, 1).
    """
    return jax.random.uniform(key, (batch, NUM_DRAWS))


def apply(images: Image, draws: Float[Array, "b d"], *, share: float) -> Image:
    """The pictures in other colours, as far as the draws say so.

    Args:
      images: (b, h, w, 3) in [0, 1].
      draws: from `draw`, for the same b.
      share: probability that a picture is changed at all; 0 returns `images`.

    Returns:
      (b, h, w, 3) in [0, 1].
    """
    if not share:
        return images
    return jax.vmap(lambda x, u: jnp.where(u[0] < share, _recolored(x, u), x))(
        images, draws
    )


def _recolored(image: Float[Array, "h w 3"], draws: Float[Array, " d"]):
    hue = 2.0 * jnp.pi * draws[1]
    saturation, gain, gamma = (
        low + (high - low) * u
        for (low, high), u in zip((_SATURATION, _GAIN, _GAMMA), draws[2:], strict=True)
    )
    grey = jnp.mean(image, axis=-1, keepdims=True)
    turned = image @ _rotation(hue).T
    mixed = jnp.clip(grey + saturation * (turned - grey), 0.0, 1.0)
    # A power has no derivative at 0; pictures are not differentiated through this.
    return jnp.clip(gain * (mixed**gamma - 0.5) + 0.5, 0.0, 1.0)


def _rotation(angle: Float[Array, ""]) -> Float[Array, "3 3"]:
    """The rotation around the grey axis (Rodrigues' formula)."""
    axis = jnp.full(3, _GREY)
    cross = _GREY * jnp.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
    parallel = jnp.outer(axis, axis)
    sine, cosine = jnp.sin(angle), jnp.cos(angle)
    return cosine * jnp.eye(3) + sine * cross + (1.0 - cosine) * parallel
