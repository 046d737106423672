"""Scalar targets as objects: named, put behind a network, added and scaled.

Every target of this package is a `Scalar`: a function from pictures `b h w c` to one
number each that knows its name. Anything else that is such a function becomes one with
`named`.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from stylejax.checks import check_one_each
from stylejax.typing import ImageFn, PerExample, ScalarFn


class Scalar:
    """A named function from pictures `b h w c` to one number each.

    Subclasses have `name` and `__call__`. Sums and differences of two are targets, and
    so is one times a number: `2 * sky - ground`.
    """

    @property
    def name(self) -> str:
        """The target in words."""
        raise NotImplementedError

    def __call__(self, images: Any) -> PerExample:
        """The target's value on each picture `b h w c`."""
        raise NotImplementedError

    def of(self, image_fn: ImageFn) -> ScalarFn:
        """The target as a function of a network's input: `x -> target(image_fn(x))`.

        Args:
          image_fn: pictures in, pictures out, for example a translator closed over
            its parameters.

        Returns:
          A function from pictures `b h w c` to one number each.
        """
        return lambda images: self(image_fn(images))

    def change_of(self, image_fn: ImageFn) -> ScalarFn:
        """What a network changed: `x -> target(image_fn(x)) - target(x)`.

        Args:
          image_fn: pictures in, pictures of the same size out.

        Returns:
          A function from pictures `b h w c` to one signed number each.
        """
        return lambda images: self(image_fn(images)) - self(images)

    def __add__(self, other: "Scalar") -> "Scalar":
        if not isinstance(other, Scalar):
            return NotImplemented
        return Named(lambda x: self(x) + other(x), f"{self.name} + {other.name}")

    def __sub__(self, other: "Scalar") -> "Scalar":
        if not isinstance(other, Scalar):
            return NotImplemented
        return Named(lambda x: self(x) - other(x), f"{self.name} - ({other.name})")

    def __mul__(self, scale: float) -> "Scalar":
        if isinstance(scale, Scalar):
            return NotImplemented
        return Named(lambda x: self(x) * scale, f"{scale:g} ({self.name})")

    __rmul__ = __mul__

    def __neg__(self) -> "Scalar":
        return self * -1


@dataclasses.dataclass(frozen=True)
class Named(Scalar):
    """Any function from pictures to one number each, with a name; see `named`."""

    fn: Callable[[Any], jax.Array]
    name: str = "custom"

    def __call__(self, images: Any) -> PerExample:
        """The function's value on each picture `b h w c`, checked."""
        if jnp.ndim(images) != 4:
            raise ValueError(
                f"target {self.name!r}: expected pictures of shape (b, h, w, c), got"
                f" {jnp.shape(images)}"
            )
        values = self.fn(images)
        check_one_each(values, count=len(images), name=f"target {self.name!r}")
        return values


def named(fn: Callable[[Any], jax.Array], *, name: str) -> Named:
    """A target from any function of pictures.

    Args:
      fn: pictures `b h w c` to `b` numbers.
      name: what it is called in reports.

    Returns:
      A `Named` target; calling it raises ValueError where `fn` gives another shape.

    Example:
      >>> named(lambda x: x.max(axis=(1, 2, 3)), name="peak")(jnp.ones((2, 4, 4, 3)))
      Array([1., 1.], dtype=float32)
    """
    return Named(fn, name)
