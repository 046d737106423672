"""The whole protocol on features whose content is known.

Sixty scenes with four crops each: every scene has a random signature that its crops
share, which a probe can remember. On top of it factors are planted, or are not.
"""

import dataclasses
import types

import numpy as np
import pytest

from stylejax.explain.description_length import DescriptionLength
from stylejax.explain.probe_arrays import circular_columns
from stylejax.explain.probe_directions import DirectionEffect
from stylejax.explain.probe_report import FeatureScore, probe_report
from stylejax.metrics.pixel import Interval

SCENES, CROPS, WIDTH = 60, 4, 32
COUNT = SCENES * CROPS
GROUPS = np.repeat(np.arange(SCENES), CROPS)
SHORT_GRID = (1e4, 1e2, 1.0)


def signatures(seed):
    """Features that tell the scenes apart, and nothing else."""
    generator = np.random.default_rng(seed)
    shared = generator.normal(size=(SCENES, WIDTH))[GROUPS]
    return 0.5 * shared + generator.normal(size=(COUNT, WIDTH))


def labels_of(seed, num_classes=2):
    return np.random.default_rng(seed).integers(num_classes, size=COUNT)


def planted(labels, *, seed=0, strength=5.0):
    """The signatures with one axis per class, in a random orientation."""
    generator = np.random.default_rng(seed + 100)
    axes = np.linalg.qr(generator.normal(size=(WIDTH, WIDTH)))[0]
    codes = np.eye(int(labels.max()) + 1)[labels]
    return signatures(seed) + strength * codes @ axes[: codes.shape[1]]


@pytest.fixture(scope="module")
def found():
    """The report of a planted factor, with two baselines."""
    labels = labels_of(1)
    return probe_report(
        planted(labels),
        labels,
        groups=GROUPS,
        baselines={"pixels": signatures(7), "copy": planted(labels, seed=3)},
        name="texture",
    )


# --- planted, absent, random --------------------------------------------------------


def test_a_planted_factor_is_found_and_is_not_remembered(found):
    """The acceptance of the protocol: 0.95 and a selectivity of 0.3."""
    assert found.score >= 0.95
    assert found.selectivity >= 0.3
    assert found.selectivity == found.score - found.control
    assert found.decodable
    assert found.converged
    assert found.interval.low > 0.9
    assert found.interval_method == "bootstrap over 60 groups"
    assert found.description.ratio < 0.3
    assert found.control_note.startswith("3 random labelings of 60 groups")
    assert np.mean(found.fold_scores) == pytest.approx(found.score)
    assert np.std(found.fold_scores, ddof=1) == pytest.approx(found.std)


@pytest.mark.parametrize("seed", range(6))
def test_an_absent_factor_is_within_two_std_of_the_majority(seed):
    """The features hold another factor, planted, and every scene's signature."""
    features = planted(labels_of(1), seed=seed)
    report = probe_report(features, labels_of(50 + seed), groups=GROUPS, num_controls=0)
    assert abs(report.score - report.majority) <= 2 * report.std
    assert not report.decodable
    assert report.verdict == "not decodable: within 2 std of the majority"
    assert report.description.ratio > 0.97


def test_several_classes():
    labels = labels_of(2, 3)
    report = probe_report(
        planted(labels, strength=6.0),
        labels,
        groups=GROUPS,
        num_controls=1,
        l2_grid=SHORT_GRID,
    )
    assert report.score >= 0.95
    assert report.selectivity >= 0.3
    assert report.classes == (0, 1, 2)
    assert report.probe.weights.shape == (WIDTH, 3)
    assert report.description.uniform_bits == pytest.approx(COUNT * np.log2(3))
    assert report.converged


def test_a_frequent_class_is_cheap_and_no_sign_of_knowledge():
    """A fifth of ones costs 0.72 bits a label by its frequency alone."""
    labels = (np.random.default_rng(9).random(COUNT) < 0.2).astype(int)
    report = probe_report(signatures(0), labels, groups=GROUPS, num_controls=0)
    assert abs(report.score - report.majority) <= 2 * report.std
    assert report.majority > 0.75
    assert report.description.ratio < 0.9
    assert report.description.bits > 0.97 * report.description.label_bits
    assert "without the features)" in report.summary()


def test_random_labels_of_several_classes_are_at_chance():
    report = probe_report(
        signatures(0),
        labels_of(60, 3),
        groups=GROUPS,
        num_controls=0,
        l2_grid=SHORT_GRID,
    )
    assert abs(report.score - report.majority) <= 2 * report.std
    assert report.description.bits > 0.97 * report.description.uniform_bits


# --- leakage and control ------------------------------------------------------------


