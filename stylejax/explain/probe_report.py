"""The whole protocol of a probe: its score, and all that it must be held against.

A probe's score alone says little. It is compared with the best constant answer, with
probes on other features (the raw pixels, an untrained network), with a control task
that can only be solved by remembering, and with the bits that the labels cost. All of
it shows that a factor can be *decoded*. That it is *used* is a claim about the network,
and `ProbeReport.summary` makes none until an intervention is attached.
"""

import dataclasses
import functools
from collections.abc import Hashable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from stylejax.explain.cross_validation import nested_folds, numbered
from stylejax.explain.description_length import DescriptionLength, code_blocks
from stylejax.explain.probe_arrays import checked_features
from stylejax.explain.probe_directions import DirectionEffect
from stylejax.explain.probe_protocol import (
    Scored,
    Task,
    evaluate,
    make_task,
    run_control,
    score_interval,
)
from stylejax.explain.probes import Probe
from stylejax.metrics.pixel import Interval

# How many standard deviations over folds a score must be away to be called different.
_DEVIATIONS = 2


class FeatureScore(NamedTuple):
    """What a probe scores on some features, with the folds of the report.

    Attributes:
      score: mean over the folds, in the report's metric.
      std: standard deviation over the folds.
      description: bits of the labels; None for a regression.
      converged: whether the probes did.
    """

    score: float
    std: float
    description: DescriptionLength | None
    converged: bool


@dataclasses.dataclass(frozen=True, eq=False)
class ProbeReport:
    """What a linear probe finds of a factor, beside what it must be compared with.

    Attributes:
      name: of the factor.
      metric: `"accuracy"`, or `"R2"`: `1 - sum |y - prediction|^2 / sum |y - mean|^2`,
        over all columns, with the mean of the training fold.
      score: mean over the folds of the metric on the fold that was held out.
      std: standard deviation over the folds.
      fold_scores: one for each fold.
      interval: 95 % interval of the metric over all held-out examples; it takes the
        probes as given, not as they would vary with other training examples.
      interval_method: how it was found.
      majority: the share of the most frequent class; 0, the mean predictor's, for R2.
      baselines: what probes on other features score, by their name.
      control: mean score on control tasks (`control_targets`), on the examples whose
        group recurs; NaN where there is none.
      control_std: over folds and control tasks.
      selectivity: `score - control`.
      control_note: how the control was made, or why there is none.
      description: bits of the labels by the online code; None for a regression.
      num_examples: `n`.
      num_features: `d`.
      num_groups: groups that were kept together.
      classes: the labels behind the probe's columns; empty for a regression.
      l2: penalty of `probe`, on standardised features.
      fold_l2: penalties that the folds chose for themselves.
      converged: whether every probe behind `score` and `probe` did.
      probe: fitted to all examples.
      intervention: what moving activations along the probe did, once it was tried.
    """

    name: str
    metric: str
    score: float
    std: float
    fold_scores: tuple[float, ...]
    interval: Interval
    interval_method: str
    majority: float
    baselines: dict[str, FeatureScore]
    control: float
    control_std: float
    selectivity: float
    control_note: str
    description: DescriptionLength | None
    num_examples: int
    num_features: int
    num_groups: int
    classes: tuple[Hashable, ...]
    l2: float
    fold_l2: tuple[float, ...]
    converged: bool
    probe: Probe
    intervention: DirectionEffect | None = None

    @property
    def features_per_example(self) -> float:
        """`d / n`: from about 1 on, a probe can remember its training set."""
        return self.num_features / self.num_examples

    @property
    def decodable(self) -> bool:
        """Whether the score is 2 std, and the whole of its interval, above chance."""
        above = self.score - self.majority > self._deviation
        return bool(above and self.interval.low > self.majority)

    @property
    def verdict(self) -> str:
        """What may be claimed, in a few words."""
        chance = "majority" if self.classes else "mean predictor"
        if abs(self.score - self.majority) <= self._deviation:
            return f"not decodable: within 2 std of the {chance}"
        if self.score < self.majority:
            return f"not decodable: below the {chance}"
        if not self.decodable:
            return f"not decodable: the interval reaches the {chance}"
        equals = [n for n, b in self.baselines.items() if not self._beats(b)]
        words = "decodable"
        if equals:
            words += f", but no better than from {' or '.join(equals)}"
        if self.intervention is None:
            return words + "; use not shown"
        return f"{words}; {self.intervention.summary()}"

    def with_intervention(self, effect: DirectionEffect) -> "ProbeReport":
        """The same report with what an intervention along the probe's normal did."""
        return dataclasses.replace(self, intervention=effect)

    def summary(self) -> str:
        """One line for people.

        Returns:
          Text without a line break; it ends with the verdict.
        """
        compared = [f"{'majority' if self.classes else 'mean'} {self.majority:.3f}"]
        compared += [f"{n} {b.score:.3f}" for n, b in self.baselines.items()]
        parts = [
            f"{self.name}: {self.metric} {self.score:.3f} ± {self.std:.3f} over"
            f" {len(self.fold_scores)} folds (95 % {self.interval.low:.3f} to"
            f" {self.interval.high:.3f}, {self.interval_method}) against"
            f" {', '.join(compared)}",
            f"control {self.control:.3f}, selectivity {self.selectivity:.3f}"
            if np.isfinite(self.control)
            else f"no control task: {self.control_note}",
        ]
        if self.description is not None:
            length = self.description
            parts.append(
                f"labels in {length.bits:.0f} bits, {length.ratio:.2f} of the uniform"
                f" code ({length.label_bits:.0f} without the features)"
            )
        parts.append(
            f"n {self.num_examples}, d {self.num_features}, d/n"
            f" {self.features_per_example:.2f}, l2 {self.l2:g}"
        )
        if not self.converged:
            parts.append("NOT CONVERGED")
        return "; ".join([*parts, self.verdict])

    @property
    def _deviation(self) -> float:
        # But for rounding: folds that all answer the same have no deviation at all.
        return _DEVIATIONS * self.std + 1e-9

    def _beats(self, other: FeatureScore) -> bool:
        std = max(self.std, other.std)
        return self.score - other.score > _DEVIATIONS * std


