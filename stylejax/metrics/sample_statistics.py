"""What is kept of a set of feature vectors: count, mean and scatter, in float64.

    statistics = update(empty(512), pool(feature_fn(images)["relu4_3"]))

They stream: vectors come in portions of any size, and two hosts' statistics merge.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from stylejax.checks import check_positive
from stylejax.losses.weighting import FeatureMap, positions


def pool(features: FeatureMap) -> Float[Array, "b c"]:
    """One vector of each example: the mean of its feature map over the positions.

    Args:
      features: (b, h, w, c).

    Returns:
      (b, c), float32.

    Example:
      >>> pool(jnp.ones((2, 3, 4, 5))).shape
      (2, 5)
    """
    return jnp.mean(positions(features), axis=1)


@dataclasses.dataclass(frozen=True, eq=False)
class SampleStatistics:
    """Count, mean and scatter of vectors: all that the Fréchet distance needs.

    Attributes:
      count: how many vectors were seen.
      mean: (d,), float64.
      scatter: (d, d), float64, sum of (x - mean) (x - mean)^T.
    """

    count: int
    mean: np.ndarray
    scatter: np.ndarray

    @property
    def covariance(self) -> np.ndarray:
        """(d, d), unbiased: over count - 1."""
        if self.count < 2:
            raise ValueError(
                f"expected two samples or more for a covariance, got {self.count}"
            )
        return self.scatter / (self.count - 1)


def empty(dimensions: int) -> SampleStatistics:
    """The statistics of no vector at all.

    Args:
      dimensions: d, length of the vectors.

    Returns:
      `SampleStatistics` to give to `update`.

    Raises:
      ValueError: `dimensions` is not above 0.
    """
    check_positive(dimensions, name="dimensions")
    return SampleStatistics(0, np.zeros(dimensions), np.zeros((dimensions, dimensions)))


def update(statistics: SampleStatistics, vectors: ArrayLike) -> SampleStatistics:
    """The statistics with more vectors in them.

    Args:
      statistics: of those seen before, from `empty` or `update`.
      vectors: (b, d), finite.

    Returns:
      New `SampleStatistics`; in whatever portions the vectors come, they are those of
      all at once, up to rounding in float64.

    Raises:
      ValueError: another length, or numbers that are not finite.
    """
    x = as_vectors(vectors, name="vectors")
    if not len(x):
        return statistics
    mean = x.mean(axis=0)
    centred = x - mean
    return merge(statistics, SampleStatistics(len(x), mean, centred.T @ centred))


def merge(x: SampleStatistics, y: SampleStatistics) -> SampleStatistics:
    """The statistics of two sets together, for example of two hosts.

    Args:
      x: of the one.
      y: of the other, of the same dimensions.

    Returns:
      `SampleStatistics`.

    Raises:
      ValueError: the dimensions differ.

    Reference:
      Chan, Golub and LeVeque 1979: no difference of large sums is taken.
    """
    check_dimensions(len(x.mean), len(y.mean))
    count = x.count + y.count
    if not count:
        return x
    difference = y.mean - x.mean
    mean = x.mean + difference * (y.count / count)
    between = np.outer(difference, difference) * (x.count * y.count / count)
    return SampleStatistics(count, mean, x.scatter + y.scatter + between)


def as_vectors(x: ArrayLike, *, name: str) -> np.ndarray:
    """The vectors in float64.

    Args:
      x: (n, d), finite.
      name: what the caller calls it.

    Returns:
      (n, d), float64.

    Raises:
      ValueError: another rank, no dimension, or numbers that are not finite.
    """
    array = np.asarray(x, np.float64)
    if array.ndim != 2 or not array.shape[1]:
        raise ValueError(
            f"{name}: expected vectors of shape (n, d), got {array.shape}; pool feature"
            " maps first"
        )
    if not np.isfinite(array).all():
        raise ValueError(
            f"{name}: expected finite numbers, got"
            f" {int(np.sum(~np.isfinite(array)))} that are not"
        )
    return array


def check_dimensions(first: int, second: int) -> None:
    """Returns nothing; refuses vectors of different lengths.

    Args:
      first: length of the one.
      second: length of the other.

    Raises:
      ValueError: they differ.
    """
    if first != second:
        raise ValueError(
            f"expected vectors of one length, got {first} and {second}; use one"
            " feature_fn for both"
        )
