"""CIE L*a*b*: colour as eyes measure it, lightness apart from chroma.

sRGB primaries and transfer curve, white point D65. Ranges: L* in [0, 100], a* and b*
about -128 … 128; a distance of about 2.3 can just be seen.

Reference: IEC 61966-2-1 (sRGB); CIE 15 (L*a*b*).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stylejax.checks import check_image, check_same_shape
from stylejax.typing import Image, PerExample

_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ],
    np.float32,
)
_FROM_XYZ = np.linalg.inv(_TO_XYZ.astype(np.float64)).astype(np.float32)
_WHITE = _TO_XYZ.sum(axis=1)
_DELTA = 6 / 29

Lab = Float[Array, "b h w 3"]


def to_lab(image: Image) -> Lab:
    """The picture in L*a*b*.

    Args:
      image: (b, h, w, 3), values in [0, 1].

    Returns:
      (b, h, w, 3), float32: L*, a*, b*. It can be differentiated everywhere.

    Raises:
      ValueError: `image` is no batch of RGB pictures.

    Example:
      >>> jnp.round(to_lab(jnp.ones((1, 1, 1, 3)))[0, 0, 0]).tolist()
      [100.0, 0.0, 0.0]
    """
    check_image(image)
    x = jnp.asarray(image, jnp.float32)
    bright = x > 0.04045
    linear = jnp.where(
        bright, ((jnp.where(bright, x, 1.0) + 0.055) / 1.055) ** 2.4, x / 12.92
    )
    xyz = _mix(linear, _TO_XYZ) / _row(_WHITE)
    large = xyz > _DELTA**3
    f = jnp.where(
        large,
        jnp.cbrt(jnp.where(large, xyz, 1.0)),
        xyz / (3 * _DELTA**2) + 4 / 29,
    )
    fx, fy, fz = f[..., 0], f[..., 1], f[..., 2]
    return jnp.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], axis=-1)


def from_lab(lab: Lab) -> Image:
    """The picture in RGB, colours that a screen cannot show being clipped.

    Args:
      lab: (b, h, w, 3): L*, a*, b*.

    Returns:
      (b, h, w, 3), float32 in [0, 1]. `from_lab(to_lab(x))` is `x` to 1e-5.

    Example:
      >>> from_lab(jnp.float32([100.0, 0.0, 0.0])[None, None, None]).shape
      (1, 1, 1, 3)
    """
    fy = (lab[..., 0] + 16) / 116
    f = jnp.stack([fy + lab[..., 1] / 500, fy, fy - lab[..., 2] / 200], axis=-1)
    xyz = jnp.where(f > _DELTA, f**3, 3 * _DELTA**2 * (f - 4 / 29)) * _row(_WHITE)
    linear = jnp.clip(_mix(xyz, _FROM_XYZ), 0.0, 1.0)
    bright = linear > 0.0031308
    curve = 1.055 * jnp.where(bright, linear, 1.0) ** (1 / 2.4) - 0.055
    return jnp.clip(jnp.where(bright, curve, 12.92 * linear), 0.0, 1.0)


def chroma_error(x: Image, y: Image) -> PerExample:
    """The mean distance of the colours of two pictures, their lightness left out.

        mean sqrt((a_x - a_y)^2 + (b_x - b_y)^2)

    Args:
      x: (b, h, w, 3), values in [0, 1].
      y: same shape.

    Returns:
      (b,), float32, in units of ΔE. Not reduced over the batch.

    Raises:
      ValueError: the shapes differ.

    Example:
      >>> grey = jnp.full((1, 2, 2, 3), 0.2)
      >>> round(float(chroma_error(grey, 3 * grey)[0]), 2)
      0.0
    """
    check_same_shape(x, y)
    difference = to_lab(x)[..., 1:] - to_lab(y)[..., 1:]
    return jnp.mean(jnp.linalg.norm(difference, axis=-1), axis=(1, 2))


def _mix(x: Array, matrix: np.ndarray) -> Array:
    return jnp.einsum("bhwc,dc->bhwd", x, matrix, precision=jax.lax.Precision.HIGHEST)


def _row(values: np.ndarray) -> Array:
    return jnp.asarray(values)[None, None, None]
