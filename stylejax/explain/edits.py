"""Edits of an activation: replace, add, scale, mask, or any function.

An edit says what becomes of an array that flows through a network. It is a pytree, so
it may be an argument of `jax.jit`, mapped over and differentiated (a function as edit
may not). Who runs networks with edits offers `run(image, edits) -> (output,
activations)`, `edits` being a dictionary from the name of an activation to its edit.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Edits = Mapping[str, Any]
"""From the name of an activation to its edit."""

Run = Callable[..., tuple[Any, dict[str, jax.Array]]]
"""`run(image, edits)`, with the output and the activations by name."""


class Replace(NamedTuple):
    """The edit `value`; a bare array means the same."""

    value: Any


class Add(NamedTuple):
    """The edit `x + value`; the gradient at zeros is the activation's gradient."""

    value: Any


class Scale(NamedTuple):
    """The edit `factor x`; 0 removes, 1 keeps."""

    factor: Any


class Mask(NamedTuple):
    """The edit `value` where `mask` is 1, `x` where it is 0; a bare pair is the same.

    Booleans choose and let nothing of the other through; floats in [0, 1] blend.
    """

    mask: Any
    value: Any


def apply_edit(x: jax.Array, change: Any, *, name: str) -> jax.Array:
    """The activation after an edit.

    Args:
      x: the activation, any shape.
      change: an array (`Replace`), a pair (mask, value) (`Mask`), `Add`, `Scale`, or a
        function from the activation to one of the same shape. Values, factors and
        masks may have any shape that broadcasts to the activation's; they are cast to
        its dtype.
      name: what the user calls the activation, for messages.

    Returns:
      An array of the shape and dtype of `x`.

    Raises:
      ValueError: values that do not fit the activation's shape.

    Example:
      >>> x = jnp.array([1.0, 2.0])
      >>> apply_edit(x, Mask(jnp.array([True, False]), 9.0), name="x").tolist()
      [9.0, 2.0]
    """
    if callable(change):
        return _fitted(change(x), x, name)
    if isinstance(change, Add):
        return x + _fitted(change.value, x, name)
    if isinstance(change, Scale):
        return x * _fitted(change.factor, x, name)
    if isinstance(change, Mask) or type(change) is tuple and len(change) == 2:
        mask, value = change
        value = _fitted(value, x, name)
        if jnp.issubdtype(jnp.result_type(mask), jnp.bool_):
            return jnp.where(_fitted(mask, x, name, dtype=bool), value, x)
        share = _fitted(mask, x, name)
        return share * value + (1 - share) * x
    return _fitted(change.value if isinstance(change, Replace) else change, x, name)


def _fitted(value: Any, x: jax.Array, name: str, *, dtype: Any = None) -> jax.Array:
    """The value, broadcast and cast to the activation."""
    try:
        # `jnp.asarray(None)` is NaN.
        array = None if value is None else jnp.asarray(value, dtype or x.dtype)
    except (TypeError, ValueError):
        array = None
    if array is not None and _fits(array.shape, x.shape):
        return jnp.broadcast_to(array, x.shape)
    got = type(value).__name__ if array is None else f"shape {array.shape}"
    raise ValueError(
        f"edit of {name!r}: expected an edit or values that broadcast to its shape"
        f" {x.shape}, got {got}"
    )


def _fits(shape: tuple[int, ...], into: tuple[int, ...]) -> bool:
    """Whether an array of a shape can be repeated to fill another."""
    sides = zip(reversed(shape), reversed(into), strict=False)
    return len(shape) <= len(into) and all(a in (1, b) for a, b in sides)
