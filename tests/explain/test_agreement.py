"""Additive functions, on which every method must agree, and functions that are not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from stylejax.explain import integrated_gradients
from stylejax.explain.agreement import agreement
from stylejax.explain.occlusion import region_effects
from stylejax.image.regions import grid_regions, region_sums

LABELS = grid_regions((6, 8), rows=2, columns=3)


@pytest.fixture(scope="module")
def ends():
    keys = jax.random.split(jax.random.key(0))
    return [jax.random.uniform(key, (6, 8, 3)) for key in keys]


@jax.jit
def additive(x):
    """Not linear, yet a sum over pixels."""
    return (jnp.sin(3 * x) + x**2).sum(axis=(1, 2, 3))


def test_integrated_gradients_agree_on_it(ends):
    image, baseline = ends
    found = region_effects(additive, image, labels=LABELS, baseline=baseline)
    gradients = integrated_gradients(additive, image, baseline=baseline).map
    sums = region_sums(gradients, LABELS, num_regions=6).sum(axis=-1)
    effects = {
        "gradients": sums,
        "occlusion": found.removed,
        "insertion": found.inserted,
    }
    triangle = agreement(effects)
    assert triangle.exact
    assert triangle.summary().startswith("all agree: ")
    np.testing.assert_allclose(triangle.pearson, 1, atol=1e-6)


def test_every_pair_is_compared():
    effects = {"a": [1.0, 2.0, 4.0], "b": [2.0, 1.0, 4.0], "c": [-1.0, -2.0, -4.5]}
    found = agreement(effects)
    for i, first in enumerate(effects.values()):
        for j, second in enumerate(effects.values()):
            expected = scipy.stats.pearsonr(first, second).statistic
            assert found.pearson[i, j] == pytest.approx(expected, abs=1e-12)
            expected = scipy.stats.spearmanr(first, second).statistic
            assert found.spearman[i, j] == pytest.approx(expected, abs=1e-12)
    expected = [[0, 1, 8.5], [1, 0, 8.5], [8.5, 8.5, 0]]
    np.testing.assert_allclose(found.max_difference, expected)
    assert found.scale == 4.5
    np.testing.assert_allclose(found.totals, [7, 7, -7.5])
    assert not found.exact


def test_disagreement_is_printed_pair_by_pair():
    """Perfect correlation is no agreement: the second says twice as much."""
    found = agreement({"one": [1.0, 2.0, 3.0], "twice": [2.0, 4.0, 6.0]})
    line = found.summary()
    assert "\n" not in line
    assert line.startswith("disagreement, in shares of the largest effect 6: ")
    assert "one and twice differ by up to 50.0% (Pearson 1.000, Spearman 1.000)" in line
    assert "one 6, twice 12" in line


def test_the_worst_pair_comes_first():
    effects = {"a": [1.0, 2.0], "b": [1.1, 2.0], "c": [5.0, 2.0]}
    names = [pair[:2] for pair in agreement(effects).pairs()]
    assert names == [("a", "c"), ("b", "c"), ("a", "b")]


def test_the_tolerance_is_a_share_of_the_largest_effect():
    effects = {"a": [1000.0, 1.0], "b": [1000.0, 1.5]}
    assert agreement(effects, tolerance=1e-3).exact
    assert not agreement(effects).exact


def test_a_method_that_says_the_same_everywhere_has_no_correlation():
    found = agreement({"flat": [1.0, 1.0, 1.0], "other": [1.0, 2.0, 3.0]})
    assert np.isnan(found.pearson[0, 1])
    assert "nan" in found.summary()


def test_effects_of_any_size_are_ranked():
    """Squares of 1e-200 are zero."""
    found = agreement({"a": [1e-200, 2e-200, 4e-200], "b": [1e-200, 4e-200, 2e-200]})
    assert found.spearman[0, 1] == pytest.approx(0.5)
    assert found.pearson[0, 1] == pytest.approx(1 / 7)


@pytest.mark.parametrize(
    ("effects", "match"),
    [
        ({}, "got none"),
        ({"a": [1.0, 2.0]}, r"two methods or more.*got a \(2,\)"),
        ({"a": [1.0], "b": [1.0]}, "two or more regions"),
        ({"a": [1.0, 2.0], "b": [1.0]}, r"a \(2,\), b \(1,\)"),
        ({"a": [1.0, 2.0], "b": [1.0, np.nan]}, "others in 'b'"),
    ],
)
def test_mistakes_end_in_one_clear_line(effects, match):
    with pytest.raises(ValueError, match=match) as e:
        agreement(effects)
    assert "\n" not in str(e.value)
