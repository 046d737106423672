"""Fréchet and kernel distance: how far two sets of feature vectors are apart.

Both work on the host in float64, on vectors of any `feature_fn`; `pool` of
`stylejax.metrics.sample_statistics` makes one vector of each picture. The Fréchet
distance streams; the kernel distance needs all vectors, not all pairs of them at once.

Numbers of different features, sample sizes or resizings cannot be compared. With few
samples prefer the kernel distance: it is unbiased.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from stylejax.checks import check_positive
from stylejax.metrics.pixel import Interval
from stylejax.metrics.sample_statistics import (
    SampleStatistics,
    as_vectors,
    check_dimensions,
)

_BLOCK = 4_000_000  # numbers of a kernel matrix held at a time


class FrechetDistance(NamedTuple):
    """A Fréchet distance and how far to trust it.

    Attributes:
      value: the squared distance, not negative.
      rank_deficient: one set has no more samples than dimensions, so its covariance is
        singular and `value` biased, by much; it orders nothing but sets of one size.
      num_samples: of the two sets.
      dimensions: of the vectors.
    """

    value: float
    rank_deficient: bool
    num_samples: tuple[int, int]
    dimensions: int


def frechet_distance(x: SampleStatistics, y: SampleStatistics) -> FrechetDistance:
    """The squared Fréchet distance of two Gaussians with these moments.

        |m_x - m_y|^2 + tr(C_x + C_y - 2 (C_x C_y)^(1/2))

    The trace of the root is the sum of the singular values of C_x^(1/2) C_y^(1/2), and
    the two roots come from symmetric eigenvalues: nothing is inverted, nothing turns
    complex, and singular covariances are no special case.

    Args:
      x: of one set, with two samples or more.
      y: of the other.

    Returns:
      A `FrechetDistance`. The value is biased upwards at any sample size, the more the
      fewer samples; compare sets of one size alone.

    Raises:
      ValueError: fewer than two samples, or different dimensions.

    Example:
      >>> from stylejax.metrics.sample_statistics import empty, update
      >>> points = np.array([[0.0], [2.0], [4.0]])
      >>> x, y = update(empty(1), points), update(empty(1), points + 3.0)
      >>> round(frechet_distance(x, y).value, 6)
      9.0

    Reference:
      Heusel et al. 2017, https://arxiv.org/abs/1706.08500, whose features are Inception
      v3's; give those from weights of your own.
    """
    check_dimensions(len(x.mean), len(y.mean))
    dimensions = len(x.mean)
    roots = [_root(s.covariance) for s in (x, y)]
    fidelity = np.linalg.svd(roots[0] @ roots[1], compute_uv=False).sum()
    traces = sum(float(np.trace(s.covariance)) for s in (x, y))
    value = float(np.sum((x.mean - y.mean) ** 2)) + traces - 2.0 * float(fidelity)
    counts = (x.count, y.count)
    return FrechetDistance(
        max(value, 0.0), min(counts) <= dimensions, counts, dimensions
    )


@dataclasses.dataclass(frozen=True)
class PolynomialKernel:
    """`k(u, v) = (gamma u v + coefficient)^degree`.

    Attributes:
      degree: 3 compares means, second and third moments.
      gamma: None for 1 / d, d being the length of the vectors.
      coefficient: the larger, the more the low moments count.
    """

    degree: int = 3
    gamma: float | None = None
    coefficient: float = 1.0

    def __call__(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Returns k of every row of u with every row of v."""
        gamma = 1.0 / u.shape[1] if self.gamma is None else self.gamma
        return (gamma * (u @ v.T) + self.coefficient) ** self.degree


KID_KERNEL = PolynomialKernel()


class KernelDistance(NamedTuple):
    """A kernel distance with its uncertainty.

    Attributes:
      value: unbiased estimate of the squared maximum mean discrepancy; about 0, and
        below it half the time, for sets of one distribution.
      interval: of `value`, from half-samples.
      standard_error: of `value`, from half-samples.
      num_samples: of the two sets.
    """

    value: float
    interval: Interval
    standard_error: float
    num_samples: tuple[int, int]


