"""Measures of energy maps, by hand and by definition."""

import numpy as np
import pytest

from stylejax.explain.energy_maps import (
    centroid,
    diffusion_index,
    energy_inside,
    energy_radii,
)

MEASURES = [
    centroid,
    diffusion_index,
    energy_radii,
    lambda energy: energy_inside(energy, (0, 0, 1, 1)),
]


def bump(seed=0, shape=(7, 9)):
    return np.random.default_rng(seed).gamma(0.5, size=shape)


def test_energy_inside_a_box_is_its_share_of_the_sum():
    energy = bump()
    expected = energy[2:5, 1:7].sum() / energy.sum()
    assert energy_inside(energy, (1, 2, 6, 3)) == pytest.approx(expected, rel=1e-12)


def test_energy_inside_is_exactly_one_if_nothing_is_outside():
    """A sum of the box alone rounds otherwise than that of the whole map."""
    energy = np.zeros((50, 50))
    energy[3:40, 5:41] = bump(4, shape=(37, 36)) * 0.1
    assert energy_inside(energy, (5, 3, 36, 37)) == 1.0
    assert energy_inside(energy, (6, 3, 35, 37)) < 1


@pytest.mark.parametrize("at", [(0, 0), (3, 5), (6, 8)])
def test_one_pixel_is_its_own_centroid_of_radius_zero(at):
    energy = np.zeros((7, 9))
    energy[at] = 2.5
    assert centroid(energy) == at
    assert set(energy_radii(energy).values()) == {0.0}
    assert diffusion_index(energy) == pytest.approx(100 / 63)


def test_centroid_is_the_mean_position():
    energy = bump()
    rows, columns = np.mgrid[0:7, 0:9]
    expected = np.average(rows, weights=energy), np.average(columns, weights=energy)
    assert centroid(energy) == pytest.approx(expected)


@pytest.mark.parametrize("level", [1.0, 0.7, 0.1])
def test_radii_of_a_uniform_square(level):
    """1 of 9 at distance 0, 5 of 9 within 1, all within the square root of 2."""
    energy = np.zeros((9, 9))
    energy[2:5, 4:7] = level
    radii = energy_radii(energy, shares=(1 / 9, 0.2, 5 / 9, 0.6, 1.0))
    expected = [0, 1, 1, 2**0.5, 2**0.5]
    assert list(radii) == [1 / 9, 0.2, 5 / 9, 0.6, 1.0]
    assert list(radii.values()) == pytest.approx(expected, abs=1e-6)


def test_radii_around_another_center():
    energy = np.zeros((9, 9))
    energy[2, 2] = 1
    radii = energy_radii(energy, shares=(0.5,), center=(5, 6))
    assert radii[0.5] == pytest.approx(5)


def test_radii_hold_what_they_say_and_not_a_ring_less():
    energy = bump(1)
    row, column = centroid(energy)
    rows, columns = np.mgrid[0:7, 0:9]
    distance = np.hypot(rows - row, columns - column)
    for share, radius in energy_radii(energy).items():
        assert energy[distance <= radius + 1e-6].sum() >= share * energy.sum() - 1e-9
        assert energy[distance < radius - 1e-6].sum() < share * energy.sum()


def test_diffusion_index_is_that_of_the_definition():
    """The Gini coefficient as the mean difference over twice the mean."""
    energy = bump(2)
    differences = np.abs(energy.ravel()[:, None] - energy.ravel()[None]).mean()
    expected = 100 * (1 - differences / (2 * energy.mean()))
    assert diffusion_index(energy) == pytest.approx(expected)
    assert diffusion_index(energy * 1e-6) == pytest.approx(expected)


def test_diffusion_index_of_equal_pixels_is_100():
    assert diffusion_index(np.full((4, 5), 0.3)) == pytest.approx(100)


def test_an_empty_map_has_no_measures():
    nothing = np.zeros((3, 3))
    assert np.isnan(energy_inside(nothing, (0, 0, 2, 2)))
    assert np.isnan(centroid(nothing)).all()
    assert np.isnan(diffusion_index(nothing))
    assert np.isnan(energy_radii(nothing, shares=(0.5,))[0.5])


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("energy", [np.ones(3), -np.ones((2, 2)), [[np.nan]]])
def test_what_is_no_map_of_energies(measure, energy):
    with pytest.raises(ValueError, match=r"energy: expected a map \(h, w\) of finite"):
        measure(energy)


@pytest.mark.parametrize("share", [0.0, 1.5])
def test_shares_of_energy_that_there_are_not(share):
    with pytest.raises(ValueError, match=r"shares: expected numbers in \(0, 1\]"):
        energy_radii(np.ones((2, 2)), shares=(share,))