def probe_report(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    baselines: Mapping[str, ArrayLike] | None = None,
    name: str = "factor",
    l2_grid: ArrayLike | None = None,
    num_folds: int = 5,
    num_inner_folds: int = 3,
    num_controls: int = 3,
    seed: int = 0,
) -> ProbeReport:
    """Everything that is to be known about a linear probe, before it is believed.

    Args:
      features: `n d`, activations of some layer.
      labels: `n` whole numbers, booleans or names (classes), or floats `n` or `n k`
        (regression); an angle as `circular_columns(angle)`.
      groups: `n` names, such as the content scene of each crop: a group is trained on
        or tested, never both. Also the types of the control task.
      baselines: other features of the same examples, `n e` each: `"pixels"`, `"random
        network"`.
      name: of the factor.
      l2_grid: penalties to choose from, on standardised features; by default from 100
        to 0.0001 times the larger of `n` and `d`.
      num_folds: folds that the score is averaged over.
      num_inner_folds: folds within each training set, to choose the penalty.
      num_controls: control tasks that are averaged over.
      seed: of folds, control tasks and the order of the online code.

    Returns:
      A `ProbeReport`, on the host.

    Raises:
      ValueError: shapes that do not fit, values that are not finite, a factor that
        does not vary, a class within one group, or fewer groups than folds.

    Reference: Alain and Bengio 2016 (probes); Hewitt and Liang 2019 (control tasks);
      Voita and Titov 2020 (description length).
    """
    x = checked_features(features)
    task = make_task(labels, num_examples=len(x))
    names = np.arange(len(x)) if groups is None else numbered(groups, name="groups")
    _check_groups(task, names)
    sizes = {"num_folds": num_folds, "num_inner_folds": num_inner_folds}
    folds = nested_folds(task.strata, groups=names, seed=seed, **sizes)
    classes = max(2, len(task.classes))
    blocks = code_blocks(len(x), num_classes=classes, groups=names, seed=seed)

    score = functools.partial(
        evaluate, task=task, folds=folds, blocks=blocks, l2_grid=l2_grid
    )
    scored = score(x)
    others = _checked_baselines(baselines, len(x))
    compared = {label: _feature_score(score(v)) for label, v in others.items()}
    penalties: dict = {"num_controls": num_controls, "l2_grid": l2_grid, "seed": seed}
    control = run_control(x, task, names, blocks, **penalties, **sizes)
    interval, method = score_interval(scored, task, names, seed=seed)
    return ProbeReport(
        name=name,
        metric="accuracy" if task.classes else "R2",
        score=scored.score,
        std=scored.std,
        fold_scores=tuple(scored.fold_scores.tolist()),
        interval=interval,
        interval_method=method,
        majority=task.majority,
        baselines=compared,
        control=control.score,
        control_std=control.std,
        selectivity=scored.score - control.score,
        control_note=control.note,
        description=scored.description,
        num_examples=len(x),
        num_features=x.shape[1],
        num_groups=int(names.max()) + 1,
        classes=task.classes,
        l2=scored.validation.l2,
        fold_l2=scored.validation.fold_l2,
        converged=scored.validation.converged,
        probe=scored.validation.probe,
    )


def _feature_score(scored: Scored) -> FeatureScore:
    converged = scored.validation.converged
    return FeatureScore(scored.score, scored.std, scored.description, converged)


def _checked_baselines(
    baselines: Mapping[str, ArrayLike] | None, num_examples: int
) -> dict[str, np.ndarray]:
    checked = {}
    for label, features in (baselines or {}).items():
        checked[label] = checked_features(features, name=f"baseline {label!r}")
        if len(checked[label]) != num_examples:
            raise ValueError(
                f"baseline {label!r}: expected {num_examples} examples, as the features"
                f" have, got {len(checked[label])}"
            )
    return checked


def _check_groups(task: Task, groups: np.ndarray) -> None:
    if len(groups) != len(task.targets):
        raise ValueError(
            f"groups: expected {len(task.targets)}, one for each example, got"
            f" {len(groups)}"
        )
    for number, label in enumerate(task.classes):
        if len(np.unique(groups[task.labels == number])) < 2:
            raise ValueError(
                f"labels: expected every class in at least two groups, got {label!r} in"
                " one: it cannot be both trained on and tested"
            )
