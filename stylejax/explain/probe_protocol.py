"""The parts of a probe's protocol: the task, its scores, their interval, the control.

Every metric here is `1 - sum lost / sum scale` over examples, so that folds, intervals
and controls need not know which: accuracy loses 1 of 1 for a wrong label, R2 loses the
squared error out of the squared distance from the training fold's mean.
"""

from collections.abc import Hashable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest

from stylejax.explain.cross_validation import (
    NestedFolds,
    control_targets,
    nested_folds,
    quantile_strata,
    recurring,
)
from stylejax.explain.description_length import (
    CodeBlocks,
    DescriptionLength,
    online_code,
)
from stylejax.explain.probe_arrays import (
    checked_columns,
    class_columns,
    predicted_classes,
)
from stylejax.explain.probe_selection import CrossValidation, cross_validate
from stylejax.metrics.pixel import Interval, bootstrap_ratio_interval

_RESAMPLES = 4000
_LEVEL = 0.95


class Task(NamedTuple):
    """A factor to predict.

    Attributes:
      kind: `"logistic"` or `"ridge"`.
      targets: `n k`, the columns that probes are fitted to.
      labels: `n`, whole numbers from 0; of a regression all 0.
      classes: the users' labels behind these; empty for a regression.
      strata: `n`, what folds balance.
    """

    kind: str
    targets: np.ndarray
    labels: np.ndarray
    classes: tuple[Hashable, ...]
    strata: np.ndarray

    @property
    def majority(self) -> float:
        """The score of the best constant answer."""
        if self.kind == "ridge":
            return 0.0
        return float(np.bincount(self.labels).max() / len(self.labels))


class Scored(NamedTuple):
    """How a probe did on the examples that it was not trained on.

    Attributes:
      fold_scores: one for each fold.
      lost: `n`, see the head of this module.
      scale: `n`.
      description: bits of the labels; None for a regression.
      validation: the probes.
    """

    fold_scores: np.ndarray
    lost: np.ndarray
    scale: np.ndarray
    description: DescriptionLength | None
    validation: CrossValidation

    @property
    def score(self) -> float:
        """The mean over the folds."""
        return float(self.fold_scores.mean())

    @property
    def std(self) -> float:
        """The standard deviation over the folds."""
        return float(self.fold_scores.std(ddof=1))


class Control(NamedTuple):
    """What probes reach on labels that can only be remembered.

    Attributes:
      score: mean over control tasks and folds; NaN where there is no control task.
      std: standard deviation over the same.
      note: how it was made, or why there is none.
    """

    score: float
    std: float
    note: str


def make_task(labels: ArrayLike, *, num_examples: int) -> Task:
    """The task that labels stand for: floats are a regression, all else is classes.

    Args:
      labels: `n` whole numbers, booleans or names, or floats `n` or `n k`.
      num_examples: `n`.

    Returns:
      A `Task`.

    Raises:
      ValueError: another number of labels, or a factor that does not vary.
    """
    array = np.asarray(labels)
    if array.dtype.kind == "f":
        columns = checked_columns(array, num_examples=num_examples)
        if not np.ptp(columns, axis=0).any():
            raise ValueError("labels: expected a factor that varies, got one value")
        zeros = np.zeros(num_examples, int)
        strata = quantile_strata(columns[:, 0]) if columns.shape[1] == 1 else zeros
        return Task("ridge", columns, zeros, (), strata)
    if array.shape != (num_examples,) or array.dtype.kind not in "iubUS":
        raise ValueError(
            f"labels: expected {num_examples} whole numbers or names (classes), or"
            f" floats (regression), got {array.dtype} of shape {array.shape}"
        )
    classes, numbers = np.unique(array, return_inverse=True)
    if len(classes) < 2:
        raise ValueError("labels: expected at least two classes, got one")
    columns = class_columns(numbers, num_classes=len(classes))
    return Task("logistic", columns, numbers, tuple(classes.tolist()), numbers)


