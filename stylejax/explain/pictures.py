"""What every explainer accepts: one picture, and a function that gives one number."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stylejax.explain.targets import TARGET_GRAMMAR
from stylejax.typing import ScalarFn

Picture = Float[Array, "h w c"]


def scalar_at(fn: ScalarFn, picture: Picture) -> jax.Array:
    """The number that a function gives for one picture, in float32 or wider.

    Its convolutions run at full precision, also where the device's default is lower:
    an explanation is checked to many digits.

    Args:
      fn: pictures `b h w c` to one number each, `b`, or to one scalar.
      picture: `h w c`.

    Returns:
      A scalar.

    Example:
      >>> float(scalar_at(lambda x: x.sum(axis=(1, 2, 3)), jnp.ones((1, 2, 3))))
      6.0
    """
    with jax.default_matmul_precision("highest"):
        out = fn(picture[None])
    return out.reshape(()).astype(jnp.promote_types(out.dtype, jnp.float32))


def one_picture(image: Any) -> Picture:
    """The picture to explain, checked.

    Args:
      image: one picture `h w c` or `1 h w c`.

    Returns:
      `h w c`, float32 or wider.

    Raises:
      ValueError: another shape, several pictures, or values that are not finite.
      TypeError: `image` is not float.
    """
    shape = jnp.shape(image)
    if len(shape) == 4 and shape[0] != 1:
        raise ValueError(
            f"image: expected one picture, got a batch of {shape[0]}; explain them one"
            " at a time, image[i]"
        )
    if len(shape) not in (3, 4) or 0 in shape:
        raise ValueError(
            f"image: expected one picture (h, w, c) or (1, h, w, c), got shape {shape}"
        )
    dtype = image.dtype if hasattr(image, "dtype") else np.asarray(image).dtype
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(
            f"image: expected floats, got {dtype}; convert with"
            " stylejax.image.color.to_float"
        )
    picture = jnp.asarray(image).reshape(shape[-3:])
    if not np.isfinite(np.asarray(picture)).all():
        raise ValueError("image: expected finite values, got NaN or infinity")
    return picture.astype(jnp.promote_types(picture.dtype, jnp.float32))


def check_function(fn: ScalarFn, picture: Picture) -> None:
    """Returns nothing; refuses what does not give one number for one picture.

    Args:
      fn: what should be a function from pictures to one number each.
      picture: `h w c`, of which only the shape and dtype are used.

    Raises:
      ValueError: several numbers, whole numbers, or no array at all.
    """
    out = jax.eval_shape(fn, jax.ShapeDtypeStruct((1, *picture.shape), picture.dtype))
    is_array = isinstance(out, jax.ShapeDtypeStruct)
    fits = is_array and out.shape in ((), (1,))
    if not fits or not jnp.issubdtype(out.dtype, jnp.floating):
        got = f"{out.dtype} of shape {out.shape}" if is_array else type(out).__name__
        raise ValueError(
            "fn: expected one float for a batch of one picture, shape (1,) or (), got"
            f" {got}; put a target behind it, as parse_target('mean:red').of(fn):"
            f" {TARGET_GRAMMAR}, or one of stylejax.explain.network_targets"
        )
