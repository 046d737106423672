"""Linear probes: what can be read off activations by one hyperplane.

A probe minimises `sum_i w_i loss_i + l2/2 |W|^2` over weights `W` of standardised
features and an intercept that is not penalised. `l2` is then scikit-learn's `alpha` of
`Ridge` and `1/C` of `LogisticRegression`. The weights `w_i` of the examples choose the
training set (0 or 1), so that many folds are one mapped call with no ragged slices.

That something can be read off says nothing about whether a network reads it:
`stylejax.explain.probe_report` compares a probe with what it must beat, and
`stylejax.explain.probe_directions` moves the activations along it.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from stylejax.checks import check_choice, check_positive
from stylejax.explain import linear_solvers
from stylejax.explain.principal_basis import principal_basis
from stylejax.explain.probe_arrays import (
    checked_columns,
    checked_features,
    class_columns,
)

KINDS = ("ridge", "logistic")
"""Losses of `fit_path`: squared error, or the log loss of two or more classes."""

# Well above what float32 leaves of a gradient, and far below what a score would notice.
_TOLERANCE = 1e-6
_MAX_ITERATIONS = 50


class Probe(NamedTuple):
    """A linear read-out, in the features' own (not standardised) coordinates.

    `scores = (features - center) @ weights + offset`. The columns are the targets of a
    regression, the one log-odds of class 1 for two classes, or one logit for each of
    more. A pytree; fitted for several `l2` or folds, the fields have leading axes.

    Attributes:
      weights: `d k`.
      offset: `k`, the scores at the training mean.
      center: `d`, the training mean.
      scale: `d`, the training standard deviation (1 where a feature is left out or not
        standardised): `weights * scale[:, None]` belongs to the standardised features.
      gradient_norm: of the mean objective, over the features' root mean square length.
      converged: whether that is at most the tolerance.
      num_iterations: Newton steps; 1 for ridge.
    """

    weights: Float[Array, "d k"]
    offset: Float[Array, " k"]
    center: Float[Array, " d"]
    scale: Float[Array, " d"]
    gradient_norm: Float[Array, ""]
    converged: Array
    num_iterations: Array

    @property
    def intercept(self) -> Float[Array, " k"]:
        """The scores of a feature vector of zeros, `k`."""
        shift = jnp.matmul(self.center, self.weights, precision="highest")
        return self.offset - shift

    @property
    def normals(self) -> Float[Array, "k d"]:
        """The unit normals of the hyperplanes, one row each: where to move."""
        length = jnp.linalg.norm(self.weights, axis=0, keepdims=True)
        return (self.weights / jnp.where(length > 0, length, 1)).T

    def scores(self, features: ArrayLike) -> Float[Array, "n k"]:
        """The read-out of examples `n d`: `n k`."""
        centered = jnp.asarray(features, jnp.float32) - self.center[None]
        product = jnp.matmul(centered, self.weights, precision="highest")
        return product + self.offset[None]


def ridge_probe(
    features: ArrayLike,
    targets: ArrayLike,
    *,
    l2: float = 1.0,
    weights: ArrayLike | None = None,
    standardize: bool = True,
) -> Probe:
    """The ridge regression of targets on features, in closed form.

    Minimises `sum_i w_i |y_i - W z_i - b|^2 / 2 + l2/2 |W|^2`.

    Args:
      features: `n d`, in any unit.
      targets: `n`, or `n k` for several columns, in any unit.
      l2: penalty, above 0: scikit-learn's `alpha`.
      weights: `n`, not negative: 0 leaves an example out; by default all 1.
      standardize: divide each feature by its weighted standard deviation first.

    Returns:
      A `Probe` with `k` columns (one for targets `n`).

    Raises:
      ValueError: shapes that do not fit, or values that are not finite.

    Example:
      >>> x = jnp.array([[0.0], [1.0], [2.0]])
      >>> probe = ridge_probe(x, 3 * x[:, 0] + 1, l2=1e-4)
      >>> round(float(probe.weights[0, 0]), 3), round(float(probe.intercept[0]), 3)
      (3.0, 1.0)
    """
    x = checked_features(features)
    y = checked_columns(targets, num_examples=len(x))
    return _fit_one(x, y, weights, l2, kind="ridge", standardize=standardize)


def logistic_probe(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    num_classes: int,
    l2: float = 1.0,
    weights: ArrayLike | None = None,
    standardize: bool = True,
    tolerance: float = _TOLERANCE,
    max_iterations: int = _MAX_ITERATIONS,
) -> Probe:
    """The logistic (two classes) or multinomial (more) regression of labels.

    Minimises `sum_i w_i log loss_i + l2/2 |W|^2`, by Newton's method until the gradient
    is below the tolerance.

    Args:
      features: `n d`, in any unit.
      labels: `n` whole numbers from 0 to `num_classes - 1`.
      num_classes: at least 2.
      l2: penalty, above 0: scikit-learn's `1/C`.
      weights: `n`, not negative: 0 leaves an example out; by default all 1.
      standardize: divide each feature by its weighted standard deviation first.
      tolerance: for `Probe.gradient_norm`.
      max_iterations: Newton steps after which it gives up, and `converged` says so.

    Returns:
      A `Probe`: one column, the log-odds of class 1, for two classes; else one column
      for each class, which sum to zero.

    Raises:
      ValueError: shapes or labels that do not fit, or values that are not finite.

    Example:
      >>> x = jnp.array([[-2.0], [-1.0], [1.0], [2.0]])
      >>> probe = logistic_probe(x, np.array([0, 0, 1, 1]), num_classes=2)
      >>> (probe.scores(x)[:, 0] > 0).tolist()
      [False, False, True, True]
    """
    x = checked_features(features)
    y = class_columns(labels, num_classes=num_classes)
    if len(y) != len(x):
        raise ValueError(f"labels: expected one for each of {len(x)}, got {len(y)}")
    check_positive(tolerance, name="tolerance")
    return _fit_one(
        x,
        y,
        weights,
        l2,
        kind="logistic",
        standardize=standardize,
        tolerance=tolerance,
        max_iterations=max_iterations,
    )


def fit_path(
    features: Float[Array, "n d"],
    targets: Float[Array, "n k"],
    weights: Float[Array, " n"],
    l2_path: Float[Array, " l"],
    *,
    kind: str,
    standardize: bool = True,
    tolerance: float | Array = _TOLERANCE,
    max_iterations: int | Array = _MAX_ITERATIONS,
) -> tuple[Probe, Float[Array, "l n k"]]:
    """The probes of a whole path of penalties, and their scores of every example.

    Pure: it may be jitted and mapped over any of its arrays, and checks no values.

    Args:
      features: `n d`, float32.
      targets: `n k`: for `"logistic"` as `class_columns` makes them.
      weights: `n`, 0 for the examples that are not trained on.
      l2_path: `l`, best from large to small: each fit starts from the one before.
      kind: one of `KINDS`.
      standardize: divide each feature by its weighted standard deviation first.
      tolerance: for `Probe.gradient_norm`.
      max_iterations: Newton steps for each penalty.

    Returns:
      A `Probe` whose fields have a leading axis `l`, and the scores `l n k` of all
      examples, those of weight 0 too.

    Raises:
      ValueError: an unknown kind.
    """
    check_choice(kind, choices=KINDS, name="kind")

    def solve(start: tuple, l2: Array) -> tuple[tuple, linear_solvers.Fit]:
        if kind == "ridge":
            fit = linear_solvers.solve_ridge(basis, targets, weights, l2)
        else:
            fit = linear_solvers.solve_logistic(
                basis,
                targets,
                weights,
                l2,
                start,
                tolerance=tolerance,
                max_iterations=max_iterations,
            )
        return (fit.values, fit.offset), fit

    # Explanations are checked to many digits, also where the device's default is less.
    with jax.default_matmul_precision("highest"):
        basis = principal_basis(features, weights, standardize=standardize)
        num_axes, num_columns = basis.rows.shape[1], targets.shape[1]
        start = (jnp.zeros((num_axes, num_columns)), jnp.zeros(num_columns))
        fits = jax.lax.scan(solve, start, l2_path)[1]
        scores = basis.rows[None] @ fits.values + fits.offset[:, None]
        standardized = basis.axes[None] @ fits.values
    repeat = functools.partial(jnp.tile, reps=(len(l2_path), 1))
    probe = Probe(
        weights=standardized / basis.scale[None, :, None],
        offset=fits.offset,
        center=repeat(basis.center),
        scale=repeat(basis.scale),
        gradient_norm=fits.gradient_norm,
        converged=fits.gradient_norm <= tolerance,
        num_iterations=fits.num_iterations,
    )
    return probe, scores


_fit_path = jax.jit(fit_path, static_argnames=("kind", "standardize"))


def _fit_one(
    features: np.ndarray,
    targets: np.ndarray,
    weights: ArrayLike | None,
    l2: float,
    **options: object,
) -> Probe:
    check_positive(l2, name="l2")
    count = len(features)
    w = np.ones(count) if weights is None else np.asarray(weights)
    if w.shape != (count,) or not (w >= 0).all() or not (w > 0).any():
        raise ValueError(
            f"weights: expected one of at least 0 for each of {count} examples, not all"
            f" 0, got shape {w.shape}"
        )
    path = np.asarray([l2], np.float32)
    probe, _ = _fit_path(features, targets, w.astype(np.float32), path, **options)
    return jax.tree.map(lambda leaf: leaf[0], probe)
