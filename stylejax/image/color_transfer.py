"""Giving one picture the colours of another, or of its former self.

`match_*` change the colours of a style picture before it is used, so that it paints
in the content's palette. `keep_chroma` changes the painted picture afterwards.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from stylejax.checks import check_choice, check_image
from stylejax.image import color, lab
from stylejax.typing import Image

_RIDGE = 1e-5
# Halvings of the lightness change; 2^-8 of it cannot be seen.
_GAMUT_STEPS = 8
# In units of ΔE; a difference of less than about 2 cannot be seen.
_GAMUT_SLACK = 1.0

Pixels = Float[Array, "n 3"]


def match_histogram(image: Image, reference: Image) -> Image:
    """The image with the histogram of each of its channels that of the reference.

    Args:
      image: (b, h, w, 3), values in [0, 1].
      reference: (b, h', w', 3) or (1, h', w', 3).

    Returns:
      (b, h, w, 3), float32 in [0, 1].

    Raises:
      ValueError: one of them is no batch of RGB pictures.
    """
    x, y = _pair(image, reference)

    def of_channel(values: Array, goal: Array) -> Array:
        # Equal values keep one rank, or flat areas would turn into ramps.
        ordered, ranked = jnp.sort(values), jnp.sort(goal)
        low = jnp.searchsorted(ordered, values, side="left")
        high = jnp.searchsorted(ordered, values, side="right")
        position = (low + high) / 2 / values.size
        middles = (jnp.arange(goal.size) + 0.5) / goal.size
        return jnp.interp(position, middles, ranked)

    per_channel = jax.vmap(of_channel, in_axes=1, out_axes=1)
    return _per_picture(per_channel, x, y)


def match_coral(image: Image, reference: Image) -> Image:
    """The image with the mean and covariance of its colours those of the reference.

        A = C_ref^(1/2) C_img^(-1/2)

    Args:
      image: (b, h, w, 3), values in [0, 1].
      reference: (b, h', w', 3) or (1, h', w', 3).

    Returns:
      (b, h, w, 3), float32, clipped to [0, 1].

    Raises:
      ValueError: one of them is no batch of RGB pictures.

    Reference:
      Sun et al. 2016, https://arxiv.org/abs/1511.05547.
    """

    def matrix(own: Array, goal: Array) -> Array:
        return _power(goal, 0.5) @ _power(own, -0.5)

    return _match_linear(image, reference, matrix)


def match_optimal_transport(image: Image, reference: Image) -> Image:
    """The image with the reference's mean and covariance of colours, moved the least.

        A = C_img^(-1/2) (C_img^(1/2) C_ref C_img^(1/2))^(1/2) C_img^(-1/2)

    Of all linear maps that match the two moments, this one changes colours least.

    Args:
      image: (b, h, w, 3), values in [0, 1].
      reference: (b, h', w', 3) or (1, h', w', 3).

    Returns:
      (b, h, w, 3), float32, clipped to [0, 1].

    Raises:
      ValueError: one of them is no batch of RGB pictures.

    Reference:
      Pitié and Kokaram 2007, the linear Monge-Kantorovitch solution.
    """

    def matrix(own: Array, goal: Array) -> Array:
        root, inverse = _power(own, 0.5), _power(own, -0.5)
        return inverse @ _power(root @ goal @ root, 0.5) @ inverse

    return _match_linear(image, reference, matrix)


def match_luminance(image: Image, reference: Image) -> Image:
    """The image in grey, with the mean and deviation of the reference's luminance.

    Args:
      image: (b, h, w, 3), values in [0, 1].
      reference: (b, h', w', 3) or (1, h', w', 3).

    Returns:
      (b, h, w, 3), float32 in [0, 1], three equal channels.

    Raises:
      ValueError: one of them is no batch of RGB pictures.

    Reference:
      Gatys et al. 2016, https://arxiv.org/abs/1606.05897, section 4.
    """
    x, y = _pair(image, reference)
    own, goal = color.luminance(x), color.luminance(y)
    axes: dict[str, Any] = {"axis": (1, 2), "keepdims": True}
    scale = jnp.std(goal, **axes) / jnp.maximum(jnp.std(own, **axes), _RIDGE)
    matched = scale * (own - jnp.mean(own, **axes)) + jnp.mean(goal, **axes)
    return jnp.repeat(jnp.clip(matched, 0.0, 1.0)[..., None], 3, axis=-1)


def keep_chroma(image: Image, reference: Image) -> Image:
    """The image's lightness in the reference's colours.

    Where a screen cannot show that colour as light or dark as the image has it, the
    lightness gives way, not the colour.

    Args:
      image: (b, h, w, 3), values in [0, 1].
      reference: (b, h, w, 3), whose a* and b* are kept.

    Returns:
      (b, h, w, 3), float32 in [0, 1].

    Raises:
      ValueError: the shapes differ.
    """
    x, y = _pair(image, reference)
    if x.shape != y.shape:
        raise ValueError(
            f"expected image and reference of one shape, got {x.shape} and {y.shape}"
        )
    wanted, own = lab.to_lab(x), lab.to_lab(y)
    chroma = own[..., 1:]

    def at(share: Array) -> Array:
        light = own[..., :1] + share * (wanted[..., :1] - own[..., :1])
        return lab.from_lab(jnp.concatenate([light, chroma], axis=-1))

    def is_shown(share: Array) -> Array:
        found = lab.to_lab(at(share))[..., 1:]
        return jnp.linalg.norm(found - chroma, axis=-1, keepdims=True) < _GAMUT_SLACK

    # The reference itself can be shown, so the largest share that can lies in [0, 1].
    low = jnp.zeros((*x.shape[:3], 1))
    high = jnp.ones_like(low)
    low = jnp.where(is_shown(high), high, low)
    for _ in range(_GAMUT_STEPS):
        middle = (low + high) / 2
        fits = is_shown(middle)
        low, high = jnp.where(fits, middle, low), jnp.where(fits, high, middle)
    return at(low)


MATCHES = {
    "histogram": match_histogram,
    "coral": match_coral,
    "optimal_transport": match_optimal_transport,
}
"""Ways to recolour a style picture, by name."""


def recolor(image: Image, reference: Image, *, how: str) -> Image:
    """The image in the reference's colours, by one of `MATCHES`.

    Args:
      image: (b, h, w, 3), values in [0, 1].
      reference: (b, h', w', 3) or (1, h', w', 3).
      how: a key of `MATCHES`.

    Returns:
      (b, h, w, 3), float32 in [0, 1].

    Raises:
      ValueError: an unknown way.
    """
    check_choice(how, choices=MATCHES, name="how")
    return MATCHES[how](image, reference)


def _pair(image: Image, reference: Image) -> tuple[Array, Array]:
    check_image(image, name="image")
    check_image(reference, name="reference")
    return jnp.asarray(image, jnp.float32), jnp.asarray(reference, jnp.float32)


def _per_picture(fn, x: Array, y: Array) -> Array:
    y = jnp.broadcast_to(y, (x.shape[0], *y.shape[1:]))
    found = jax.vmap(fn)(x.reshape(x.shape[0], -1, 3), y.reshape(y.shape[0], -1, 3))
    return jnp.clip(found.reshape(x.shape), 0.0, 1.0)


def _match_linear(image: Image, reference: Image, matrix) -> Image:
    x, y = _pair(image, reference)

    def of_picture(pixels: Pixels, goal: Pixels) -> Pixels:
        mean, goal_mean = pixels.mean(axis=0), goal.mean(axis=0)
        a = matrix(_covariance(pixels), _covariance(goal))
        return (pixels - mean[None]) @ a.T + goal_mean[None]

    return _per_picture(of_picture, x, y)


def _covariance(pixels: Pixels) -> Float[Array, "3 3"]:
    centred = pixels - pixels.mean(axis=0, keepdims=True)
    return centred.T @ centred / pixels.shape[0] + _RIDGE * jnp.eye(3)


def _power(symmetric: Float[Array, "3 3"], exponent: float) -> Float[Array, "3 3"]:
    values, vectors = jnp.linalg.eigh(symmetric)
    powers = jnp.maximum(values, 1e-12) ** exponent
    return (vectors * powers[None]) @ vectors.T
