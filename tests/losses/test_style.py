"""Statistics of style and their distances against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.losses import style


@pytest.fixture
def maps(generator):
    return generator.normal(size=(2, 4, 5, 3))


@pytest.fixture
def mask(generator):
    return generator.uniform(size=(2, 4, 5))


def shares(mask):
    return (mask / mask.sum((1, 2), keepdims=True)).reshape(len(mask), -1)


@pytest.mark.parametrize(
    ("normalization", "divisor"), [("positions_channels", 3), ("positions", 1)]
)
def test_gram_equals_numpy(maps, mask, normalization, divisor):
    x = maps.reshape(2, 20, 3)
    plain = style.gram_matrix(jnp.float32(maps), normalization=normalization)
    expected = np.einsum("bnc,bnd->bcd", x, x) / 20 / divisor
    np.testing.assert_allclose(plain, expected, rtol=1e-4, atol=1e-5)
    guided = style.gram_matrix(
        jnp.float32(maps), mask=jnp.float32(mask), normalization=normalization
    )
    expected = np.einsum("bn,bnc,bnd->bcd", shares(mask), x, x) / divisor
    np.testing.assert_allclose(guided, expected, rtol=1e-4, atol=1e-5)


def test_derivatives_of_an_unmasked_gram_are_those_of_its_formula(maps, generator):
    x = jnp.float32(maps)
    direction = jnp.float32(generator.normal(size=x.shape))
    weights = jnp.float32(generator.normal(size=(2, 3, 3)))  # not symmetric

    def formula(x):
        flat = x.reshape(2, 20, 3)
        return jnp.einsum("bnc,bnd->bcd", flat, flat) / 60

    def loss(gram):
        return lambda x: jnp.sum(weights * jnp.square(gram(x)))

    def derivatives(gram):
        pushed = jax.jvp(gram, (x,), (direction,))[1]
        curved = jax.jvp(jax.grad(loss(gram)), (x,), (direction,))[1]
        one = jax.vmap(lambda x: jax.grad(loss(gram))(jnp.stack([x, x])))(x)
        hessian = jax.hessian(loss(gram))(x)
        return pushed, jax.grad(loss(gram))(x), curved, one, hessian

    found, expected = derivatives(style.gram_matrix), derivatives(formula)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_relative_gram_distances_equal_numpy(maps, generator):
    goal = generator.normal(size=(2, 3, 3, 3))

    def gram(x):
        flat = x.reshape(2, -1, 3)
        return np.einsum("bnc,bnd->bcd", flat, flat) / flat.shape[1]

    shares = np.square(gram(maps) - gram(goal)).sum((1, 2))
    shares /= np.square(gram(goal)).sum((1, 2))
    given, asked = {"a": jnp.float32(maps)}, {"a": jnp.float32(goal)}
    np.testing.assert_allclose(
        style.relative_gram_loss(given, asked), shares, rtol=1e-4
    )
    # Layers add up, however large their features are; one style may be for all.
    large = {name: 1000.0 * x["a"] for name, x in (("x", given), ("y", given))}
    asked |= {name: 1000.0 * asked["a"] for name in "xy"}
    np.testing.assert_allclose(
        style.relative_gram_loss(given | large, asked), 3 * shares, rtol=1e-4
    )
    alone = style.relative_gram_loss(given, {"a": asked["a"][:1]})
    assert alone.shape == (2,)
    np.testing.assert_allclose(alone[0], shares[0], rtol=1e-4)


def test_gram_refuses_other_normalizations(maps):
    with pytest.raises(ValueError, match="normalization: expected one of positions_ch"):
        style.gram_matrix(jnp.float32(maps), normalization="chw")


def test_moments_equal_numpy(maps, mask):
    x = maps.reshape(2, 20, 3)
    mean, deviation = style.moments(jnp.float32(maps))
    np.testing.assert_allclose(mean, x.mean(1), atol=1e-6)
    np.testing.assert_allclose(deviation, np.sqrt(x.var(1) + 1e-5), rtol=1e-5)
    w = shares(mask)[:, :, None]
    mean, deviation = style.moments(jnp.float32(maps), mask=jnp.float32(mask))
    expected = (w * x).sum(1)
    np.testing.assert_allclose(mean, expected, atol=1e-6)
    variance = (w * (x - expected[:, None]) ** 2).sum(1)
    np.testing.assert_allclose(deviation, np.sqrt(variance + 1e-5), rtol=1e-5)


def statistic_of(name):
    directions = style.random_directions(jax.random.key(1), 3, count=16)
    return {
        "gram": (style.gram_matrix, style.gram_distance),
        "moments": (style.moments, style.moments_distance),
        "sliced": (
            lambda x, mask=None: style.sliced_quantiles(
                x, directions, mask=mask, num_quantiles=20
            ),
            style.sliced_wasserstein_distance,
        ),
    }[name]


STATISTICS = pytest.mark.parametrize("name", ["gram", "moments", "sliced"])


@STATISTICS
def test_where_in_the_picture_a_feature_is_does_not_matter(name, maps, generator):
    statistic, distance = statistic_of(name)
    shuffled = generator.permutation(maps.reshape(2, 20, 3), axis=1)
    one = statistic(jnp.float32(maps))
    two = statistic(jnp.float32(shuffled.reshape(2, 5, 4, 3)))
    np.testing.assert_allclose(distance(one, two), 0.0, atol=1e-9)


@STATISTICS
def test_distances_are_per_example_and_positive(name, maps):
    statistic, distance = statistic_of(name)
    value = jax.jit(distance)(
        statistic(jnp.float32(maps)), statistic(jnp.float32(2 * maps[:1] + 1))
    )
    assert value.shape == (2,)
    assert float(value.min()) > 0


@STATISTICS
def test_nothing_outside_a_mask_counts(name, maps):
    statistic, distance = statistic_of(name)
    half = jnp.zeros((2, 4, 5)).at[:, :2].set(1.0)
    target = statistic(jnp.float32(maps + 1))
    gradient = jax.grad(lambda x: jnp.sum(distance(statistic(x, mask=half), target)))(
        jnp.float32(maps)
    )
    assert float(jnp.abs(gradient[:, 2:]).max()) == 0.0
    assert float(jnp.abs(gradient[:, :2]).max()) > 0.0


@STATISTICS
def test_a_region_alone_has_the_statistic_of_its_mask(name, maps):
    statistic, distance = statistic_of(name)
    half = jnp.zeros((2, 4, 5)).at[:, :2].set(1.0)
    masked = statistic(jnp.float32(maps), mask=half)
    alone = statistic(jnp.float32(maps[:, :2]))
    np.testing.assert_allclose(distance(masked, alone), 0.0, atol=1e-9)


@STATISTICS
def test_gradients_are_finite_on_a_flat_map(name):
    statistic, distance = statistic_of(name)
    flat, target = jnp.ones((1, 3, 3, 3)), statistic(jnp.zeros((1, 3, 3, 3)))
    gradient = jax.grad(lambda x: jnp.sum(distance(statistic(x), target)))(flat)
    assert np.isfinite(gradient).all()


def test_moments_and_gram_miss_what_the_sliced_distance_sees():
    """Two distributions of equal mean and variance: ±1, and 0 with ±√2 at times."""
    one = np.array([-1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0])
    two = np.array([0.0, 0.0, 0.0, 0.0, 2**0.5, 2**0.5, -(2**0.5), -(2**0.5)])
    maps = [jnp.float32(x).reshape(1, 2, 4, 1) for x in (one, two)]
    gram = style.gram_distance(*[style.gram_matrix(x) for x in maps])
    np.testing.assert_allclose(gram, 0.0, atol=1e-9)
    directions = jnp.ones((1, 1))
    found = style.sliced_wasserstein_distance(
        *[style.sliced_quantiles(x, directions, num_quantiles=8) for x in maps]
    )
    expected = ((np.sort(one) - np.sort(two)) ** 2).mean()
    np.testing.assert_allclose(found, [expected], rtol=1e-5)


def test_the_sliced_distance_of_a_shift_is_its_share_along_the_directions(maps):
    directions = style.random_directions(jax.random.key(0), 3, count=64)
    np.testing.assert_allclose(jnp.linalg.norm(directions, axis=0), 1.0, rtol=1e-5)
    shift = np.array([1.0, -2.0, 0.5])
    found = style.sliced_wasserstein_distance(
        style.sliced_quantiles(jnp.float32(maps), directions),
        style.sliced_quantiles(jnp.float32(maps + shift), directions),
    )
    expected = ((shift @ np.asarray(directions, np.float64)) ** 2).mean()
    np.testing.assert_allclose(found, [expected] * 2, rtol=1e-3)


def test_half_precision_is_summed_in_float32():
    x = jnp.full((1, 64, 64, 2), 0.1, jnp.bfloat16)
    gram = style.gram_matrix(x)
    assert gram.dtype == jnp.float32
    expected = float(jnp.bfloat16(0.1)) ** 2 / 2
    np.testing.assert_allclose(gram, np.full((1, 2, 2), expected), rtol=1e-4)
