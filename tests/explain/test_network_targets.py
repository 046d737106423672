"""Each target against NumPy, its checks, and that its gradient is finite."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain import network_targets as targets
from stylejax.explain.scalars import Scalar


def uniform(seed, *shape):
    return jax.random.uniform(jax.random.key(seed), shape)


IMAGES, OTHER = uniform(0, 2, 8, 8, 3), uniform(1, 1, 8, 8, 3)


def features(images):
    return {"fine": images * 2, "coarse": images[:, ::2, ::2] ** 2}


def gram(x):
    flat = np.asarray(x, np.float64).reshape(-1, x.shape[-1])
    return flat.T @ flat / flat.shape[0] / flat.shape[1]


def test_style_distance_is_that_of_the_gram_matrices():
    target = targets.style_distance(features, style=OTHER)
    expected = 0.0
    for name in ("fine", "coarse"):
        found, goal = (gram(features(x)[name][0]) for x in (IMAGES, OTHER))
        expected += np.linalg.norm(found - goal) / np.linalg.norm(goal) / 2
    assert float(target(IMAGES)[0]) == pytest.approx(expected, rel=1e-4)
    assert target.name == "style distance (gram)"


def test_style_does_not_care_where_things_are():
    rolled = jnp.roll(OTHER, (2, 4), axis=(1, 2))
    for statistic in ("gram", "moments"):
        target = targets.style_distance(features, style=OTHER, statistic=statistic)
        assert float(target(rolled)[0]) < 1e-5 < float(target(IMAGES)[0])


def test_content_distance_does():
    target = targets.content_distance(features, content=OTHER)
    assert float(target(OTHER)[0]) == 0
    rolled = float(target(jnp.roll(OTHER, 2, axis=1))[0])
    fine, coarse = (np.asarray(features(OTHER)[n], np.float64) for n in features(OTHER))
    expected = np.linalg.norm(np.roll(fine, 2, axis=1) - fine) / np.linalg.norm(fine)
    expected += np.linalg.norm(np.roll(coarse, 1, 1) - coarse) / np.linalg.norm(coarse)
    assert rolled == pytest.approx(expected / 2, rel=1e-4)


@pytest.mark.parametrize(
    "target",
    [
        targets.style_distance(features, style=OTHER),
        targets.content_distance(features, content=OTHER),
    ],
)
def test_the_gradient_at_the_goal_itself_is_finite(target):
    slope = jax.grad(lambda x: target(x).sum())(OTHER)
    assert np.isfinite(slope).all()


def test_cycle_error_in_a_box():
    target = targets.cycle_error(lambda x: x + 0.5, lambda x: x * 0, box=(1, 2, 3, 4))
    expected = np.asarray(IMAGES)[:, 2:6, 1:4].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(target(IMAGES), expected, rtol=1e-5)
    whole = targets.cycle_error(lambda x: x + 0.5, lambda x: x - 0.5)
    np.testing.assert_allclose(whole(IMAGES), 0, atol=1e-6)
    assert target.name == "cycle error@1,2,3,4"


@pytest.mark.parametrize("trailing", [(), (1,)])
def test_discriminator_logits(trailing):
    logits = uniform(3, 2, 4, 5, *trailing)
    values = np.asarray(logits).reshape(2, 4, 5)
    whole = targets.discriminator_logit(lambda x: logits)
    cell = targets.discriminator_logit(lambda x: logits, cell=(3, 1))
    np.testing.assert_allclose(whole(IMAGES), values.mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(cell(IMAGES), values[:, 3, 1], rtol=1e-6)


def test_a_cell_that_is_not_there():
    target = targets.discriminator_logit(lambda x: uniform(3, 2, 4, 5, 1), cell=(4, 0))
    with pytest.raises(ValueError, match="inside 4 x 5 logits"):
        target(IMAGES)


def test_area_of_a_class():
    shares = jax.nn.softmax(uniform(4, 2, 8, 8, 5))
    target = targets.segment_area(lambda x: shares, label=2, box=(0, 0, 4, 8))
    np.testing.assert_allclose(
        target(IMAGES), shares[:, :, :4, 2].mean(axis=(1, 2)), rtol=1e-6
    )
    with pytest.raises(ValueError, match="with class 5"):
        targets.segment_area(lambda x: shares, label=5)(IMAGES)


def test_probe_scores_of_vectors_and_maps():
    weights = jnp.array([1.0, -2.0, 0.5])
    of_map = targets.probe_score(lambda x: x, weights=weights, bias=0.25, name="hue")
    of_vector = targets.probe_score(lambda x: x[:, 0, 0], weights=weights)
    expected = np.asarray(IMAGES).mean(axis=(1, 2)) @ np.asarray(weights) + 0.25
    np.testing.assert_allclose(of_map(IMAGES), expected, rtol=1e-5)
    np.testing.assert_allclose(of_vector(IMAGES), IMAGES[:, 0, 0] @ weights, rtol=1e-5)
    assert of_map.name == "hue score"
    with pytest.raises(ValueError, match="weights: expected one for each"):
        targets.probe_score(lambda x: x, weights=jnp.ones(4))(IMAGES)


def test_bands_share_out_the_variance():
    edges = (0.0, 0.1, 0.3, 0.75)
    bands = [
        targets.band_energy(low=low, high=high, channel="red")
        for low, high in zip(edges, edges[1:], strict=False)
    ]
    total = sum(band(IMAGES) for band in bands)
    np.testing.assert_allclose(
        total, np.asarray(IMAGES)[..., 0].var(axis=(1, 2)), rtol=1e-4
    )


def test_a_wave_lies_in_its_own_band():
    wave = jnp.sin(2 * jnp.pi * 2 * jnp.arange(16) / 16)
    image = jnp.broadcast_to(wave[None, None, :, None], (1, 16, 16, 3))
    inside = targets.band_energy(low=0.12, high=0.13)(image)
    outside = targets.band_energy(low=0.2, high=0.75)(image)
    assert float(inside[0]) == pytest.approx(0.5, abs=1e-5)
    assert float(outside[0]) < 1e-10


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: targets.band_energy(low=0.2, high=0.1), "low < high"),
        (lambda: targets.band_energy(low=0, high=1, channel="hue"), "luminance, red"),
        (lambda: targets.style_distance(features, style=IMAGES), "one picture, got 2"),
        (lambda: targets.content_distance(features, content=IMAGES), "got 2"),
        (lambda: targets.style_distance(features, style=OTHER[0]), "b, h, w, c"),
    ],
)
def test_mistakes_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_all_of_them_are_scalars():
    assert isinstance(targets.band_energy(low=0, high=1), Scalar)


@pytest.mark.parametrize("box", [(10, 14, 40, 40), (50, 50, 4, 4), (0, 0, 17, 2)])
def test_boxes_outside_the_picture_are_refused(box):
    images = jnp.full((1, 12, 16, 3), 0.5)
    made = [
        targets.cycle_error(lambda x: x, lambda x: 0.9 * x, box=box),
        targets.segment_area(lambda x: x / 3, label=0, box=box),
        targets.band_energy(low=0.1, high=0.5, box=box),
    ]
    for found in made:
        with pytest.raises(ValueError, match="inside the picture, 16 wide and 12 high"):
            found(images)


@pytest.mark.parametrize("box", [(-4, -4, 2, 2), (0, 0, 0, 2), (1, 2, 3)])
def test_impossible_boxes_are_refused_at_once(box):
    for make in (
        lambda: targets.cycle_error(lambda x: x, lambda x: x, box=box),
        lambda: targets.segment_area(lambda x: x, label=0, box=box),
        lambda: targets.band_energy(low=0.1, high=0.5, box=box),
    ):
        with pytest.raises(ValueError, match="target box: expected"):
            make()


def test_bands_of_what_has_no_such_channel_or_frequency_are_refused():
    with pytest.raises(ValueError, match="3 channels"):
        targets.band_energy(low=0.1, high=0.5, channel="green")(jnp.ones((1, 8, 8, 1)))
    with pytest.raises(ValueError, match="low below 0.708 .*, got 0.9 and 9"):
        targets.band_energy(low=0.9, high=9)