def evaluate(
    features: np.ndarray,
    task: Task,
    folds: NestedFolds,
    blocks: CodeBlocks,
    *,
    l2_grid: ArrayLike | None,
    counted: np.ndarray | None = None,
) -> Scored:
    """The scores of cross-validated probes on a task, and the bits of its labels.

    Args:
      features: `n d`, float32.
      task: from `make_task`.
      folds: from `cross_validation.nested_folds`.
      blocks: from `description_length.code_blocks`.
      l2_grid: penalties to choose from; None for `default_l2_grid`.
      counted: bool `n`, the examples that count for the scores; by default all.

    Returns:
      A `Scored`.
    """
    validation = cross_validate(
        features,
        task.targets,
        folds,
        kind=task.kind,
        l2_grid=l2_grid,
        extra_masks=blocks.training_masks() if task.classes else None,
    )
    if task.classes:
        wrong = predicted_classes(validation.scores) != task.labels
        lost, scale = wrong.astype(np.float64), np.ones(len(wrong))
        description = online_code(
            validation.extra_scores, task.labels, blocks, num_classes=len(task.classes)
        )
    else:
        truth = task.targets.astype(np.float64)
        lost = ((truth - validation.scores) ** 2).sum(axis=1)
        scale = ((truth - validation.baseline) ** 2).sum(axis=1)
        description = None
    counted = np.ones(len(lost), bool) if counted is None else counted
    num_folds = len(folds.inner)
    losses = np.bincount(folds.outer, lost * counted, num_folds)
    scales = np.bincount(folds.outer, scale * counted, num_folds)
    tested = scales > 0
    scores = 1 - losses[tested] / scales[tested]
    return Scored(scores, lost, scale, description, validation)


def score_interval(
    scored: Scored, task: Task, groups: np.ndarray, *, seed: int
) -> tuple[Interval, str]:
    """The 95 % interval of a score over all held-out examples, and its method.

    Args:
      scored: from `evaluate`.
      task: the same task.
      groups: `n` whole numbers from 0: what is resampled together.
      seed: of the bootstrap.

    Returns:
      The interval and the name of its method: Wilson's for independent right or wrong
      answers, a percentile bootstrap over groups (or examples) otherwise.
    """
    grouped = bool(recurring(groups).any())
    if task.classes and not grouped:
        right = int((scored.lost == 0).sum())
        found = binomtest(right, len(scored.lost)).proportion_ci(_LEVEL, "wilson")
        return Interval(float(found.low), float(found.high)), "Wilson"
    found = bootstrap_ratio_interval(
        np.bincount(groups, scored.lost),
        np.bincount(groups, scored.scale),
        seed=seed,
        num_resamples=_RESAMPLES,
        level=_LEVEL,
    )
    unit = f"{groups.max() + 1} groups" if grouped else f"{len(groups)} examples"
    return Interval(1 - found.high, 1 - found.low), f"bootstrap over {unit}"


def run_control(
    features: np.ndarray,
    task: Task,
    groups: np.ndarray,
    blocks: CodeBlocks,
    *,
    num_controls: int,
    num_folds: int,
    num_inner_folds: int,
    l2_grid: ArrayLike | None,
    seed: int,
) -> Control:
    """The score of probes on control tasks: a random label for each group.

    The examples of each group are spread over the folds, so that its label can be
    remembered. Examples that are alone in their group do not count.

    Args:
      features: `n d`, float32.
      task: the real task, whose labels are dealt out.
      groups: `n` whole numbers from 0: the types.
      blocks: of the real task; only so that nothing is compiled anew.
      num_controls: control tasks to average over.
      num_folds: as for the real task.
      num_inner_folds: likewise.
      l2_grid: likewise.
      seed: of folds and labels.

    Returns:
      A `Control`.
    """
    counted = recurring(groups)
    if num_controls < 1:
        return Control(np.nan, np.nan, "none was asked for")
    if counted.sum() < 2 * num_folds:
        why = "no group has two examples" if not counted.any() else "few groups recur"
        return Control(np.nan, np.nan, f"{why}, so that no label could be remembered")
    scores = []
    for draw in range(num_controls):
        folds = nested_folds(
            groups,
            num_folds=num_folds,
            num_inner_folds=num_inner_folds,
            seed=seed + 1000 * (1 + draw),
        )
        control = _relabelled(task, groups, seed=seed + draw)
        scored = evaluate(
            features, control, folds, blocks, l2_grid=l2_grid, counted=counted
        )
        scores.append(scored.fold_scores)
    flat = np.concatenate(scores)
    note = (
        f"{num_controls} random labelings of {len(np.unique(groups[counted]))} groups,"
        f" scored on {counted.mean():.0%} of the examples"
    )
    return Control(float(flat.mean()), float(flat.std(ddof=1)), note)


def _relabelled(task: Task, groups: np.ndarray, *, seed: int) -> Task:
    """The task with the labels of one example of each group, dealt out at random."""
    source = control_targets(np.arange(len(groups)), groups=groups, seed=seed)
    return task._replace(targets=task.targets[source], labels=task.labels[source])
