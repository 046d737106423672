"""Features on the principal axes of their training examples. Pure and mappable.

Standardised training features are rotated onto their principal axes, found from the
smaller of the two Gram matrices: `d d`, or `n n` (the dual form) where there are more
features than examples. A rotation does not change a penalty on the weights' length,
and on these axes the linear problems of `stylejax.explain.linear_solvers` are easy.

Examples that are not trained on have weight 0, so that folds are mapped, not sliced.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

# A feature that varies by less than this share of its mean does so by rounding.
_CONSTANT = 1e-6
# A unit that fires for one training example of hundreds is 20 standard deviations off
# there, and may be thousands off where it is tested: a feature whose variance rests on
# fewer examples than this is left out. (With random ReLU features, a quarter of them
# nearly dead, R2 rose from 0.08 to 0.86.)
_SUPPORT = 3
# Axes of the dual form with less than this share of the largest variance are rounding.
_RANK = 1e-7


class Basis(NamedTuple):
    """Features on the principal axes of their training examples.

    Attributes:
      center: `d`, the training mean.
      scale: `d`, the training standard deviation; 1 where a feature is left out.
      axes: `d r`, the axes in standardised features, `r` the smaller of `n` and `d`;
        zeros for those of the dual form along which nothing varies.
      rows: `n r`, every example on these axes.
      spectrum: `r`, the weighted sum of squares of each column of `rows`.
      metric: `r r`, the axes' own products: the identity but for rounding, which the
        penalty takes into account.
    """

    center: Float[Array, " d"]
    scale: Float[Array, " d"]
    axes: Float[Array, "d r"]
    rows: Float[Array, "n r"]
    spectrum: Float[Array, " r"]
    metric: Float[Array, "r r"]


def principal_basis(
    features: Float[Array, "n d"], weights: Float[Array, " n"], *, standardize: bool
) -> Basis:
    """The principal axes of the weighted, standardised features.

    Args:
      features: `n d`.
      weights: `n`, not negative; 0 is not trained on.
      standardize: divide by the training standard deviation. Features that are constant
        are left out, and those that vary for one or two training examples alone.

    Returns:
      A `Basis`; all moments are those of the weighted examples alone.
    """
    center = weights @ features / weights.sum()
    centered = features - center[None]
    # The mean of values far from zero is rounded: what it missed is taken away as well.
    missed = weights @ centered / weights.sum()
    center, centered = center + missed, centered - missed[None]
    spread = jnp.sqrt(weights @ centered**2 / weights.sum())
    varies = spread > _CONSTANT * jnp.abs(center)
    if standardize:
        varies = varies & _supported(centered * (weights > 0)[:, None], weights)
    scale = jnp.where(varies & standardize, spread, 1.0)
    centered = jnp.where(varies[None], centered / scale[None], 0.0)
    training = centered * jnp.sqrt(weights)[:, None]
    if features.shape[1] <= features.shape[0]:
        spectrum, axes = jnp.linalg.eigh(training.T @ training)
        spectrum = jnp.maximum(spectrum, 0)
    else:
        spectrum, mix = jnp.linalg.eigh(training @ training.T)
        spectrum = jnp.where(spectrum > _RANK * spectrum[-1], spectrum, 0)
        length = jnp.sqrt(spectrum)
        used = length > 0
        axes = (
            training.T @ mix * jnp.where(used, 1 / jnp.where(used, length, 1), 0)[None]
        )
    metric = axes.T @ axes
    metric = metric + jnp.diag((jnp.diag(metric) == 0).astype(metric.dtype))
    return Basis(center, scale, axes, centered @ axes, spectrum, metric)


def _supported(centered: Array, weights: Array) -> Array:
    """Whether each feature's variance rests on enough examples: participation."""
    largest = (centered**2).max(axis=0, keepdims=True)
    squares = centered**2 / jnp.where(largest > 0, largest, 1)
    total, number = weights.sum(), weights.sum() ** 2 / (weights**2).sum()
    fourth = weights @ squares**2
    support = (weights @ squares) ** 2 / jnp.where(fourth > 0, fourth, 1)
    return support * number / total >= jnp.minimum(_SUPPORT, number / 3)
