"""Cross-validated probes: every fold and every penalty in one compiled call.

The penalty is chosen by folds within each training set, so that no example has a say
in the probe that is tested on it. A training set is a row of zeros and ones: the inner
folds, the outer folds, all examples and whatever else is to be trained on are rows of
one array, and each row's whole path of penalties is fitted from one decomposition.
"""

import functools
from typing import NamedTuple

import jax
import numpy as np
from numpy.typing import ArrayLike

from stylejax.explain.batched_map import batch_size, batched_map
from stylejax.explain.cross_validation import NestedFolds
from stylejax.explain.probe_arrays import log_probabilities
from stylejax.explain.probes import Probe, fit_path

L2_SHARES = (1e2, 1e1, 1e0, 1e-1, 1e-2, 1e-3, 1e-4)
"""Penalties that are tried, in units of the features' mean variance along an axis: from
next to no features to next to no penalty."""


class CrossValidation(NamedTuple):
    """What probes say of examples that they were not trained on.

    Attributes:
      scores: `n k`, of each example by the probe of the fold that tests it.
      baseline: `n k`, the mean of that fold's training targets.
      probe: fitted to all examples, with `l2`.
      l2: the penalty with the least loss over the outer folds.
      fold_l2: the penalties chosen within each outer fold's training set.
      converged: whether the probes behind `scores`, and `probe`, all converged.
      num_iterations: the most Newton steps that one of these took.
      extra_scores: `e l n k`, of all examples by the probes of the extra training sets,
        for each penalty of the grid.
    """

    scores: np.ndarray
    baseline: np.ndarray
    probe: Probe
    l2: float
    fold_l2: tuple[float, ...]
    converged: bool
    num_iterations: int
    extra_scores: np.ndarray


def cross_validate(
    features: np.ndarray,
    targets: np.ndarray,
    folds: NestedFolds,
    *,
    kind: str,
    l2_grid: ArrayLike | None = None,
    extra_masks: np.ndarray | None = None,
) -> CrossValidation:
    """Probes tested on folds, each with a penalty chosen within its training set.

    Compiled once for each shape of features, targets and folds.

    Args:
      features: `n d`, float32.
      targets: `n k`, float32: for `"logistic"` as `probe_arrays.class_columns` makes
        them.
      folds: from `cross_validation.nested_folds`.
      kind: `"ridge"` or `"logistic"`.
      l2_grid: penalties to choose from, any order; the larger of two equals wins. By
        default `default_l2_grid` of the features' shape.
      extra_masks: `e n`, further training sets to fit in the same call.

    Returns:
      A `CrossValidation`.

    Raises:
      ValueError: a penalty that is not above 0.
    """
    path = default_l2_grid(features.shape) if l2_grid is None else checked_grid(l2_grid)
    masks, sizes = _training_sets(folds, extra_masks)
    all_examples = sizes[0] + sizes[1]
    fitted = _fit_all(
        features,
        targets,
        masks,
        path.astype(np.float32),
        kind=kind,
        all_examples=all_examples,
        batch=_batch(len(masks), features.shape),
    )
    scores, converged, counts, probes = jax.tree.map(np.asarray, fitted)
    inner, outer, _, extra = np.split(scores, np.cumsum(sizes)[:-1])
    fold_choice, choice = _choices(inner, outer, targets, folds, kind)

    num_folds = len(fold_choice)
    of_example = (folds.outer, fold_choice[folds.outer], np.arange(len(targets)))
    used_sets = np.append(np.arange(sizes[0], all_examples), all_examples)
    used = used_sets, np.append(fold_choice, choice)
    training = masks[sizes[0] : all_examples]
    means = training @ targets / training.sum(axis=1, keepdims=True)
    return CrossValidation(
        scores=outer[of_example],
        baseline=means[folds.outer],
        probe=jax.tree.map(lambda leaf: leaf[choice], probes),
        l2=float(path[choice]),
        fold_l2=tuple(float(path[fold_choice[k]]) for k in range(num_folds)),
        converged=bool(converged[used].all()),
        num_iterations=int(counts[used].max()),
        extra_scores=extra,
    )


