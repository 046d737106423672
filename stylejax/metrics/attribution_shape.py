"""The shape of a map: how sparse, how complex, and where its relevance lies.

Each takes one map `h w c` or `h w` and says what it does with signs by a `sign` that
must be given: `"absolute"` counts both, `"positive"` only what raises the target,
`"negative"` only what lowers it. The channels of a pixel are added up *before*, with
their signs, since a pixel contributes the sum of its channels. Nothing else is
normalised. Where nothing of the sign is left, the result is NaN: undefined.

All are pure: they may be jitted and vmapped.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stylejax.checks import check_choice

Map = Float[Array, "h w *c"]
Mask = Float[Array, "h w"]

SIGNS = ("absolute", "positive", "negative")
"""What may be counted of a map."""

# Soft masks are resized and blurred in float32.
_ROUNDING = 1e-5


def pixel_relevance(attribution: Map, *, sign: str) -> Float[Array, "h w"]:
    """The size of each pixel's contribution: channels added up, then the sign applied.

    Args:
      attribution: a map `h w c` or `h w`, signed.
      sign: a name in `SIGNS`.

    Returns:
      `h w`, not negative.

    Raises:
      ValueError: another rank or sign.

    Example:
      >>> pixel_relevance(jnp.array([[[1.0, -3.0]]]), sign="absolute").tolist()
      [[2.0]]
    """
    check_choice(sign, choices=SIGNS, name="sign")
    values = jnp.asarray(attribution)
    if values.ndim not in (2, 3):
        raise ValueError(
            f"attribution: expected a map (h, w, c) or (h, w), got {values.shape}"
        )
    values = values.astype(jnp.promote_types(values.dtype, jnp.float32))
    totals = values.sum(axis=-1) if values.ndim == 3 else values
    if sign == "absolute":
        return jnp.abs(totals)
    return jnp.maximum(totals if sign == "positive" else -totals, 0)


def sparseness(attribution: Map, *, sign: str) -> Float[Array, ""]:
    """The Gini index of a map: 0 if uniform, `1 - 1 / n` if one of `n` pixels has all.

    `sum_i (2 i - n - 1) v_i / (n sum_i v_i)` with `v` in ascending order.

    Args:
      attribution: a map `h w c` or `h w`.
      sign: a name in `SIGNS`.

    Returns:
      A scalar in [0, 1).

    Raises:
      ValueError: another rank or sign.

    Example:
      >>> float(sparseness(jnp.array([[0.0, 0.0], [0.0, 2.0]]), sign="positive"))
      0.75

    Reference: Chalasani et al., "Concise Explanations of Neural Networks using
      Adversarial Training", 2020.
    """
    ascending = jnp.sort(pixel_relevance(attribution, sign=sign).ravel())
    n = ascending.size
    shares = ascending / ascending.sum()
    weights = jnp.asarray((2 * np.arange(1, n + 1) - n - 1) / n, shares.dtype)
    return jnp.vdot(weights, shares, precision="highest")


def complexity(attribution: Map, *, sign: str) -> Float[Array, ""]:
    """The entropy of a map in nats: 0 if one pixel has all, `ln n` if uniform.

    Args:
      attribution: a map `h w c` or `h w`.
      sign: a name in `SIGNS`.

    Returns:
      A scalar in [0, ln n].

    Raises:
      ValueError: another rank or sign.

    Example:
      >>> round(float(complexity(jnp.ones((2, 2)), sign="absolute")), 4)  # ln 4
      1.3863

    Reference: Bhatt, Weller and Moura 2020, definition 4.
    """
    relevance = pixel_relevance(attribution, sign=sign)
    return jnp.sum(jax.scipy.special.entr(relevance / relevance.sum()))


def relevance_mass(attribution: Map, mask: Mask, *, sign: str) -> Float[Array, ""]:
    """The share of a map's relevance inside a mask: the area fraction if uniform.

    Args:
      attribution: a map `h w c` or `h w`.
      mask: `h w` in [0, 1], or truth values; see `check_mask_range`.
      sign: a name in `SIGNS`.

    Returns:
      A scalar in [0, 1].

    Raises:
      ValueError: another rank or sign, or a mask of another size or range.

    Example:
      >>> relevance_map = jnp.array([[3.0, -1.0]])
      >>> float(relevance_mass(relevance_map, jnp.array([[1, 0]]), sign="absolute"))
      0.75

    Reference: Arras, Osman and Samek, "CLEVR-XAI", 2022. They count what is positive.
    """
    relevance = pixel_relevance(attribution, sign=sign)
    inside = _checked_mask(mask, relevance.shape)
    check_mask_range(mask)
    return jnp.sum(relevance * inside.astype(relevance.dtype)) / relevance.sum()


def check_mask_range(mask: Array | np.ndarray) -> None:
    """Returns nothing; refuses a mask with values outside [0, 1], but for rounding.

    Args:
      mask: any shape. Under `jax.jit`, where there are no values yet, all pass.

    Raises:
      ValueError: values out of range, NaN among them.

    Example:
      >>> check_mask_range(np.array([0, 255]))
      Traceback (most recent call last):
      ValueError: mask: expected values in [0, 1], got 0 to 255
    """
    if isinstance(mask, jax.core.Tracer):
        return
    low, high = np.min(np.asarray(mask)), np.max(np.asarray(mask))
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):
        raise ValueError(f"mask: expected values in [0, 1], got {low:g} to {high:g}")


def relevance_rank(attribution: Map, mask: Mask, *, sign: str) -> Float[Array, ""]:
    """The share of the map's top pixels, as many as the mask has, that lie inside it.

    Of equal pixels at the limit, as many count as would on average be drawn: a uniform
    map has the area fraction of the mask.

    Args:
      attribution: a map `h w c` or `h w`.
      mask: `h w`, truth values or 0 and 1 (above 0.5 is inside).
      sign: a name in `SIGNS`.

    Returns:
      A scalar in [0, 1]; NaN for an empty mask or a map that is not finite.

    Raises:
      ValueError: another rank or sign, or a mask of another size.

    Example:
      >>> top_left = jnp.array([[5.0, 0.0], [1.0, 2.0]])
      >>> float(relevance_rank(top_left, jnp.array([[1, 1], [0, 0]]), sign="positive"))
      0.5

    Reference: Arras, Osman and Samek 2022; how ties count is ours.
    """
    relevance = pixel_relevance(attribution, sign=sign)
    inside = _checked_mask(mask, relevance.shape) > 0.5
    count = inside.sum()
    limit = jnp.sort(relevance.ravel())[-jnp.maximum(count, 1)]
    above, tied = relevance > limit, relevance == limit
    tied_share = (count - above.sum()) / tied.sum()
    hits = (above & inside).sum() + tied_share * (tied & inside).sum()
    return jnp.where(jnp.isfinite(relevance).all(), hits / count, jnp.nan)


def pointing_game(
    attribution: Map, mask: Mask, *, sign: str, tolerance: float = 0.0
) -> Float[Array, ""]:
    """Whether the map's highest pixel lies in a mask: 1 or 0.

    Of several equally high pixels, the share that lies in it, so that a uniform map has
    the area fraction.

    Args:
      attribution: a map `h w c` or `h w`.
      mask: `h w`, truth values or 0 and 1 (above 0.5 is inside).
      sign: a name in `SIGNS`.
      tolerance: pixels by which a hit may miss the mask, at least 0.

    Returns:
      A scalar in [0, 1]; NaN for a map that is not finite.

    Raises:
      ValueError: another rank or sign, a mask of another size, a negative tolerance.

    Example:
      >>> peak = jnp.array([[0.0, 1.0, 0.0]])
      >>> float(pointing_game(peak, jnp.array([[0, 1, 1]]), sign="positive"))
      1.0

    Reference: Zhang et al., "Top-down Neural Attention by Excitation Backprop", 2018,
      with a tolerance of 15 pixels.
    """
    if not 0 <= tolerance < math.inf:
        raise ValueError(f"tolerance: expected pixels of at least 0, got {tolerance}")
    relevance = pixel_relevance(attribution, sign=sign)
    inside = _checked_mask(mask, relevance.shape) > 0.5
    highest = relevance == relevance.max()
    hits = (highest & _dilated(inside, tolerance)).sum() / highest.sum()
    return jnp.where(jnp.isfinite(relevance).all(), hits, jnp.nan)


def _checked_mask(mask: Mask, shape: tuple[int, ...]) -> Array:
    if jnp.shape(mask) != shape:
        raise ValueError(
            f"mask: expected shape {shape}, as the map, got {jnp.shape(mask)}"
        )
    return jnp.asarray(mask)


def _dilated(inside: Array, radius: float) -> Array:
    """What lies within `radius` pixels of the mask."""
    reach = int(radius)
    if not reach:
        return inside
    offsets = np.arange(-reach, reach + 1)
    disc = offsets[:, None] ** 2 + offsets[None] ** 2 <= radius**2
    near = jax.scipy.signal.convolve(
        inside.astype(jnp.float32), jnp.asarray(disc, jnp.float32), mode="same"
    )
    return near > 0.5
