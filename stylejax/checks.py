"""Checks of arguments that end in one clear line: expected, got, what to do.

They look at shapes and dtypes only, never at values, so they cost nothing under
`jax.jit` and may stand at the top of any public function.
"""

from collections.abc import Iterable
from typing import Any

import jax.numpy as jnp


def check_image(x: Any, *, name: str = "image", channels: int | None = 3) -> None:
    """Returns nothing; refuses what is no batch of pictures.

    Args:
      x: array-like, expected float `b h w c`.
      name: what the caller calls it, for the message.
      channels: expected `c`; None accepts any.

    Raises:
      ValueError: wrong rank or number of channels.
      TypeError: not a floating array.
    """
    shape = jnp.shape(x)
    if len(shape) != 4:
        hint = "; add a batch axis with x[None]" if len(shape) == 3 else ""
        raise ValueError(
            f"{name}: expected pictures of shape (b, h, w, c), got {shape}{hint}"
        )
    if channels is not None and shape[-1] != channels:
        raise ValueError(
            f"{name}: expected {channels} channels in the last axis, got {shape};"
            " channels come last (NHWC)"
        )
    dtype = jnp.asarray(x).dtype if not hasattr(x, "dtype") else x.dtype
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(
            f"{name}: expected floats in [0, 1], got {dtype};"
            " convert with stylejax.image.color.to_float"
        )


def check_same_shape(x: Any, y: Any, *, names: tuple[str, str] = ("x", "y")) -> None:
    """Returns nothing; refuses two arrays of different shape.

    Args:
      x: first array.
      y: second array.
      names: what the caller calls them.

    Raises:
      ValueError: the shapes differ.
    """
    if jnp.shape(x) != jnp.shape(y):
        raise ValueError(
            f"expected {names[0]} and {names[1]} of one shape, got"
            f" {jnp.shape(x)} and {jnp.shape(y)}"
        )


def check_positive(value: float, *, name: str) -> None:
    """Returns nothing; refuses numbers that are not above zero.

    Args:
      value: a Python number.
      name: what the user calls it.

    Raises:
      ValueError: `value` is zero, negative or not a number.
    """
    if not value > 0:
        raise ValueError(f"{name}: expected a number above 0, got {value}")


def check_choice(value: Any, *, choices: Iterable[Any], name: str) -> None:
    """Returns nothing; refuses what is not among `choices`, and lists them.

    Args:
      value: what came.
      choices: what may come.
      name: what the user calls it.

    Raises:
      ValueError: `value` is not one of `choices`.
    """
    choices = list(choices)
    if value not in choices:
        listed = ", ".join(map(str, choices))
        raise ValueError(f"{name}: expected one of {listed}; got {value!r}")


def check_one_each(values: Any, *, count: int, name: str) -> None:
    """Returns nothing; refuses what is not one number for each picture.

    Args:
      values: an array, of which only the shape is used; it may be traced.
      count: how many pictures there are.
      name: what the user calls the function that gave it.

    Raises:
      ValueError: another shape.

    Example:
      >>> check_one_each(jnp.ones((2, 3)), count=2, name="metric")
      Traceback (most recent call last):
      ValueError: metric: expected one number for each of 2 pictures, got shape (2, 3);
      reduce over all axes but the first
    """
    if jnp.shape(values) != (count,):
        raise ValueError(
            f"{name}: expected one number for each of {count} pictures, got shape"
            f" {jnp.shape(values)}; reduce over all axes but the first"
        )