@pytest.fixture(scope="module")
def leak():
    """Thirty scenes of identical crops, a random label each: (grouped, not grouped)."""
    generator = np.random.default_rng(2)
    groups = np.repeat(np.arange(30), COUNT // 30)
    features = generator.normal(size=(30, WIDTH))[groups]
    labels = generator.permutation(np.arange(30) % 2)[groups]
    grouped = probe_report(features, labels, groups=groups, num_controls=1)
    return grouped, probe_report(features, labels)


def test_groups_keep_a_probe_from_remembering(leak):
    """Without them the same features and labels look perfectly decodable."""
    grouped, alone = leak
    assert abs(grouped.score - grouped.majority) <= 2 * grouped.std
    assert not grouped.decodable
    assert grouped.description.ratio > 1
    assert alone.score > 0.99
    assert alone.description.ratio < 0.6


def test_what_can_be_remembered_is_solved_by_the_control(leak):
    """So that the selectivity of such features is negative: here, minus a half."""
    grouped, _ = leak
    assert grouped.control > 0.99
    assert grouped.selectivity < -0.3


def test_without_recurring_groups_there_is_no_selectivity(leak):
    _, alone = leak
    assert np.isnan(alone.control)
    assert np.isnan(alone.selectivity)
    assert "no group has two examples" in alone.control_note
    assert "no control task: no group has two examples" in alone.summary()
    assert alone.interval_method == "Wilson"
    assert alone.num_groups == COUNT


# --- regression ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def hue():
    """Angles, planted as cosine and sine: the reports of it and of an absent one."""
    generator = np.random.default_rng(5)
    angle, other = generator.uniform(0, 1, size=(2, COUNT))
    columns = circular_columns(angle, period=1)
    features = signatures(6) + 4 * columns @ np.eye(2, WIDTH)
    return (
        probe_report(features, columns, groups=GROUPS, num_controls=1, name="hue"),
        probe_report(
            features, circular_columns(other, period=1), groups=GROUPS, num_controls=0
        ),
    )


def test_a_circular_factor_is_a_regression_of_two_columns(hue):
    report, absent = hue
    assert (report.metric, report.majority, report.classes) == ("R2", 0.0, ())
    # Beside columns of variance 16 / 2, signatures of 1.25: at most 8 / 9.25 = 0.865.
    assert 0.75 < report.score < 0.87
    assert report.selectivity > 0.3
    assert report.description is None
    assert report.probe.weights.shape == (WIDTH, 2)
    assert abs(absent.score) <= 2 * absent.std
    assert absent.verdict == "not decodable: within 2 std of the mean predictor"
    assert "against mean 0.000" in report.summary()


# --- comparisons, and what may be claimed -------------------------------------------


def test_baselines_are_scored_on_the_same_folds(found):
    assert set(found.baselines) == {"pixels", "copy"}
    assert abs(found.baselines["pixels"].score - 0.5) < 0.15
    assert found.baselines["copy"].score > 0.95
    assert found.baselines["pixels"].description.ratio > 0.95
    assert found.baselines["pixels"].converged


def test_use_is_not_claimed_before_an_intervention(found):
    assert found.intervention is None
    assert found.verdict == "decodable, but no better than from copy; use not shown"
    line = found.summary()
    assert "\n" not in line
    for words in (
        "texture: accuracy ",
        "against majority 0.5",
        "pixels 0.",
        "selectivity 0.",
        "of the uniform code",
        "n 240, d 32, d/n 0.13",
    ):
        assert words in line
    assert line.endswith(found.verdict)


def effect_of(p_value):
    return DirectionEffect(
        steps=np.arange(3.0),
        curves=np.zeros((1, 3)),
        slope=0.1,
        spearman=1.0,
        random_slopes=np.zeros(99),
        z=3.0,
        percentile=99.0,
        p_value=p_value,
        removed=0.1,
        random_removed=np.zeros(99),
        p_removed=p_value,
    )


def test_an_intervention_decides_the_claim(found):
    used = found.with_intervention(effect_of(0.01))
    assert "moving along it changes the factor" in used.summary()
    unused = found.with_intervention(effect_of(0.6))
    assert "moving along it does not change the factor" in unused.summary()
    for report in (used, unused):
        assert "use not shown" not in report.summary()
    assert found.intervention is None


@pytest.mark.parametrize(
    ("score", "std", "low", "words"),
    [
        (0.5 - 1e-16, 0.0, 0.45, "not decodable: within 2 std of the majority"),
        (0.70, 0.05, 0.65, "decodable, but no better than from copy; use not shown"),
        (0.99, 0.01, 0.97, "decodable; use not shown"),
        (0.60, 0.05, 0.55, "not decodable: within 2 std of the majority"),
        (0.62, 0.05, 0.49, "not decodable: the interval reaches the majority"),
        (0.30, 0.05, 0.25, "not decodable: below the majority"),
    ],
)
def test_the_verdict(score, std, low, words, found):
    length = DescriptionLength(1.0, 2.0, 2.0)
    report = dataclasses.replace(
        found,
        score=score,
        std=std,
        interval=Interval(low, 1.0),
        majority=0.5,
        baselines={"copy": FeatureScore(0.75, 0.02, length, True)},
    )
    assert report.verdict == words
    assert report.decodable == words.startswith("decodable")


def test_probes_that_did_not_converge_are_called_so(found):
    report = dataclasses.replace(found, converged=False)
    assert "NOT CONVERGED" in report.summary()
    assert "NOT CONVERGED" not in found.summary()


# --- mistakes -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"groups": GROUPS[1:]}, "groups: expected 240, one for each example, got 239"),
        ({"groups": GROUPS // 20}, "expected 2 to 3, the number of groups, got 5"),
        (
            {"labels": (GROUPS == 3).astype(int)},
            "every class in at least two groups, got 1 in one",
        ),
        ({"labels": np.zeros(COUNT, int)}, "at least two classes"),
        (
            {"baselines": {"pixels": np.zeros((5, 2))}},
            "baseline 'pixels': expected 240",
        ),
        ({"features": np.zeros((COUNT, 2, 2))}, r"features: expected \(n, d\)"),
        ({"l2_grid": [-1.0]}, "l2_grid: expected penalties above 0"),
    ],
)
def test_mistakes_end_in_one_line(change, match):
    given = types.SimpleNamespace(features=signatures(0), labels=labels_of(1))
    options = {"groups": GROUPS} | change
    features = options.pop("features", given.features)
    labels = options.pop("labels", given.labels)
    with pytest.raises(ValueError, match=match) as e:
        probe_report(features, labels, **options)
    assert "\n" not in str(e.value)
