"""Content distances against NumPy, masked and not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.losses import content


def numpy_euclidean(x, y, w):
    return (w * ((x - y) ** 2).mean(-1)).sum((1, 2))


def numpy_cosine(x, y, w):
    cosine = (x * y).sum(-1) / np.linalg.norm(x, axis=-1) / np.linalg.norm(y, axis=-1)
    return (w * (1 - cosine)).sum((1, 2))


ROWS = [
    (content.euclidean_distance, numpy_euclidean),
    (content.cosine_distance, numpy_cosine),
]
DISTANCES = pytest.mark.parametrize("distance", [row[0] for row in ROWS])


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("distance", "expected"), ROWS)
def test_equals_numpy_per_example(distance, expected, masked, generator):
    x, y = generator.normal(size=(2, 3, 4, 5, 6))
    w = generator.uniform(size=(3, 4, 5)) if masked else np.ones((3, 4, 5))
    share = w / w.sum((1, 2), keepdims=True)
    mask = jnp.float32(w) if masked else None
    actual = jax.jit(distance)(jnp.float32(x), jnp.float32(y), mask=mask)
    assert actual.shape == (3,)
    assert actual.dtype == jnp.float32
    np.testing.assert_allclose(actual, expected(x, y, share), rtol=1e-5)


@DISTANCES
def test_is_zero_for_equal_maps_with_a_finite_gradient(distance):
    x = jnp.zeros((1, 2, 2, 3)).at[0, 0, 0].set(1.0)  # zero vectors among them
    gradient = jax.grad(lambda v: jnp.sum(distance(v, x)))(x)
    assert np.isfinite(gradient).all()
    nonzero = x + 1.0
    np.testing.assert_allclose(distance(nonzero, nonzero), 0.0, atol=1e-6)


@DISTANCES
def test_nothing_outside_a_mask_counts(distance, generator):
    x, y = jnp.float32(generator.normal(size=(2, 1, 4, 4, 3)))
    mask = jnp.zeros((1, 4, 4)).at[:, :2].set(1.0)
    gradient = jax.grad(lambda v: jnp.sum(distance(v, y, mask=mask)))(x)
    assert float(jnp.abs(gradient[:, 2:]).max()) == 0.0
    assert float(jnp.abs(gradient[:, :2]).max()) > 0.0


@DISTANCES
def test_differing_shapes_are_refused(distance):
    with pytest.raises(ValueError, match="features and target of one shape"):
        distance(jnp.zeros((1, 2, 2, 3)), jnp.zeros((1, 2, 3, 3)))


def test_cosine_is_blind_to_scale_and_euclid_is_not(generator):
    x, y = jnp.float32(generator.normal(size=(2, 1, 3, 3, 4)))
    np.testing.assert_allclose(
        content.cosine_distance(x, y), content.cosine_distance(7.0 * x, y), rtol=1e-5
    )
    assert content.euclidean_distance(7.0 * x, y) > content.euclidean_distance(x, y)


def test_half_precision_is_summed_in_float32():
    x = jnp.zeros((1, 64, 64, 8), jnp.bfloat16)
    value = content.euclidean_distance(x, jnp.full_like(x, 0.5))
    assert value.dtype == jnp.float32
    np.testing.assert_allclose(value, [0.25], rtol=1e-6)


def test_the_names_a_configuration_uses():
    assert set(content.DISTANCES) == {"euclidean", "cosine"}
