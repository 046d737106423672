"""Folds that share no group and look alike, and control tasks. Host side, NumPy.

Crops of one picture are nearly the same example. If some are trained on and others
tested, a probe that only remembers pictures looks as if it had understood them. So the
examples of one group stay in one fold; and each fold gets its part of every label.

A control task (Hewitt and Liang 2019) turns this round: every group gets a random
label, its examples are spread over the folds, and remembering is all that can help.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class NestedFolds(NamedTuple):
    """Which fold each example is tested in, and folds within each training set.

    Attributes:
      outer: `n`, the fold from 0 to `k - 1` that tests the example.
      inner: `k n`, for each outer fold the inner fold of its training examples, from 0;
        -1 for the examples that the outer fold tests.
    """

    outer: np.ndarray
    inner: np.ndarray

    def training_masks(self) -> np.ndarray:
        """The training sets, float32 `k n` of 0 and 1."""
        folds = np.arange(len(self.inner))
        return (self.outer[None] != folds[:, None]).astype(np.float32)

    def inner_training_masks(self) -> np.ndarray:
        """Those of the inner folds, float32 `k j n`: no example of the outer's test."""
        inner = np.arange(self.inner.max() + 1)[None, :, None]
        training = (self.inner[:, None] != inner) & (self.inner[:, None] >= 0)
        return training.astype(np.float32)

    def inner_test_masks(self) -> np.ndarray:
        """What the inner folds are tested on, float32 `k j n`."""
        inner = np.arange(self.inner.max() + 1)[None, :, None]
        return (self.inner[:, None] == inner).astype(np.float32)


def assign_folds(
    strata: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    num_folds: int = 5,
    seed: int = 0,
) -> np.ndarray:
    """The fold of each example: groups stay together, every stratum is spread evenly.

    Groups are shuffled, taken from large to small, and each goes to the fold that so
    far has the least of what the group consists of. With groups of one example this
    splits every stratum into parts that differ by at most one.

    Args:
      strata: `n` labels to balance, of any kind; all equal to balance sizes alone.
      groups: `n` names, of any kind; by default each example is its own group.
      num_folds: at least 2.
      seed: of the shuffle.

    Returns:
      int `n`, from 0 to `num_folds - 1`, each fold with at least one group.

    Raises:
      ValueError: fewer groups than folds, or lengths that differ.

    Example:
      >>> folds = assign_folds([0] * 6, groups=[1, 1, 2, 2, 3, 3], num_folds=3)
      >>> sorted(folds.tolist())
      [0, 0, 1, 1, 2, 2]
    """
    strata = numbered(strata, name="strata")
    count = len(strata)
    groups = np.arange(count) if groups is None else numbered(groups, name="groups")
    if len(groups) != count:
        raise ValueError(f"groups: expected one for each of {count}, got {len(groups)}")
    num_groups = int(groups.max()) + 1
    if not 2 <= num_folds <= num_groups:
        raise ValueError(
            f"num_folds: expected 2 to {num_groups}, the number of groups, got"
            f" {num_folds}; a group is never split"
        )
    totals = np.bincount(strata).astype(np.float64)
    held = np.zeros((num_folds, len(totals)))
    fold_of = np.zeros(num_groups, int)
    for group, kinds, amounts in _large_groups_first(strata, groups, seed):
        shares = (held[:, kinds] * amounts / totals[kinds]).sum(axis=1)
        # Least of the same strata, then the smallest fold: an empty one comes first.
        fold = np.lexsort((held.sum(axis=1), shares.round(12)))[0]
        held[fold, kinds] += amounts
        fold_of[group] = fold
    return fold_of[groups]


