"""Latents, directions and amounts of walks as arrays of one form, checked."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def float_array(x: Any, *, name: str) -> jax.Array:
    """An array of floats, of the precision that came.

    Args:
      x: array-like, any shape.
      name: what the caller calls it.

    Returns:
      The same shape and values.

    Raises:
      TypeError: not floats.

    Example:
      >>> float_array(np.arange(2), name="x")
      Traceback (most recent call last):
      TypeError: x: expected floats, got int32; convert with x.astype('float32')
    """
    array = jnp.asarray(x)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise TypeError(
            f"{name}: expected floats, got {array.dtype}; convert with"
            " x.astype('float32')"
        )
    return array


def checked_walks(
    latents: Any, directions: Any, amounts: Any
) -> tuple[Float[Array, "n d"], Float[Array, "k d"], Float[Array, " a"]]:
    """What walks need from which a slope is measured, once it fits together.

    Args:
      latents: `n d`, floats.
      directions: `k d`.
      amounts: `a` finite numbers, two different ones at least; their values are not
        looked at where they are traced.

    Returns:
      The three, the amounts in the latents' precision.

    Raises:
      ValueError: shapes that do not fit, or amounts that have no slope.
      TypeError: latents that are not floats.
    """
    of, along = jnp.shape(latents), jnp.shape(directions)
    if len(of) != 2 or len(along) != 2 or of[1] != along[1]:
        raise ValueError(
            f"expected latents (n, d) and directions (k, d), got {of} and {along}"
        )
    latents = float_array(latents, name="latents")
    traced = isinstance(amounts, jax.core.Tracer)
    values = amounts if traced else np.asarray(amounts).astype(latents.dtype)
    fits = values.ndim == 1 and values.size >= 2
    if fits and not traced:
        fits = bool(np.isfinite(values).all() and values.max() > values.min())
    if not fits:
        few = not traced and values.size <= 10
        raise ValueError(
            "amounts: expected at least two different finite numbers, a slope needs as"
            f" many, got {values.tolist() if few else f'shape {values.shape}'}"
        )
    return latents, jnp.asarray(directions), jnp.asarray(values, latents.dtype)


def checked_factors(
    factors_fn: Callable[[jax.Array], jax.Array], pictures: jax.Array
) -> Float[Array, "b m"]:
    """The factors of pictures, once there are as many of each.

    Args:
      factors_fn: pictures `b h w c` to factors `b m`.
      pictures: `b h w c`.

    Returns:
      `b m`.

    Raises:
      ValueError: factors of another shape.
    """
    factors = factors_fn(pictures)
    shape = jnp.shape(factors)
    if len(shape) != 2 or shape[0] != len(pictures):
        raise ValueError(
            f"factors_fn: expected ({len(pictures)}, m), m factors of each picture, got"
            f" {shape}"
        )
    return factors
