"""Directions against dense decompositions, scikit-learn's and NumPy's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.decomposition import PCA

from stylejax.explain.directions import (
    jacobian_directions,
    principal_directions,
    randomized_principal_directions,
    walk,
)

KEY = jax.random.key(0)


def uniform(seed, *shape):
    return jax.random.uniform(jax.random.key(seed), shape)


@pytest.fixture(scope="module")
def latents():
    """200 latents of 12 numbers, correlated, with an offset and falling variances."""
    generator = np.random.default_rng(3)
    mixing = np.linalg.qr(generator.normal(size=(12, 12)))[0]
    scaled = generator.normal(size=(200, 12)) * 0.7 ** np.arange(12)
    return (scaled @ mixing + 5).astype(np.float32)


def exact(latents, num):
    return principal_directions(latents, num=num)


def randomized(latents, num):
    return randomized_principal_directions(KEY, latents, num=num)


# --- principal directions -----------------------------------------------------------


@pytest.mark.parametrize("find", [exact, randomized])
def test_principal_directions_are_those_of_scikit_learn(find, latents):
    latents = latents.astype(np.float64)
    peer, found = PCA(5).fit(latents), find(latents, 5)
    np.testing.assert_allclose(
        found.deviations, np.sqrt(peer.explained_variance_), rtol=1e-4
    )
    np.testing.assert_allclose(found.shares, peer.explained_variance_ratio_, rtol=1e-4)
    np.testing.assert_allclose(found.mean, peer.mean_, rtol=1e-5)
    cosines = np.abs(np.sum(found.directions * peer.components_, axis=1))
    np.testing.assert_allclose(cosines, 1, atol=1e-5)


def test_randomised_directions_of_wide_latents_are_the_exact_ones():
    """300 numbers each, 8 probes in all: the spectrum decides, not the width."""
    generator = np.random.default_rng(0)
    scaled = generator.normal(size=(40, 300)) * 0.6 ** np.arange(300)
    wide = jnp.asarray(scaled @ np.linalg.qr(generator.normal(size=(300, 300)))[0])
    dense = principal_directions(wide, num=4)
    found = randomized_principal_directions(KEY, wide, num=4, oversampling=4)
    for name in ("directions", "deviations", "shares"):
        np.testing.assert_allclose(
            getattr(found, name), getattr(dense, name), atol=2e-4, err_msg=name
        )


@pytest.mark.parametrize("find", [exact, randomized])
def test_the_sign_does_not_depend_on_the_sign_of_the_data(find, latents):
    latents = jnp.asarray(latents)
    found, turned = find(latents, 3).directions, find(-latents, 3).directions
    np.testing.assert_allclose(found, turned, atol=1e-4)


@pytest.mark.parametrize("tilt", [1e-6, -1e-6])
def test_the_sign_survives_a_tie_between_the_largest_entries(tilt):
    """The larger of (1, -1) is a matter of rounding, the sign must not be."""
    steps = np.array([[-1.0], [0.0], [1.0]])
    line = jnp.asarray(steps * np.array([[1 + tilt, -1 + tilt]]), jnp.float32)
    first = principal_directions(line, num=1).directions[0]
    np.testing.assert_allclose(first, np.array([1, -1]) / np.sqrt(2), atol=1e-5)


def test_directions_are_orthonormal_and_all_of_them_share_all_variance(latents):
    found = principal_directions(jnp.asarray(latents), num=12)
    np.testing.assert_allclose(
        found.directions @ found.directions.T, np.eye(12), atol=1e-5
    )
    assert float(found.shares.sum()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("num", [0, 3, 13])
def test_no_more_directions_than_there_are(num):
    with pytest.raises(ValueError, match="num: expected 1 to 2 directions, got"):
        principal_directions(uniform(0, 3, 12), num=num)


def test_latents_must_be_flat_and_oversampling_positive():
    with pytest.raises(ValueError, match=r"latents: expected shape \(n, d\), got"):
        principal_directions(uniform(0, 3, 2, 2), num=1)
    with pytest.raises(ValueError, match="oversampling: expected at least 0, got -1"):
        randomized_principal_directions(KEY, uniform(0, 9, 4), num=2, oversampling=-1)


# --- singular directions of a Jacobian ----------------------------------------------


def smooth(picture):
    """A picture 1 6 6 1 to a picture 1 5 5 2 by way of a kink-free bend."""
    kernel = jnp.asarray(np.random.default_rng(1).normal(size=(2, 2, 1, 2)), "float32")
    return jnp.tanh(
        jax.lax.conv_general_dilated(
            picture, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
    )


def dense_svd(fn, x):
    jacobian = np.asarray(jax.jit(jax.jacobian(fn))(x), np.float64).reshape(-1, x.size)
    return np.linalg.svd(jacobian, full_matrices=False)


@pytest.fixture(scope="module")
def found():
    """Three directions of `smooth`, of 36 there are, with few probes."""
    picture = uniform(2, 1, 6, 6, 1)
    result = jacobian_directions(
        KEY, smooth, picture, num=3, num_power_iterations=30, oversampling=5
    )
    return picture, result


def test_jacobian_directions_are_those_of_the_dense_jacobian(found):
    picture, result = found
    left, values, right = dense_svd(smooth, picture)
    np.testing.assert_allclose(result.values, values[:3], rtol=1e-4)
    assert result.inputs.shape == (3, *picture.shape)
    assert result.outputs.shape == (3, 1, 5, 5, 2)
    for i in range(3):
        assert abs(result.inputs[i].ravel() @ right[i]) == pytest.approx(1, abs=1e-3)
        assert abs(result.outputs[i].ravel() @ left[:, i]) == pytest.approx(1, abs=1e-3)


def test_a_step_along_an_input_moves_the_output_as_stated(found):
    """Input and output belong together, sign included."""
    picture, result = found
    for i in range(3):
        _, moved = jax.jvp(smooth, (picture,), (result.inputs[i],))
        np.testing.assert_allclose(
            moved, result.values[i] * result.outputs[i], atol=2e-2
        )
    assert float(result.residuals.max()) < 2e-2 * float(result.values[0])


def test_the_sign_of_an_input_is_fixed(found):
    flat = np.asarray(found[1].inputs).reshape(3, -1)
    large = np.abs(flat) >= 0.99 * np.abs(flat).max(axis=1, keepdims=True)
    assert (flat[np.arange(3), large.argmax(axis=1)] > 0).all()


@pytest.mark.parametrize(("rows", "columns"), [(12, 8), (8, 12)])
def test_a_linear_map_is_exact(rows, columns):
    matrix = np.random.default_rng(rows).normal(size=(rows, columns))
    constant = jnp.asarray(matrix, jnp.float32)

    def fn(x):
        return (constant @ x.reshape(-1) + 7).reshape(2, -1)

    result = jacobian_directions(KEY, fn, np.ones((2, columns // 2)), num=8)
    values = np.linalg.svd(matrix, compute_uv=False)
    np.testing.assert_allclose(result.values, values, rtol=1e-5)
    np.testing.assert_allclose(result.residuals, 0, atol=1e-5)
    rebuilt = np.einsum(
        "k,ky,kx->yx",
        result.values,
        result.outputs.reshape(8, -1),
        result.inputs.reshape(8, -1),
    )
    np.testing.assert_allclose(rebuilt, matrix, atol=1e-5)


def test_a_map_of_low_rank_needs_no_power_iterations():
    """Rank 3 of 60, found by 5 probes at once; the rest of the values are zero."""
    generator = np.random.default_rng(0)
    factors = generator.normal(size=(60, 3)), generator.normal(size=(3, 60))
    matrix = jnp.asarray(factors[0] @ factors[1], jnp.float32)
    result = jacobian_directions(
        KEY,
        lambda x: matrix @ x,
        jnp.zeros(60),
        num=4,
        num_power_iterations=0,
        oversampling=1,
    )
    values = np.linalg.svd(np.asarray(matrix, np.float64), compute_uv=False)
    np.testing.assert_allclose(result.values[:3], values[:3], rtol=1e-5)
    assert float(result.values[3]) < 1e-4 * float(result.values[0])


def test_residuals_tell_when_the_iterations_were_too_few():
    slow = jnp.linspace(1, 0.5, 80)

    def residual(num_power_iterations):
        result = jacobian_directions(
            KEY,
            lambda x: slow * x,
            jnp.ones(80),
            num=1,
            num_power_iterations=num_power_iterations,
            oversampling=4,
        )
        return float(result.residuals[0]), 1 - float(result.values[0])

    (loose, short), (tight, close) = residual(0), residual(100)
    assert loose > 0.05 and short > 0.02
    assert tight < 0.02 and 0 <= close + 1e-6 < 1e-3


def sizes_of(jaxpr):
    """The sizes of all values in a program, those of its inner programs too."""
    for equation in jaxpr.eqns:
        yield from (v.aval.size for v in equation.outvars)
        for inner in jax.tree.leaves(
            equation.params, is_leaf=lambda p: hasattr(p, "eqns") or hasattr(p, "jaxpr")
        ):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                yield from sizes_of(inner)


def test_the_jacobian_is_never_made():
    """10^4 numbers in and out: a Jacobian would have 10^8, eight probes have 10^5."""

    def find(key, x):
        return jacobian_directions(key, jnp.sin, x, num=2, oversampling=6)

    program = jax.make_jaxpr(find)(KEY, jnp.ones(10_000))
    sizes = list(sizes_of(program.jaxpr))
    assert len(sizes) > 50
    assert max(sizes) <= 8 * 10_000


def test_no_more_jacobian_directions_than_the_smaller_side_has():
    with pytest.raises(ValueError, match="num: expected 1 to 2 directions, got 3"):
        jacobian_directions(KEY, lambda x: x[:2], jnp.ones(5), num=3)


# --- walks --------------------------------------------------------------------------


@pytest.mark.parametrize("leading", [(), (1,)])
def test_a_walk_shows_the_picture_at_each_amount(leading):
    def decode(code):
        return (code[0] * jnp.ones((2, 3, 3)) + code[1] ** 2).reshape(*leading, 2, 3, 3)

    strip = walk(
        decode, np.array([1.0, 3.0]), np.array([0.5, 1.0]), np.array([-1.0, 0.0, 2])
    )
    assert strip.shape == (3, 2, 3, 3)
    expected = np.array([0.5 + 4, 1 + 9, 2 + 25])
    np.testing.assert_allclose(
        strip, np.broadcast_to(expected[:, None, None, None], strip.shape)
    )


def test_a_picture_may_be_walked_as_well_as_a_latent():
    picture = uniform(0, 4, 4, 3)
    strip = walk(lambda x: 1 - x, picture, jnp.ones((4, 4, 3)), np.array([0.0, 0.25]))
    np.testing.assert_allclose(
        strip, jnp.stack([1 - picture, 0.75 - picture]), atol=1e-6
    )


def test_a_walk_needs_a_direction_of_the_latents_shape():
    with pytest.raises(ValueError, match="expected latent and direction of one shape"):
        walk(lambda z: z, jnp.ones((1, 1, 2)), jnp.ones(2), np.zeros(1))


def test_whole_latents_cannot_be_walked():
    """The amounts would be cut to whole numbers: 0.5 would be no step at all."""
    with pytest.raises(TypeError, match="latent: expected floats, got int32"):
        walk(lambda z: z, jnp.ones((2, 2, 3), int), jnp.ones((2, 2, 3)), [0.5, 0.25])


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.int32])
@pytest.mark.parametrize("find", [exact, randomized])
def test_principal_directions_of_other_numbers_are_float32(find, dtype, latents):
    narrow = jnp.asarray(latents * 8, dtype)
    found, expected = find(narrow, 3), find(narrow.astype(jnp.float32), 3)
    assert all(part.dtype == jnp.float32 for part in found)
    for part, wide in zip(found, expected, strict=True):
        np.testing.assert_array_equal(part, wide)


def test_the_jacobian_at_whole_numbers_is_refused():
    with pytest.raises(TypeError, match="x: expected floats, got int32"):
        jacobian_directions(KEY, lambda x: 2.0 * x, jnp.arange(4), num=1)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_the_jacobian_of_narrow_numbers_is_decomposed_in_float32(dtype):
    """The function is given its own precision; a scale by 2, 1, 4 and 3 is exact."""
    seen = []

    def fn(x):
        seen.append(x.dtype)
        return x * jnp.asarray([2, 1, 4, 3], dtype)

    found = jacobian_directions(KEY, fn, jnp.ones(4, dtype), num=2)
    assert set(seen) == {jnp.dtype(dtype)}
    assert found.inputs.dtype == found.values.dtype == jnp.float32
    np.testing.assert_allclose(found.values, [4, 3], rtol=0.02)
    np.testing.assert_allclose(found.inputs, [[0, 0, 1, 0], [0, 0, 0, 1]], atol=0.05)
