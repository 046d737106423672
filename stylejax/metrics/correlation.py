"""Correlation of two arrays, by value and by rank, and its confidence interval.

Pure and jit-safe, of all entries of an array together; `jax.vmap` for batches.
"""

from statistics import NormalDist

import jax.numpy as jnp
from jaxtyping import Array, Float

from stylejax.checks import check_choice, check_same_shape

KINDS = ("pearson", "spearman")
"""What `correlation` computes: of the values, or of their ranks."""

# An array whose spread is this many float steps of its size is constant up to the
# rounding of sums: correlating it would correlate the rounding.
_CONSTANT_STEPS = 16


def correlation(
    x: Float[Array, "..."], y: Float[Array, "..."], *, kind: str
) -> Float[Array, ""]:
    """The correlation of two arrays over all their entries.

    Args:
      x: any shape, at least two entries; computed in float32 or wider.
      y: same shape.
      kind: `"pearson"`, of the values, or `"spearman"`, of the ranks, where equal
        values share the mean of their ranks.

    Returns:
      A scalar in [-1, 1]; NaN, that is undefined, where an array is constant (to
      within the rounding of its type) or not finite.

    Raises:
      ValueError: different shapes, fewer than two entries, or another kind.

    Example:
      >>> x = jnp.array([1.0, 2.0, 3.0])
      >>> round(float(correlation(x, x**3, kind="spearman")), 6)
      1.0
    """
    check_choice(kind, choices=KINDS, name="kind")
    x, y = jnp.asarray(x), jnp.asarray(y)
    check_same_shape(x, y)
    if x.size < 2:
        raise ValueError(f"x: expected at least two entries, got shape {x.shape}")
    flat = [v.ravel().astype(jnp.promote_types(v.dtype, "float32")) for v in (x, y)]
    finite = jnp.isfinite(flat[0]).all() & jnp.isfinite(flat[1]).all()
    if kind == "spearman":
        flat = [_ranks(v) for v in flat]
    first, second = map(_standardized, flat)
    dot = jnp.vdot(first, second, precision="highest")
    return jnp.where(finite, jnp.clip(dot, -1, 1), jnp.nan)


def correlation_interval(
    value: Float[Array, ""], *, num_samples: int, kind: str, level: float = 0.95
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The approximate confidence interval of a correlation of independent samples.

    `tanh(atanh(r) -+ z s)` with `s^2 = 1 / (n - 3)`, times `1 + r^2 / 2` for ranks.

    Args:
      value: the correlation, in [-1, 1].
      num_samples: `n`, the pairs it was computed from, at least 4.
      kind: as in `correlation`.
      level: coverage, in (0, 1).

    Returns:
      Both ends; those of 1 are 1.

    Raises:
      ValueError: too few samples, another kind, or a level outside (0, 1).

    Example:
      >>> ends = correlation_interval(jnp.array(0.0), num_samples=103, kind="pearson")
      >>> [round(float(end), 3) for end in ends]
      [-0.194, 0.194]

    Reference: Fisher 1921; for ranks Bonett and Wright 2000.
    """
    check_choice(kind, choices=KINDS, name="kind")
    if num_samples < 4:
        raise ValueError(
            f"num_samples: expected 4 or more for an interval, got {num_samples}"
        )
    factor = 1 + value**2 / 2 if kind == "spearman" else jnp.ones_like(value)
    reach = normal_quantile(level) * jnp.sqrt(factor / (num_samples - 3))
    middle = jnp.arctanh(value)
    return jnp.tanh(middle - reach), jnp.tanh(middle + reach)


def normal_quantile(level: float) -> float:
    """How many standard deviations to each side hold `level` of a normal distribution.

    Args:
      level: in (0, 1).

    Returns:
      A positive Python float: 1.96 for 0.95.

    Raises:
      ValueError: a level outside (0, 1).

    Example:
      >>> round(normal_quantile(0.95), 3)
      1.96
    """
    if not 0 < level < 1:
        raise ValueError(f"level: expected a number between 0 and 1, got {level}")
    return NormalDist().inv_cdf((1 + level) / 2)


def _ranks(values: Float[Array, " n"]) -> Float[Array, " n"]:
    ascending = jnp.sort(values)
    # Twice the mean rank of equal values, less one: whole, and so exact. Half the cost
    # of jax.scipy.stats.rankdata (2026-11, jax 0.10.2).
    below, upto = (
        jnp.searchsorted(ascending, values, side=side) for side in ("left", "right")
    )
    return (below + upto).astype(values.dtype)


def _standardized(values: Float[Array, " n"]) -> Float[Array, " n"]:
    """Mean 0 and length 1, or NaN where there is no spread."""
    # Scaled first, so that squares of tiny gradients do not vanish.
    size = jnp.abs(values).max()
    values = values / jnp.where(size > 0, size, 1)
    centred = values - values.mean()
    length = jnp.sqrt(jnp.sum(jnp.square(centred)))
    steps = _CONSTANT_STEPS * jnp.finfo(values.dtype).eps
    defined = length > steps * jnp.sqrt(jnp.sum(jnp.square(values)))
    return centred / jnp.where(defined, length, jnp.nan)