def example_losses(scores: ArrayLike, targets: ArrayLike, *, kind: str) -> np.ndarray:
    """The loss of each example: half the squared error, or the log loss in nats.

    Args:
      scores: `… n k`, from probes.
      targets: `n k`, as the probes were fitted to.
      kind: `"ridge"` or `"logistic"`.

    Returns:
      float64 `… n`.
    """
    scores, targets = np.asarray(scores), np.asarray(targets)
    if kind == "ridge":
        error = scores.astype(np.float64) - targets
        return (error**2).sum(axis=-1) / 2
    logs = log_probabilities(scores)
    if targets.shape[-1] == 1:
        targets = np.concatenate([1 - targets, targets], axis=-1)
    return -(logs * targets).sum(axis=-1)


def default_l2_grid(shape: tuple[int, ...]) -> np.ndarray:
    """Penalties that fit the size of a problem: `max(n, d) * L2_SHARES`.

    The sum of squares of `n` standardised examples of `d` features is `n d`, over as
    many axes as the smaller of the two.

    Args:
      shape: `n`, `d`.

    Returns:
      float64, falling.

    Example:
      >>> default_l2_grid((50, 2000))[:3].tolist()
      [200000.0, 20000.0, 2000.0]
    """
    return max(shape) * np.array(L2_SHARES)


def checked_grid(l2_grid: ArrayLike) -> np.ndarray:
    """Penalties from large to small, or an error.

    Args:
      l2_grid: numbers above 0.

    Returns:
      float64 `l`, falling.

    Raises:
      ValueError: no penalty, or one that is not above 0 and finite.
    """
    grid = np.atleast_1d(np.asarray(l2_grid, np.float64))
    if grid.ndim != 1 or grid.size == 0 or not ((grid > 0) & np.isfinite(grid)).all():
        raise ValueError(f"l2_grid: expected penalties above 0, got {grid}")
    return np.sort(grid)[::-1].copy()


def _training_sets(
    folds: NestedFolds, extra_masks: np.ndarray | None
) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """The rows inner, outer, all examples, extra; and how many of each."""
    count = len(folds.outer)
    extra = np.zeros((0, count)) if extra_masks is None else extra_masks
    parts = [
        folds.inner_training_masks().reshape(-1, count),
        folds.training_masks(),
        np.ones((1, count)),
        extra,
    ]
    sizes = (len(parts[0]), len(parts[1]), 1, len(extra))
    return np.concatenate(parts).astype(np.float32), sizes


def _choices(
    inner: np.ndarray,
    outer: np.ndarray,
    targets: np.ndarray,
    folds: NestedFolds,
    kind: str,
) -> tuple[np.ndarray, int]:
    """Where in the path the penalty of each outer fold, and of all, is."""
    num_folds = len(folds.inner)
    losses = example_losses(inner, targets, kind=kind)
    losses = losses.reshape(num_folds, -1, *losses.shape[1:])
    tested = folds.inner_test_masks()[:, :, None]
    fold_choice = (losses * tested).sum(axis=(1, 3)).argmin(axis=1)
    losses = example_losses(outer, targets, kind=kind)
    tested = 1 - folds.training_masks()[:, None]
    return fold_choice, int((losses * tested).sum(axis=(0, 2)).argmin())


def _batch(num_sets: int, shape: tuple[int, ...]) -> int:
    """How many training sets to fit side by side."""
    count, width = shape
    axes = min(count, width)
    floats = 3 * count * width + 2 * axes * (width + count) + 2 * axes**2
    return batch_size(num_sets, bytes_each=4 * floats)


@functools.partial(jax.jit, static_argnames=("kind", "all_examples", "batch"))
def _fit_all(
    features: jax.Array,
    targets: jax.Array,
    masks: jax.Array,
    path: jax.Array,
    *,
    kind: str,
    all_examples: int,
    batch: int,
) -> tuple[jax.Array, jax.Array, jax.Array, Probe]:
    """Scores, convergence and steps of every training set; the probe of one of them."""

    def fit(mask: jax.Array) -> tuple[Probe, jax.Array]:
        return fit_path(features, targets, mask, path, kind=kind)

    probes, scores = batched_map(fit, masks, batch=batch)
    chosen = jax.tree.map(lambda leaf: leaf[all_examples], probes)
    return scores, probes.converged, probes.num_iterations, chosen
