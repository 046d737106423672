"""Every style loss by its name: zero at the style itself, above elsewhere, masked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.losses import patches, statistics, style

NAMES = sorted(statistics.STATISTICS)


@pytest.fixture
def maps(generator):
    x = generator.random((2, 6, 7, 4), np.float32)
    return jnp.asarray(x), jnp.asarray(generator.random((1, 5, 8, 4), np.float32))


@pytest.mark.parametrize("name", NAMES)
def test_a_style_is_at_no_distance_from_itself(name, maps):
    own, _ = maps
    statistic = statistics.get(name)
    distance = statistic.distance(own, statistic.target(own, None), None)
    np.testing.assert_allclose(distance, np.zeros(2), atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_sizes_do_not_count(name, generator):
    pixel = generator.random(4, np.float32)
    own, other = (np.broadcast_to(pixel, (1, *size, 4)) for size in ((6, 7), (5, 8)))
    statistic = statistics.get(name)
    target = statistic.target(jnp.asarray(other), None)
    distance = statistic.distance(jnp.asarray(own), target, None)
    np.testing.assert_allclose(distance, [0.0], atol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_another_style_is_further_away_the_further_it_is_moved(name, maps):
    own, other = maps
    statistic = statistics.get(name)
    target = statistic.target(other, None)
    far = [statistic.distance(own + shift, target, None) for shift in (0.5, 1.0, 2.0)]
    assert (np.diff(np.stack(far), axis=0) > 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_is_finite_and_not_zero(name, maps):
    own, other = maps
    statistic = statistics.get(name)
    target = statistic.target(other, None)
    gradient = jax.grad(lambda x: statistic.distance(x, target, None).sum())(own)
    assert np.isfinite(gradient).all()
    assert float(jnp.abs(gradient).max()) > 0


@pytest.mark.parametrize("name", NAMES)
def test_what_a_mask_leaves_out_of_a_style_does_not_count(name, maps):
    own, other = maps
    mask = np.zeros((1, 5, 8), np.float32)
    mask[:, :, 4:] = 1
    # A patch reaches one position over the edge of the mask.
    changed = np.array(other)
    changed[:, :, :3] = 9.0
    statistic = statistics.get(name)
    distances = [
        statistic.distance(own, statistic.target(jnp.asarray(x), mask), None)
        for x in (other, changed)
    ]
    np.testing.assert_allclose(*distances, rtol=1e-5)
    whole = statistic.distance(own, statistic.target(jnp.asarray(changed), None), None)
    assert np.abs(whole - distances[0]).min() > 1e-4


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"patches"}))
def test_what_a_mask_leaves_out_does_not_count(name, maps, generator):
    own, other = maps
    mask = np.zeros((1, 6, 7), np.float32)
    mask[:, :3] = 1
    statistic = statistics.get(name)
    target = statistic.target(other, None)
    outside = np.where(mask[..., None] > 0, 0, generator.random(own.shape)) * 9
    changed = own + outside.astype(np.float32)
    np.testing.assert_allclose(
        statistic.distance(own, target, mask),
        statistic.distance(changed, target, mask),
        rtol=1e-5,
    )


def test_the_names_mean_what_the_library_calls_so(maps):
    own, other = maps
    got = statistics.get("gram_positions")
    expected = style.gram_distance(
        style.gram_matrix(own, normalization="positions"),
        style.gram_matrix(other, normalization="positions"),
    )
    np.testing.assert_allclose(
        got.distance(own, got.target(other, None), None), expected, rtol=1e-6
    )
    got = statistics.get("patches")
    expected = patches.patch_distance(own, patches.extract_patches(other))
    np.testing.assert_allclose(
        got.distance(own, got.target(other, None), None), expected, rtol=1e-6
    )


def test_sliced_directions_are_the_same_each_time(maps):
    own, other = maps
    statistic = statistics.get("sliced_wasserstein")
    values = [
        statistic.distance(own, statistic.target(other, None), None) for _ in "ab"
    ]
    np.testing.assert_array_equal(*values)
    assert statistic.target(other, None).shape[-1] >= 64


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="style_statistic: expected one of gram"):
        statistics.get("grams")
