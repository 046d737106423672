"""Maps that know nothing of the network: what an explanation has to beat.

Run every metric on these too, on the same pictures, and compare picture by picture: a
number that an edge detector reaches as well says nothing about a network.

Pictures and maps here are single: `h w c`.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from stylejax.typing import Key

Picture = Float[Array, "h w c"]

# The centre's bump, in shares of each side.
_CENTER_SIGMA = 0.25


def random_map(key: Key, image: Picture) -> Picture:
    """Independent normal numbers, shaped like the picture.

    Args:
      key: random key.
      image: one picture; only its shape is used.

    Returns:
      `h w c`, float32, of mean 0 and standard deviation 1.
    """
    return jax.random.normal(key, image.shape, jnp.float32)


def edge_map(key: Key, image: Picture) -> Picture:
    """The length of the Sobel gradient of each channel: edges, and no network.

    Args:
      key: not used.
      image: one picture, at least 2 pixels a side.

    Returns:
      `h w c`, not negative, in the picture's unit per pixel.

    Raises:
      ValueError: a side of one pixel.

    Example:
      >>> ramp = jnp.broadcast_to(jnp.arange(4.0)[None, :, None], (3, 4, 1))
      >>> edge_map(jax.random.key(0), ramp)[1, :, 0].tolist()
      [0.0, 1.0, 1.0, 0.0]

    Reference: Sobel and Feldman 1968, divided by 8, so that a ramp of one per pixel has
      one. Borders reflect (the border itself is not repeated).
    """
    if min(image.shape[:2]) < 2:
        raise ValueError(
            f"image: expected sides of at least 2 pixels, got shape {image.shape}"
        )
    x = jnp.pad(image, ((1, 1), (1, 1), (0, 0)), mode="reflect")
    down = x[:, :-2] + 2 * x[:, 1:-1] + x[:, 2:]
    right = x[:-2] + 2 * x[1:-1] + x[2:]
    return jnp.hypot(down[2:] - down[:-2], right[:, 2:] - right[:, :-2]) / 8


def center_map(key: Key, image: Picture) -> Picture:
    """A bump in the middle: a Gaussian of a quarter of each side.

    Args:
      key: not used.
      image: one picture; only its shape is used.

    Returns:
      `h w c`, float32 in (0, 1], the same in each channel.
    """
    bumps = [
        jnp.exp(-0.5 * ((jnp.arange(n) - (n - 1) / 2) / (_CENTER_SIGMA * n)) ** 2)
        for n in image.shape[:2]
    ]
    bump = bumps[0][:, None] * bumps[1][None]
    return jnp.broadcast_to(bump[:, :, None], image.shape)


def constant_map(key: Key, image: Picture) -> Picture:
    """One everywhere.

    Args:
      key: not used.
      image: one picture; only its shape is used.

    Returns:
      `h w c`, float32. Correlations with it are undefined, NaN.
    """
    return jnp.ones(image.shape, jnp.float32)


CONTROLS: dict[str, Callable[[Key, Picture], Picture]] = {
    "random": random_map,
    "edges": edge_map,
    "center": center_map,
    "constant": constant_map,
}
"""From a control's name to its function of a key and a picture."""


def sobel_explainer(params: Any, image: Picture) -> Picture:
    """An explainer that ignores the network: the edges of the picture.

    It looks like many an explanation and must fail a test that looks at parameters.

    Args:
      params: not used.
      image: one picture, at least 2 pixels a side.

    Returns:
      `h w c`, as `edge_map`.

    Reference: Adebayo et al., "Sanity Checks for Saliency Maps", 2018.
    """
    return edge_map(jax.random.key(0), image)