def kernel_distance(
    x: ArrayLike,
    y: ArrayLike,
    *,
    seed: int = 0,
    num_subsets: int = 200,
    level: float = 0.95,
    kernel: PolynomialKernel = KID_KERNEL,
) -> KernelDistance:
    """The unbiased squared maximum mean discrepancy with a polynomial kernel.

        mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean k(x_i, y_j)

    The interval holds the middle estimates of random halves of both sets, drawn without
    replacement: what halves miss of the whole spreads as the whole misses the truth. (A
    bootstrap would put equal samples into a set and with them k(x, x), a bias.)

    Args:
      x: (n, d), finite, four samples or more.
      y: (m, d), likewise.
      seed: of the halves.
      num_subsets: how many halves.
      level: coverage of the interval, in (0, 1).
      kernel: k, of degree 3 unless told.

    Returns:
      A `KernelDistance`. The interval is about 1.7 times too wide where the
      distributions are equal, and somewhat narrow for few samples of heavy tails (90 %
      for 95 of 100 Gaussian samples on a line).

    Raises:
      ValueError: too few samples, other dimensions, not finite, options out of range.

    Example:
      >>> x = np.arange(8.0)[:, None]
      >>> kernel_distance(x, x + 5.0).value > 0
      True

    Reference:
      Binkowski et al. 2018, https://arxiv.org/abs/1801.01401; KID is this on Inception
      features. They state the mean and deviation over `kernel_distance_subsets`.
    """
    first, second = _two_sets(x, y, least=4)
    check_positive(num_subsets, name="num_subsets")
    if not 0 < level < 1:
        raise ValueError(f"level: expected a number between 0 and 1, got {level}")
    generator = np.random.default_rng(seed)
    # The whole set comes first, then the halves.
    rows_x, rows_y = (
        np.vstack([np.ones(n), _subsets(generator, n, n // 2, num_subsets)])
        for n in (len(first), len(second))
    )
    estimates = _discrepancies(first, second, rows_x, rows_y, kernel)
    value, halves = estimates[0], estimates[1:]
    low, high = np.quantile(halves, [(1 - level) / 2, (1 + level) / 2])
    error = float(np.sqrt(np.mean((halves - value) ** 2)))
    interval = Interval(float(low), float(high))
    return KernelDistance(float(value), interval, error, (len(first), len(second)))


def kernel_distance_subsets(
    x: ArrayLike,
    y: ArrayLike,
    *,
    subset_size: int,
    seed: int = 0,
    num_subsets: int = 100,
    kernel: PolynomialKernel = KID_KERNEL,
) -> np.ndarray:
    """The kernel distances of random subsets, as the literature states KID.

    Args:
      x: (n, d), finite.
      y: (m, d), finite.
      subset_size: samples of each set in a subset, drawn without replacement; usual
        are 1000.
      seed: of the subsets.
      num_subsets: how many.
      kernel: as in `kernel_distance`.

    Returns:
      (num_subsets,), float64. Their mean estimates the distance; their deviation tells
      of `subset_size`, not of n and m: it is no standard error.

    Raises:
      ValueError: fewer samples than `subset_size`, or that is below 2; different
        dimensions; numbers that are not finite.
    """
    first, second = _two_sets(x, y, least=2)
    check_positive(num_subsets, name="num_subsets")
    most = min(len(first), len(second))
    if not 2 <= subset_size <= most:
        raise ValueError(
            f"subset_size: expected 2 to {most}, the smaller set, got {subset_size}"
        )
    generator = np.random.default_rng(seed)
    rows_x, rows_y = (
        _subsets(generator, len(z), subset_size, num_subsets) for z in (first, second)
    )
    return _discrepancies(first, second, rows_x, rows_y, kernel)


def _subsets(generator, count: int, size: int, num_subsets: int) -> np.ndarray:
    """(num_subsets, count) of 0 and 1, `size` ones a row."""
    order = generator.random((num_subsets, count)).argsort(axis=1)
    return (order < size).astype(np.float64)


def _discrepancies(x, y, rows_x, rows_y, kernel) -> np.ndarray:
    """The unbiased discrepancy of every pair of subsets, rows of 0 and 1."""
    sizes_x, sizes_y = rows_x.sum(axis=1), rows_y.sum(axis=1)
    within_x = _sums(x, x, rows_x, rows_x, kernel, skip_equal=True)
    within_y = _sums(y, y, rows_y, rows_y, kernel, skip_equal=True)
    between = _sums(x, y, rows_x, rows_y, kernel, skip_equal=False)
    return (
        within_x / (sizes_x * (sizes_x - 1))
        + within_y / (sizes_y * (sizes_y - 1))
        - 2.0 * between / (sizes_x * sizes_y)
    )


def _sums(u, v, rows_u, rows_v, kernel, *, skip_equal: bool) -> np.ndarray:
    """Sum over i in u's and j in v's subset of k(u_i, v_j), a block of i at a time."""
    total = np.zeros(len(rows_u))
    size = max(1, _BLOCK // len(v))
    for start in range(0, len(u), size):
        block = kernel(u[start : start + size], v)
        if skip_equal:
            block[np.arange(len(block)), start + np.arange(len(block))] = 0.0
        part = rows_u[:, start : start + size]
        total += np.einsum("ri,ir->r", part, block @ rows_v.T)
    return total


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    # Rounding makes 1e-16 of a zero, and the root of that is 1e-8: such values are
    # zeros, or singular covariances would cost half of the digits.
    noise = len(values) * np.finfo(values.dtype).eps * np.abs(values).max()
    return (vectors * np.sqrt(np.where(values > noise, values, 0.0))) @ vectors.T


def _two_sets(x: ArrayLike, y: ArrayLike, *, least: int):
    first, second = as_vectors(x, name="x"), as_vectors(y, name="y")
    check_dimensions(first.shape[1], second.shape[1])
    if min(len(first), len(second)) < least:
        raise ValueError(
            f"expected {least} samples or more in each set, got {len(first)} and"
            f" {len(second)}"
        )
    return first, second
