"""Which layer, which style picture, which region painted this pixel: exact accounts.

A loss that is a sum of named terms has a gradient that is the sum of theirs. An
`Account` holds both, term by term, and says how well they add up to the whole. The
names are `stylejax.losses.terms.Term` or any other tuples of strings.
"""

import dataclasses
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stylejax.image.filters import gaussian_blur
from stylejax.typing import Image

TermsFn = Callable[[Image], Mapping[Any, Float[Array, " b"]]]
"""Pictures `b h w c` to the terms of each picture's loss, by name."""

# Where nothing pulls, shares and errors are 0 rather than 0 / 0.
_TINY = 1e-30


@dataclasses.dataclass(frozen=True, eq=False)
class Account:
    """The loss of one picture and its gradient, split by term.

    Attributes:
      values: the terms, by name.
      gradients: their gradients (h, w, c), by name.
      total: the loss, computed as a whole.
      gradient: its gradient (h, w, c), computed as a whole.
    """

    values: dict[Any, float]
    gradients: dict[Any, np.ndarray]
    total: float
    gradient: np.ndarray

    @property
    def value_error(self) -> float:
        """`|sum of terms - whole| / sum of |terms|`."""
        parts = np.asarray(list(self.values.values()), np.float64)
        return abs(parts.sum() - self.total) / max(np.abs(parts).sum(), _TINY)

    @property
    def gradient_error(self) -> float:
        """`||sum of gradients - whole|| / sum of ||gradients||`: near an optimum the
        whole is small against its parts, and rounding must be measured by these.
        """
        parts = list(self.gradients.values())
        difference = np.sum(parts, axis=0, dtype=np.float64) - self.gradient
        size = sum(float(np.linalg.norm(part)) for part in parts)
        return float(np.linalg.norm(difference)) / max(size, _TINY)

    def by(self, part: str | Callable[[Any], Hashable]) -> "Account":
        """The same account with terms of one kind added up.

        Args:
          part: name of a field of the terms ("layer", "style", "region", "kind"), or a
            function from a term's name to the name of its group.

        Returns:
          An `Account`, whose names are the groups.

        Raises:
          ValueError: the terms have no such part.
        """
        group = part if callable(part) else _field(part)
        values: dict[Any, float] = {}
        gradients: dict[Any, np.ndarray] = {}
        for name, value in self.values.items():
            key = group(name)
            values[key] = values.get(key, 0.0) + value
            gradients[key] = gradients.get(key, 0.0) + self.gradients[name]
        return dataclasses.replace(self, values=values, gradients=gradients)

    def pull(self) -> dict[Any, np.ndarray]:
        """How hard each term pulls at each pixel: the length of its gradient.

        Returns:
          (h, w), not negative, by name.
        """
        return {
            name: np.linalg.norm(gradient, axis=-1)
            for name, gradient in self.gradients.items()
        }

    def shares(self, *, sigma: float = 0.0) -> dict[Any, np.ndarray]:
        """Each term's share of all pulls at each pixel; they sum to 1.

        Args:
          sigma: pulls are blurred by a Gaussian of this deviation in pixels first: of
            single pixels near an optimum, pulls are mostly noise.

        Returns:
          (h, w) in [0, 1], by name; 0 everywhere where nothing pulls.
        """
        pulls = {
            name: np.asarray(gaussian_blur(jnp.asarray(pull)[None, :, :, None], sigma))[
                0, :, :, 0
            ]
            for name, pull in self.pull().items()
        }
        whole = np.maximum(sum(pulls.values()), _TINY)
        return {name: pull / whole for name, pull in pulls.items()}

    def in_regions(self, masks: Float[np.ndarray, "k h w"]) -> np.ndarray:
        """The gradient of each term summed over regions, by absolute value.

        Args:
          masks: (k, h, w), which sum to 1 at each pixel.

        Returns:
          (terms, k): rows in the order of `values`; a row sums to the absolute sum of
          that term's gradient.

        Raises:
          ValueError: masks of another size, or that do not add up.
        """
        masks = np.asarray(masks, np.float64)
        if masks.ndim != 3 or masks.shape[1:] != self.gradient.shape[:2]:
            raise ValueError(
                f"masks: expected shape (k, {self.gradient.shape[0]},"
                f" {self.gradient.shape[1]}), got {masks.shape}"
            )
        if np.abs(masks.sum(axis=0) - 1).max() > 1e-4:
            raise ValueError(
                "masks: expected regions that sum to 1 at each pixel; add the rest of"
                " the picture as one more"
            )
        sizes = [np.abs(g).sum(axis=-1) for g in self.gradients.values()]
        return np.einsum("thw,khw->tk", np.asarray(sizes, np.float64), masks)


def account(terms_fn: TermsFn, image: Any) -> Account:
    """The loss of a picture and its gradient, term by term.

    Each term costs one forward and one backward pass, one after the other, so that the
    device's memory does not grow with their number.

    Args:
      terms_fn: pictures (b, h, w, c) to their terms (b,) by name.
      image: one picture, (h, w, c) or (1, h, w, c), float.

    Returns:
      An `Account`.

    Raises:
      ValueError: a batch, or a function without terms.

    Example:
      >>> found = account(lambda x: {"sum": x.sum(axis=(1, 2, 3))}, jnp.ones((2, 2, 3)))
      >>> found.total, found.gradients["sum"].shape
      (12.0, (2, 2, 3))
    """
    picture = jnp.asarray(image)
    if picture.ndim == 3:
        picture = picture[None]
    if picture.ndim != 4 or picture.shape[0] != 1:
        raise ValueError(
            f"image: expected one picture (h, w, c) or (1, h, w, c), got shape"
            f" {jnp.shape(image)}"
        )
    names, values, gradients = _split(terms_fn, picture)

    def whole(x: Image) -> Array:
        return jnp.sum(sum(terms_fn(x).values(), start=jnp.zeros(())))

    total, gradient = jax.jit(jax.value_and_grad(whole))(picture)
    return Account(
        dict(zip(names, map(float, values), strict=True)),
        dict(zip(names, gradients, strict=True)),
        float(total),
        np.asarray(gradient[0]),
    )


def _split(terms_fn: TermsFn, picture: Image) -> tuple[list, Array, list[np.ndarray]]:
    """Names of the terms, their values (t,) and gradients (h, w, c)."""
    names = list(jax.eval_shape(terms_fn, picture))
    if not names:
        raise ValueError("terms_fn: expected at least one term, got none")

    def stacked(x: Image) -> Array:
        found = terms_fn(x)
        return jnp.stack([jnp.sum(found[name]) for name in names])

    def backward(x: Image, cotangent: Array) -> tuple[Array, Array]:
        values, pull_back = jax.vjp(stacked, x)
        return values, pull_back(cotangent)[0][0]

    # One compiled program for all terms, called from the host: inside a loop XLA's
    # gradients of convolutions are slow on CPUs (see `train.minimize`).
    one = jax.jit(backward)
    gradients = []
    for row in jnp.eye(len(names)):
        values, gradient = one(picture, row)
        gradients.append(np.asarray(gradient))
    return names, values, gradients


def _field(part: str) -> Callable[[Any], Hashable]:
    def group(name: Any) -> Hashable:
        if part not in getattr(name, "_fields", ()):
            known: Sequence[str] = getattr(name, "_fields", ())
            listed = ", ".join(known) or "none"
            raise ValueError(
                f"part: expected a field of the terms ({listed}), got {part!r}"
            )
        return getattr(name, part)

    return group
