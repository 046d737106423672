"""One picture explained: what the flags of the command become."""

import numpy as np
import pytest

from stylejax import explain
from stylejax.cli.explain import Options
from stylejax.cli.explain_case import Case, answer, by_region
from stylejax.explain.regions import region_maps
from stylejax.image.regions import grid_regions

IMAGE = np.random.default_rng(0).random((12, 16, 3), np.float32)


def case(model, given="blur", **options):
    return Case(model, IMAGE, given, Options(num_steps=4, tolerance=0, **options))


def test_rule_steps_and_change_reach_the_method(small_model):
    _, model = small_model
    target = explain.region_mean("red")
    found = answer(case(model, rule="midpoint", change=True), target)
    expected = explain.integrated_gradients(
        target.change_of(model.translate), IMAGE, num_steps=4, rule="midpoint"
    )
    np.testing.assert_allclose(found.map, expected.map, atol=1e-6)
    assert found.target == pytest.approx(expected.target, abs=1e-6)


def test_a_given_baseline_takes_the_pictures_size(small_model):
    _, model = small_model
    given = np.random.default_rng(1).random((24, 32, 3), np.float32)
    assert case(model, given).baseline.shape == IMAGE.shape
    found = answer(case(model, given), explain.region_mean("red"))
    direct = explain.integrated_gradients(
        explain.region_mean("red").of(model.translate),
        IMAGE,
        baseline=case(model, given).baseline,
        num_steps=4,
    )
    assert found.target_baseline == pytest.approx(direct.target_baseline, abs=1e-6)


def test_cells_of_a_grid_are_region_maps(small_model):
    _, model = small_model
    found = by_region(case(model, rule="midpoint"), (2, 3))
    expected = region_maps(
        model.translate,
        IMAGE,
        labels=grid_regions((12, 16), rows=2, columns=3),
        num_steps=4,
        rule="midpoint",
    )
    assert found.maps.shape == (6, 12, 16, 3)
    np.testing.assert_allclose(found.maps, expected.maps, atol=1e-5)
