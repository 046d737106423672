"""Structure against NumPy; what it is blind to, and how much memory it takes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.metrics import structure, style


def pixels(images):
    return {"pixels": images}


@pytest.fixture
def pair(generator):
    return generator.random((2, 3, 8, 10, 3)).astype(np.float32)


def cosines(f):
    flat = np.asarray(f, np.float64).reshape(-1, f.shape[-1])
    n = len(flat)
    out = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            norm = np.sqrt((flat[i] ** 2).sum() * (flat[j] ** 2).sum())
            out[i, j] = (flat[i] * flat[j]).sum() / norm
    return out


def test_structure_against_numpy(pair):
    x, y = pair
    found = structure.self_similarity(jnp.asarray(x))
    assert found.shape == (3, 80, 80)
    np.testing.assert_allclose(found[1], cosines(x[1]), atol=1e-5)
    distance = structure.structure_distance(x, y, feature_fn=pixels)
    similarity = structure.structure_similarity(x, y, feature_fn=pixels)
    others = ~np.eye(80, dtype=bool)
    for i in range(3):
        s, t = cosines(x[i]), cosines(y[i])
        assert distance[i] == pytest.approx(np.abs(s - t).mean(), rel=1e-4)
        expected = np.corrcoef(s[others], t[others])[0, 1]
        assert similarity[i] == pytest.approx(expected, abs=1e-4)


def test_structure_does_not_mind_a_turned_palette(pair):
    x = pair[0]
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    turned = x @ turn.astype(np.float32) * 0.3
    distance = structure.structure_distance(turned, x, feature_fn=pixels)
    np.testing.assert_allclose(distance, 0.0, atol=1e-5)
    similarity = structure.structure_similarity(turned, x, feature_fn=pixels)
    np.testing.assert_allclose(similarity, 1.0, atol=1e-4)
    assert (style.content_distance(turned, x, feature_fn=pixels) > 0.3).all()


@pytest.mark.parametrize("shape", [(64, 64), (8, 500), (500, 8), (17, 31), (1, 4000)])
@pytest.mark.parametrize("limit", [256, 50, 7, 1])
def test_the_memory_of_the_structure_is_bounded(shape, limit):
    maps = jnp.ones((1, *shape, 2))
    found = structure.self_similarity(maps, max_positions=limit)
    assert found.shape[1] == found.shape[2] <= limit
    assert found.shape[1] > 0.4 * limit or min(shape) < 3
    np.testing.assert_allclose(found, 1.0, atol=1e-5)


def test_a_reduced_layout_still_shows_what_lies_where():
    half = jnp.zeros((1, 64, 64, 2)).at[:, :, :32, 0].set(1.0).at[:, :, 32:, 1].set(1.0)
    found = structure.self_similarity(half, max_positions=16)[0].reshape(4, 4, 4, 4)
    np.testing.assert_allclose(found[:, 0, :, 0], 1.0, atol=1e-5)
    np.testing.assert_allclose(found[:, 0, :, 3], 0.0, atol=1e-3)


@pytest.mark.parametrize(
    "measure", [structure.structure_similarity, structure.structure_distance]
)
def test_gradients_are_finite_where_feature_vectors_vanish(measure, pair):
    x, y = (jnp.asarray(z).at[:, 2:4].set(0.0) for z in pair)
    gradient = jax.grad(lambda z: measure(z, y, feature_fn=pixels).sum())(x)
    assert jnp.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[:, 2:4], 0.0)
    assert jnp.abs(gradient[:, 4:]).max() > 1e-3
    black = jnp.zeros_like(x)
    gradient = jax.grad(lambda z: measure(z, y, feature_fn=pixels).sum())(black)
    np.testing.assert_array_equal(gradient, 0.0)


def test_pictures_of_one_colour_have_no_layout(pair):
    flat = np.broadcast_to(pair[0][:, :1, :1], pair[0].shape)
    # With brighter and darker places the cosines are 1 up to rounding, which must not
    # be taken for a layout.
    shaded = flat * np.linspace(0.1, 1, 10, dtype=np.float32)[None, None, :, None]
    for x in (flat, shaded):
        found = structure.structure_similarity(x, 0.7 * x, feature_fn=pixels)
        np.testing.assert_array_equal(found, 0.0)
        found = structure.structure_distance(x, flat, feature_fn=pixels)
        np.testing.assert_allclose(found, 0.0, atol=1e-6)
