"""The response to invisible changes, on ways back whose answer is known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft

from stylejax.explain.cycle_statistics import cycle_statistics
from stylejax.explain.invisible_changes import PERTURBATIONS, invisible_changes
from stylejax.image.filters import gaussian_blur
from tests.explain.hidden_channels import some_pictures

SIZE, LIMIT, SIGMA = 16, 4 / 255, 1.5


# Contrast and offset of the forward and the backward map, and how the way back sees.
CASES = {
    "identity": (1.0, 0.0, 1.0, 0.0, "all"),
    "faint": (0.2, 0.4, 5.0, -2.0, "all"),
    "mean": (1.0, 0.0, 1.0, 0.0, "mean"),
    "steps": (1.0, 0.0, 1.0, 0.0, "steps"),
}


@pytest.fixture(scope="module")
def images():
    return some_pictures()[:3, :SIZE, :SIZE]


@pytest.fixture(scope="module")
def statistics(images):
    """Of all cases in one compiled call, with three draws of noise, by name."""

    def measure(numbers, sees):
        a, b, c, d = numbers

        def backward(x):
            flat = jnp.broadcast_to(x.mean(axis=(1, 2, 3), keepdims=True), x.shape)
            return jax.lax.select_n(sees, c * x + d, flat, jnp.round(4 * x) / 4)

        return cycle_statistics(
            jax.random.key(2), lambda x: a * x + b, backward, images, num_draws=3
        )

    numbers = jnp.array([case[:4] for case in CASES.values()])
    sees = jnp.array([("all", "mean", "steps").index(c[4]) for c in CASES.values()])
    found = jax.jit(jax.vmap(measure))(numbers, sees)
    return {
        name: jax.device_get(jax.tree.map(lambda x, i=i: x[i], found))
        for i, name in enumerate(CASES)
    }


def identity(x):
    return x


def shares(transplant):
    moved, apart, changed, distance = (np.sum(x, dtype=np.float64) for x in transplant)
    return moved / apart, changed / distance


def test_an_identity_moves_by_exactly_what_was_changed(statistics, images):
    found = statistics["identity"]
    moved, reference = shares(found.transplant)
    assert moved == pytest.approx(reference, rel=1e-6)
    fine = np.clip(images - gaussian_blur(images, SIGMA), -LIMIT, LIMIT)
    change, apart = (np.roll(x, 1, axis=0) - x for x in (fine, np.asarray(images)))
    assert reference == pytest.approx(
        (change * apart).sum() / (apart**2).sum(), rel=1e-4
    )
    np.testing.assert_allclose(found.clean_error, 0, atol=1e-7)


def test_a_faint_picture_that_is_made_strong_again_is_honest(statistics):
    """The gain is 5, yet it moves no further than the faint pictures did."""
    found = statistics["faint"]
    moved, reference = shares(found.transplant)
    assert moved == pytest.approx(reference, rel=1e-3)
    for effect in found.effects.values():
        assert effect.gain == pytest.approx(5, rel=1e-3)
        assert effect.forward_gain == pytest.approx(0.2, rel=1e-3)


def test_the_effects_of_an_identity_are_those_of_the_changes(statistics, images):
    found = statistics["identity"]
    assert set(found.effects) == set(PERTURBATIONS)
    change = jax.jit(functools.partial(invisible_changes, num_draws=3))
    for name, changed in change(jax.random.key(2), images).items():
        size = float(jnp.abs(changed - images[None]).mean())
        effect = found.effects[name]
        assert effect.visible == pytest.approx(size, rel=1e-4)
        assert effect.error == effect.jump == pytest.approx(size, rel=1e-4)
        assert effect.gain == pytest.approx(1, rel=1e-4)


def test_the_error_after_a_change_is_counted_from_the_source(statistics, images):
    """A mean averages noise away, so its error stays what it was: a ratio of 1."""
    found = statistics["mean"]
    flat = np.mean(images, axis=(1, 2, 3), keepdims=True)
    expected = np.abs(flat - images).mean()
    assert found.clean_error.mean() == pytest.approx(expected, rel=1e-5)
    for effect in found.effects.values():
        assert effect.error == pytest.approx(expected, rel=0.01)
        assert effect.ratio == pytest.approx(1, abs=0.01)
        assert effect.jump == pytest.approx(0, abs=0.002)


def test_the_gradient_of_an_identity_has_the_picture_s_own_bands(statistics, images):
    """For it the share of the sensitivity is the share of the energy."""
    found = statistics["identity"]
    centred = np.asarray(images) - np.asarray(images).mean(axis=(1, 2), keepdims=True)
    energy = (scipy.fft.dctn(centred, axes=(1, 2), norm="ortho") ** 2).sum(axis=(0, 3))
    k = np.arange(SIZE) / (2 * SIZE)
    high = np.hypot(k[:, None], k[None]) >= 0.18739 / SIGMA
    assert found.energy_share == pytest.approx(
        energy[high].sum() / energy.sum(), rel=1e-4
    )
    assert found.sensitivity_share == pytest.approx(found.energy_share, rel=1e-4)


def test_a_way_back_without_slope_has_no_sensitivity(statistics):
    found = statistics["steps"]
    assert np.isnan(found.sensitivity_share)
    assert np.isfinite(found.energy_share)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"images": jnp.ones((1, 16, 16, 3))}, "two pictures or more, got shape"),
        ({"images": jnp.ones((2, 16, 16, 1))}, "expected 3 channels"),
        ({"forward": lambda x: x[:, ::2]}, r"expected forward\(images\) and images of"),
        ({"backward": lambda x: x[:, ::2]}, "the cycle's pictures and images of one"),
        ({"limit": 0}, "limit: expected a number above 0"),
        ({"sigma": -1}, "sigma: expected a number above 0"),
    ],
)
def test_mistakes_end_in_one_clear_line(change, match):
    given = {"forward": identity, "backward": identity}
    given |= {"images": jnp.ones((2, 16, 16, 3))} | change
    forward, backward = given.pop("forward"), given.pop("backward")
    with pytest.raises(ValueError, match=match) as e:
        jax.eval_shape(
            lambda x: cycle_statistics(
                jax.random.key(0), forward, backward, x, **given
            ),
            given.pop("images"),
        )
    assert "\n" not in str(e.value)
