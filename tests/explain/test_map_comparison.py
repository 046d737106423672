"""Means, intervals and verdicts of likeness, on numbers made up for the purpose."""

import dataclasses

import numpy as np
import pytest

from stylejax.explain.map_comparison import (
    MapComparison,
    RandomizationCheck,
    Similarity,
)
from stylejax.metrics.pixel import bootstrap_interval


def constant(value):
    return Similarity(np.full((2, 3), value))


def check(signed, absolute, *, reference=(0.0, 0.0), multiplied=False):
    return RandomizationCheck(
        stages=(
            MapComparison("head", constant(0.9), constant(0.9)),
            MapComparison("all", constant(signed), constant(absolute)),
        ),
        reference=MapComparison("reference", *map(constant, reference)),
        multiplied=multiplied,
    )


def test_flipping_signs_cancel_in_the_mean_and_not_in_the_magnitude():
    similarity = Similarity(np.array([[0.5, 0.25], [-0.5, -0.25]]))
    assert similarity.mean == 0
    assert similarity.magnitude == 0.375


def test_the_interval_of_one_draw_is_that_of_the_pictures(generator):
    values = generator.normal(size=(1, 40))
    found = Similarity(values).interval
    expected = bootstrap_interval(values[0])
    np.testing.assert_allclose(found, expected, atol=0.03)
    np.testing.assert_allclose(Similarity(values.T).interval, found, atol=0.03)


def test_pictures_under_the_same_draws_are_not_so_many_samples(generator):
    """Where only the draws differ, 100 pictures make the mean no surer."""
    draws = generator.normal(size=(12, 1))
    low, high = Similarity(np.repeat(draws, 100, axis=1)).interval
    alone = bootstrap_interval(draws[:, 0])
    assert high - low == pytest.approx(alone.high - alone.low, rel=0.1)


def test_what_does_not_vary_has_no_width():
    np.testing.assert_allclose(constant(0.25).interval, [0.25, 0.25], rtol=1e-12)


@pytest.mark.parametrize(
    ("signed", "absolute", "reference", "passes"),
    [
        (0.0, 0.0, (0.0, 0.0), True),
        (0.049, 0.14, (0.0, 0.0), True),
        (0.06, 0.0, (0.0, 0.0), False),
        (-0.06, 0.0, (0.0, 0.0), False),
        (0.06, 0.0, (-0.02, 0.0), True),
        (0.19, 0.0, (0.5, 0.5), True),
        (0.21, 0.0, (0.5, 0.5), False),
        (-0.21, 0.0, (0.5, 0.5), False),
        (0.0, 0.16, (0.0, 0.9), False),
        (1.0, 1.0, (1.0, 1.0), False),
        (np.nan, 0.0, (0.0, 0.0), False),
        (0.0, np.nan, (0.0, 0.0), False),
        (0.0, 0.0, (np.nan, 0.0), False),
    ],
)
def test_maps_that_are_not_multiplied(signed, absolute, reference, passes):
    assert check(signed, absolute, reference=reference).passes is passes


@pytest.mark.parametrize(
    ("absolute", "reference", "passes"),
    [
        (0.6, 0.55, True),
        (0.61, 0.55, False),
        (0.2, 0.55, True),
        (1.0, 0.55, False),
        (0.06, 0.0, False),
        (np.nan, 0.5, False),
    ],
)
def test_multiplied_maps_are_judged_by_their_excess(absolute, reference, passes):
    found = check(0.9, absolute, reference=(0.0, reference), multiplied=True)
    assert found.passes is passes
    np.testing.assert_allclose(found.excess.mean, absolute - reference)


def test_the_limits_may_be_moved():
    strict = dataclasses.replace(check(0.049, 0.0), margin=0.01)
    assert not strict.passes
    assert dataclasses.replace(check(0.0, 0.3), absolute_limit=0.4).passes
    lax = dataclasses.replace(check(0.3, 0.0), limit=0.4, margin=0.4)
    assert lax.passes


@pytest.mark.parametrize("multiplied", [False, True])
def test_the_summary_is_one_line_with_the_verdict_and_the_numbers(multiplied):
    found = check(0.123, 0.456, reference=(0.01, 0.4), multiplied=multiplied)
    text = found.summary()
    assert "\n" not in text
    assert text.startswith("FAILS")
    for number in ("0.123", "0.456", "0.010", "0.400", "2 draws", "3 pictures"):
        assert number in text
    assert ("excess 0.056 [0.056, 0.056]" in text) is multiplied
    assert check(0.0, 0.0).summary().startswith("passes")
