"""Planted concepts are found, and random ones are not: the second is harder."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from stylejax.explain.concept_vectors import Pairs, vectors_of_pairs
from stylejax.explain.concepts import TESTS, concept_test

WIDTH, MEMBERS, RANDOM, RUNS = 24, 20, 30, 5
AXIS = np.eye(WIDTH)[0]


def random_sets(seed, count=RANDOM):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(count, MEMBERS, WIDTH)).astype(np.float32)


def gradients(seed, *, spread=2.0, count=50):
    """Of a target that rises along `AXIS`, with much else in single examples."""
    generator = np.random.default_rng(seed)
    return (5 * AXIS + spread * generator.normal(size=(count, WIDTH))).astype(
        np.float32
    )


def run(concepts, seed=0, **options):
    options = {"method": "mean_difference", "num_runs": RUNS} | options
    return concept_test(gradients(seed), concepts, random_sets(seed), **options)


def planted(seed, *, strength=2.0):
    return random_sets(seed, 1)[0] + np.float32(strength) * AXIS.astype(np.float32)


# --- acceptance ---------------------------------------------------------------------


@pytest.mark.parametrize("method", ["mean_difference", "logistic"])
def test_a_planted_concept_is_found(method):
    score = run({"planted": planted(100)}, method=method)["planted"]
    assert score.p_value < 0.01
    assert score.significant
    assert score.derivative > 2
    assert score.tcav > 0.8
    assert score.agreement > 0.3


def random_p_values(test, num_draws, num_concepts=8):
    """P-values, before the correction, of random sets that are called concepts."""
    p_values = []
    for seed in range(num_draws):
        sets = random_sets(1000 + seed, num_concepts)
        scores = run(dict(enumerate(sets)), seed, test=test)
        assert all(score.num_concepts == num_concepts for score in scores.values())
        # Those that the correction cut off at 1 are above 0.05 in any case.
        p_values += [score.p_value / num_concepts for score in scores.values()]
    return np.array(p_values)


@pytest.mark.parametrize("test", TESTS)
def test_random_concepts_are_not_significant(test):
    """At most one in twenty of 320, up to three binomial deviations."""
    false = (random_p_values(test, 40) <= 0.05).mean()
    assert 0 < false < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 320)


def test_the_published_test_calls_random_concepts_significant():
    """The runs of one concept share its set, and are no independent sample."""
    false = []
    for seed in range(40):
        bank = np.concatenate([random_sets(seed, 1), random_sets(500 + seed)])
        order = 1 + np.random.default_rng(seed).permutation(RANDOM)
        of_concept = Pairs(np.zeros(RANDOM, int), order)
        of_random = Pairs(order, np.roll(order, 1))
        shares = [
            (
                np.asarray(vectors_of_pairs(bank, pairs, 1.0, method="mean_difference"))
                @ gradients(seed).T
                > 0
            ).mean(1)
            for pairs in (of_concept, of_random)
        ]
        false.append(stats.ttest_ind(*shares).pvalue <= 0.05)
    assert np.mean(false) > 0.3


def test_no_more_random_concepts_than_the_level_survive_the_correction():
    """Of 20 families of 8 random concepts, one may have a significant member."""
    families = [
        any(score.significant for score in run(dict(enumerate(sets)), seed).values())
        for seed, sets in ((s, random_sets(2000 + s, 8)) for s in range(20))
    ]
    assert np.mean(families) <= 0.15


# --- the numbers --------------------------------------------------------------------


def test_a_concept_that_the_target_falls_with_has_a_negative_score():
    scores = run({"up": planted(1), "down": planted(2, strength=-2.0)})
    assert scores["up"].derivative > 1 > -1 > scores["down"].derivative
    assert scores["down"].tcav < 0.2
    assert scores["down"].significant


def test_the_scores_are_means_over_runs_of_the_derivatives():
    """Worked out in NumPy from means: concept against the first random sets."""
    concept, randoms, rows = planted(3), random_sets(0), gradients(0)
    score = run({"a": concept})["a"]
    vectors = concept.mean(0) - randoms[:RUNS].mean(1, dtype=np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    along = vectors @ rows.T
    assert score.derivative == pytest.approx(along.mean(), rel=1e-4)
    assert score.tcav == pytest.approx((along > 0).mean(1).mean())
    cosines = vectors @ vectors.T
    upper = cosines[np.triu_indices(RUNS, 1)]
    assert score.agreement == pytest.approx(upper.mean(), rel=1e-4)
    means = []
    for j in range(RANDOM):
        others = randoms[(j + 1 + np.arange(RUNS)) % RANDOM].mean(1, dtype=np.float64)
        vectors = randoms[j].mean(0) - others
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        means.append((vectors @ rows.T).mean())
    expected = (np.mean(means), np.std(means, ddof=1))
    assert score.random_derivatives == pytest.approx(expected, rel=1e-3, abs=1e-4)
    t = (along.mean() - expected[0]) / (expected[1] * np.sqrt(1 + 1 / RANDOM))
    assert score.p_value == pytest.approx(2 * stats.t.sf(abs(t), RANDOM - 1), rel=1e-2)


def test_p_values_are_multiplied_by_the_number_of_concepts():
    alone = run({"a": planted(4, strength=0.7)})["a"]
    among = run({"a": planted(4, strength=0.7), "b": planted(5), "c": planted(6)})["a"]
    assert 0 < alone.p_value < 0.3
    assert among.p_value == pytest.approx(3 * alone.p_value, rel=1e-4)
    assert among.num_concepts == 3
    assert run({"a": planted(4), "b": random_sets(7, 1)[0]})["b"].p_value <= 1


def test_ranks_have_a_smallest_p_value():
    """One set among 30 others is at best the first of 31, or the last."""
    for strength in (2.0, -2.0):
        score = run({"a": planted(8, strength=strength)}, test="permutation")["a"]
        assert score.p_value == pytest.approx(1 / 31)


@pytest.mark.parametrize("test", TESTS)
def test_several_sets_of_a_concept_are_stronger_evidence(test):
    weak = np.stack([planted(9 + i, strength=0.6) for i in range(4)])
    together = run({"a": weak}, test=test)["a"]
    alone = [run({"a": one}, test=test)["a"].p_value for one in weak]
    assert together.num_sets == 4
    assert together.p_value < 0.5 * np.median(alone)
    again = run({"a": weak}, test=test)["a"]
    assert again.p_value == together.p_value


def test_a_linear_target_cannot_be_tested_by_counting_signs():
    """Every vector, also a random one, scores 0 or 1: only the smooth score decides."""
    rows = np.tile(AXIS[None], (50, 1)).astype(np.float32)
    score = concept_test(
        rows,
        {"a": planted(20)},
        random_sets(1),
        method="mean_difference",
        num_runs=RUNS,
    )["a"]
    assert score.tcav == 1
    assert score.p_tcav > 0.1
    assert score.p_value < 0.01


def test_a_function_of_directions_is_as_good_as_gradients():
    rows = gradients(3)
    options = {"method": "mean_difference", "num_runs": RUNS}
    concepts = {"a": planted(21)}
    plain = concept_test(rows, concepts, random_sets(2), **options)["a"]
    along = concept_test(
        lambda direction: jnp.asarray(rows) @ direction,
        concepts,
        random_sets(2),
        **options,
    )["a"]
    assert along.derivative == pytest.approx(plain.derivative, rel=1e-4)
    assert along.p_value == pytest.approx(plain.p_value, rel=1e-3)


def test_a_target_that_depends_on_nothing_has_no_concept():
    score = concept_test(
        np.zeros((50, WIDTH)),
        {"a": planted(22)},
        random_sets(3),
        method="mean_difference",
        num_runs=RUNS,
    )["a"]
    assert (score.derivative, score.p_value, score.p_tcav) == (0, 1, 1)


def test_the_summary_states_runs_sets_and_correction():
    line = run({"stripes": planted(23), "dots": planted(24)})["stripes"].summary()
    assert "\n" not in line
    assert line.startswith("stripes: derivative ")
    assert "significant at 0.05" in line
    assert "t test of 1 set(s) against 30 random sets, 5 runs each" in line
    assert line.endswith("corrected for 2 concept(s)")


# --- mistakes -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            {"concepts": {"a": planted(0)[:7]}},
            "concept 'a': expected 20 examples of 24",
        ),
        ({"concepts": {}}, "concepts: expected at least one"),
        ({"random": random_sets(0, 5)}, "with at least 10 sets for 5 runs"),
        ({"random": random_sets(0)[0]}, r"random_sets: expected \(r, m, d\)"),
        ({"rows": gradients(0)[:, :3]}, "expected gradients of 24 activations, got 3"),
        ({"test": "z"}, "test: expected one of t, permutation"),
        ({"method": "svm"}, "method: expected one of logistic"),
        ({"num_runs": 0}, "num_runs: expected at least 1"),
        ({"concepts": {"a": planted(0) * np.nan}}, "expected finite values"),
    ],
)
def test_mistakes_end_in_one_line(change, match):
    options = {"method": "mean_difference", "num_runs": RUNS} | change
    rows = options.pop("rows", gradients(0))
    concepts = options.pop("concepts", {"a": planted(0)})
    randoms = options.pop("random", random_sets(0))
    with pytest.raises(ValueError, match=match) as e:
        concept_test(rows, concepts, randoms, **options)
    assert "\n" not in str(e.value)
