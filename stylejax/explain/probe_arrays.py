"""What a linear probe reads and what it is asked for, as arrays of one form. NumPy."""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_expit, log_softmax

from stylejax.checks import check_positive


def predicted_classes(scores: ArrayLike) -> np.ndarray:
    """The most likely class of each example, whole numbers `…`.

    Args:
      scores: `… k`, from a classifying probe; one column is the log-odds of class 1.

    Returns:
      Whole numbers, the last axis reduced.

    Example:
      >>> predicted_classes([[-1.0], [2.0]]).tolist()
      [0, 1]
    """
    scores = np.asarray(scores)
    if scores.shape[-1] == 1:
        return (scores[..., 0] > 0).astype(np.int64)
    return scores.argmax(axis=-1)


def log_probabilities(scores: ArrayLike) -> np.ndarray:
    """The logarithms of the classes' probabilities from a classifying probe's scores.

    Args:
      scores: `… 1`, the log-odds of class 1 of two, or `… k` logits.

    Returns:
      float64 `… c`, natural logarithms; `c` is 2 where `k` is 1.

    Example:
      >>> np.exp(log_probabilities([0.0])).tolist()
      [0.5, 0.5]
    """
    array = np.asarray(scores, np.float64)
    if array.shape[-1] == 1:
        return log_expit(np.concatenate([-array, array], axis=-1))
    return log_softmax(array, axis=-1)


def class_columns(labels: ArrayLike, *, num_classes: int) -> np.ndarray:
    """Labels as the columns a logistic probe is fitted to.

    Args:
      labels: `n` whole numbers from 0 to `num_classes - 1`.
      num_classes: at least 2.

    Returns:
      float32: `n 1`, the label itself, for two classes; else `n num_classes` with one
      1 in each row.

    Raises:
      ValueError: labels that are not whole numbers in range.

    Example:
      >>> class_columns([0, 1], num_classes=2).tolist()
      [[0.0], [1.0]]
    """
    array = np.asarray(labels)
    whole = array.dtype.kind in "iub" and array.ndim == 1 and array.size > 0
    if num_classes < 2 or not whole or array.min() < 0 or array.max() >= num_classes:
        raise ValueError(
            f"labels: expected whole numbers from 0 to {num_classes - 1} in one row, at"
            f" least two classes, got {array.dtype} of shape {array.shape}; number them"
            " with np.unique(labels, return_inverse=True)[1]"
        )
    if num_classes == 2:
        return array.astype(np.float32)[:, None]
    return (array[:, None] == np.arange(num_classes)[None]).astype(np.float32)


def circular_columns(angle: ArrayLike, *, period: float = 2 * math.pi) -> np.ndarray:
    """An angle as two columns that a regression can follow across the seam.

    Args:
      angle: `n`, in units in which `period` is one turn: hue in [0, 1] has period 1.
      period: one turn.

    Returns:
      float32 `n 2`, the cosine and the sine.

    Raises:
      ValueError: not one row of angles.

    Example:
      >>> circular_columns([0.0, 0.5], period=1).round(3).tolist()
      [[1.0, 0.0], [-1.0, 0.0]]
    """
    check_positive(period, name="period")
    turns = np.asarray(angle, np.float64) / period
    if turns.ndim != 1:
        raise ValueError(f"angle: expected one row of angles, got shape {turns.shape}")
    columns = [np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)]
    return np.stack(columns, axis=1).astype(np.float32)


def checked_features(features: ArrayLike, *, name: str = "features") -> np.ndarray:
    """Features as finite float32 `n d`, or an error that says what came.

    Args:
      features: `n d`.
      name: what the caller calls them.

    Returns:
      float32 `n d`.

    Raises:
      ValueError: another rank, fewer than two examples, or values not finite.
    """
    array = np.asarray(features, np.float32)
    if array.ndim != 2 or array.shape[0] < 2 or array.shape[1] < 1:
        raise ValueError(
            f"{name}: expected (n, d) with at least two examples, got {array.shape};"
            " flatten activations with x.reshape(len(x), -1), or average over positions"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: expected finite values, got NaN or infinity")
    return array


def checked_columns(targets: ArrayLike, *, num_examples: int) -> np.ndarray:
    """Targets of a regression as finite float32 `n k`, or an error.

    Args:
      targets: `n` or `n k`.
      num_examples: `n`.

    Returns:
      float32 `n k`; `k` is 1 where `targets` has one axis.

    Raises:
      ValueError: another shape, or values not finite.
    """
    array = np.asarray(targets, np.float32)
    columns = array[:, None] if array.ndim == 1 else array
    fits = columns.ndim == 2 and columns.shape[0] == num_examples
    if not fits or columns.shape[1] < 1 or not np.isfinite(columns).all():
        raise ValueError(
            f"targets: expected finite values, one row for each of {num_examples}"
            f" examples, got shape {array.shape}"
        )
    return columns