def nested_folds(
    strata: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    num_folds: int = 5,
    num_inner_folds: int = 3,
    seed: int = 0,
) -> NestedFolds:
    """Folds to test on, and within each training set folds to choose a penalty on.

    Args:
      strata: `n` labels to balance.
      groups: `n` names; by default each example is its own group.
      num_folds: outer folds, at least 2.
      num_inner_folds: folds of each training set, at least 2.
      seed: of the shuffles.

    Returns:
      A `NestedFolds`: no group is on both sides of any of its splits.

    Raises:
      ValueError: fewer groups than folds, also within a training set.
    """
    strata = numbered(strata, name="strata")
    groups = (
        np.arange(len(strata)) if groups is None else numbered(groups, name="group")
    )
    outer = assign_folds(strata, groups=groups, num_folds=num_folds, seed=seed)
    inner = np.full((num_folds, len(strata)), -1)
    for fold in range(num_folds):
        training = outer != fold
        inner[fold, training] = assign_folds(
            strata[training],
            groups=groups[training],
            num_folds=num_inner_folds,
            seed=seed + 1 + fold,
        )
    return NestedFolds(outer, inner)


def quantile_strata(values: ArrayLike, *, num_bins: int = 5) -> np.ndarray:
    """Numbers as strata: the bin between quantiles that each falls into.

    Args:
      values: `n` numbers.
      num_bins: bins of about equal size.

    Returns:
      int `n`, from 0 to `num_bins - 1`.

    Example:
      >>> quantile_strata([0.1, 5.0, 0.2, 9.0], num_bins=2).tolist()
      [0, 1, 0, 1]
    """
    values = np.asarray(values, np.float64)
    edges = np.quantile(values, np.linspace(0, 1, num_bins + 1)[1:-1])
    return np.searchsorted(edges, values, side="left")


def control_targets(targets: ArrayLike, *, groups: ArrayLike, seed: int) -> np.ndarray:
    """The targets of a control task: one for each group, drawn blindly.

    Each group offers the target of one of its examples, and the offers are shuffled
    over the groups. Where a group has one label throughout, as a content scene has,
    this is a permutation over groups: the marginal distribution is kept exactly.

    Args:
      targets: `n` labels or numbers, or `n k` columns.
      groups: `n` names: the *types* of the control task.
      seed: of the draw.

    Returns:
      An array like `targets`, equal within each group.

    Raises:
      ValueError: lengths that differ.

    Reference: Hewitt and Liang, "Designing and Interpreting Probes with Control Tasks",
      2019. They draw independently for each type, which keeps the marginal on average.
    """
    targets = np.asarray(targets)
    groups = numbered(groups, name="groups")
    if len(targets) != len(groups):
        raise ValueError(
            f"groups: expected one for each of {len(targets)}, got {len(groups)}"
        )
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(len(groups))
    # np.unique finds the first member of each group in a random order: a random one.
    offers = shuffled[np.unique(groups[shuffled], return_index=True)[1]]
    return targets[generator.permutation(offers)][groups]


def recurring(groups: ArrayLike) -> np.ndarray:
    """Which examples share their group with another.

    Args:
      groups: `n` names.

    Returns:
      bool `n`.

    Example:
      >>> recurring(["a", "b", "a"]).tolist()
      [True, False, True]
    """
    groups = numbered(groups, name="groups")
    return np.bincount(groups)[groups] > 1


def numbered(names: ArrayLike, *, name: str) -> np.ndarray:
    """Names as whole numbers from 0, in sorted order.

    Args:
      names: `n` of any kind that can be sorted.
      name: what the caller calls them.

    Returns:
      int `n`.

    Raises:
      ValueError: no names, or more than one axis.
    """
    array = np.asarray(names)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name}: expected one for each example, got {array.shape}")
    return np.unique(array, return_inverse=True)[1]


def _large_groups_first(
    strata: np.ndarray, groups: np.ndarray, seed: int
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """(group, its strata, how often it has each), in random order but for size."""
    by_group = np.argsort(groups, kind="stable")
    members = np.split(strata[by_group], np.cumsum(np.bincount(groups))[:-1])
    order = np.random.default_rng(seed).permutation(len(members))
    sizes = np.array([len(members[group]) for group in order])
    for group in order[np.argsort(-sizes, kind="stable")]:
        yield int(group), *np.unique(members[group], return_counts=True)
