"""Patch and histogram losses against NumPy and against cases known beforehand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.losses import patches


def numpy_patches(x, size):
    rows, columns = x.shape[0] - size + 1, x.shape[1] - size + 1
    return np.array(
        [
            x[i : i + size, j : j + size].reshape(-1)
            for i in range(rows)
            for j in range(columns)
        ]
    )


def numpy_patch_distance(x, style, size, weights):
    ours, theirs = numpy_patches(x, size), numpy_patches(style, size)
    unit = theirs / np.linalg.norm(theirs, axis=1, keepdims=True)
    nearest = theirs[np.argmax(ours @ unit.T, axis=1)]
    return (weights * ((ours - nearest) ** 2).mean(1)).sum() / weights.sum()


def test_patches_are_numpys(generator):
    x = generator.normal(size=(2, 5, 4, 3)).astype(np.float32)
    found = patches.extract_patches(jnp.asarray(x), size=3)
    np.testing.assert_array_equal(found, [numpy_patches(y, 3) for y in x])


def test_maps_smaller_than_a_patch_are_refused():
    with pytest.raises(ValueError, match="at least 3 x 3 positions, got 2 x 8"):
        patches.extract_patches(jnp.zeros((1, 2, 8, 1)))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("chunk", [4, 1024])
def test_patch_distance_equals_numpy(masked, chunk, generator):
    x = generator.normal(size=(2, 5, 6, 2)).astype(np.float32)
    style = generator.normal(size=(1, 4, 7, 2)).astype(np.float32)
    mask = generator.uniform(size=(2, 5, 6)).astype(np.float32)
    found = jax.jit(patches.patch_distance, static_argnames="chunk")(
        jnp.asarray(x),
        patches.extract_patches(jnp.asarray(style)),
        mask=jnp.asarray(mask) if masked else None,
        chunk=chunk,
    )
    weights = mask[:, 1:-1, 1:-1].reshape(2, -1) if masked else np.ones((2, 12))
    expected = [
        numpy_patch_distance(y, style[0], 3, w) for y, w in zip(x, weights, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_piece_of_the_style_costs_nothing(generator):
    style = generator.normal(size=(1, 8, 8, 3)).astype(np.float32)
    stored = patches.extract_patches(jnp.asarray(style))
    piece = jnp.asarray(style[:, 2:7, 1:6])
    np.testing.assert_allclose(patches.patch_distance(piece, stored), 0.0, atol=1e-10)


def test_patches_of_another_size_are_refused():
    stored = patches.extract_patches(jnp.ones((1, 8, 8, 3)), size=5)
    with pytest.raises(ValueError, match="extract them with size=3"):
        patches.patch_distance(jnp.ones((1, 8, 8, 3)), stored)


def test_equal_histograms_cost_nothing_wherever_the_values_are(generator):
    x = generator.normal(size=(1, 4, 4, 2)).astype(np.float32)
    shuffled = generator.permutation(x.reshape(1, 16, 2), axis=1).reshape(1, 4, 4, 2)
    target = patches.channel_quantiles(jnp.asarray(shuffled), num_quantiles=16)
    found = patches.histogram_distance(jnp.asarray(x), target)
    np.testing.assert_allclose(found, 0.0, atol=1e-9)


def test_a_shifted_and_stretched_histogram_costs_the_change(generator):
    x = generator.normal(size=(2, 4, 4, 2)).astype(np.float32)
    target = patches.channel_quantiles(jnp.asarray(3 * x + 1), num_quantiles=16)
    found = patches.histogram_distance(jnp.asarray(x), target)
    np.testing.assert_allclose(found, ((2 * x + 1) ** 2).mean((1, 2, 3)), rtol=1e-4)


def test_the_target_of_a_histogram_stands_still(generator):
    """With fewer quantiles than values, moving a value would move its target too."""
    x = generator.normal(size=(1, 4, 4, 1)).astype(np.float32)
    target = patches.channel_quantiles(jnp.asarray(3 * x + 1), num_quantiles=4)
    gradient = jax.grad(lambda v: jnp.sum(patches.histogram_distance(v, target)))(
        jnp.asarray(x)
    )
    own = np.quantile(x, (np.arange(4) + 0.5) / 4, method="hazen")
    matched = np.interp(x, own, np.asarray(target[0, :, 0]))
    np.testing.assert_allclose(gradient, 2 * (x - matched) / 16, rtol=1e-3, atol=1e-4)


def test_the_histogram_of_a_region_is_matched_alone(generator):
    x = generator.normal(size=(1, 4, 4, 1)).astype(np.float32)
    mask = jnp.zeros((1, 4, 4)).at[:, :2].set(1.0)
    target = patches.channel_quantiles(jnp.asarray(x[:, :2] + 5), num_quantiles=8)
    found = patches.histogram_distance(jnp.asarray(x), target, mask=mask)
    np.testing.assert_allclose(found, [25.0], rtol=1e-4)
