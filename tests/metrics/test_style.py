"""Style and content against NumPy; what they see and what they do not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.metrics import structure, style


def features_of(images):
    """Two layers worked out by hand: colours with their squares, and differences."""
    near = jnp.concatenate([images, jnp.square(images)], axis=-1)
    far = images[:, ::2, ::2] - 0.5 * images[:, 1::2, 1::2]
    return {"near": near, "far": 100.0 * far}


def pixels(images):
    return {"pixels": images}


@pytest.fixture
def pair(generator):
    return generator.random((2, 3, 8, 10, 3)).astype(np.float32)


def relative(x, y):
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    return np.sqrt(((x - y) ** 2).sum() / (y**2).sum())


def gram(f):
    flat = np.asarray(f, np.float64).reshape(-1, f.shape[-1])
    return np.mean([np.outer(v, v) for v in flat], axis=0)


def mean_and_deviation(f):
    flat = np.asarray(f, np.float64).reshape(-1, f.shape[-1])
    return np.concatenate([flat.mean(0), np.sqrt(flat.var(0) + 1e-5)])


@pytest.mark.parametrize(
    ("name", "statistic"), [("gram", gram), ("moments", mean_and_deviation)]
)
def test_style_against_numpy(pair, name, statistic):
    x, y = pair
    f, g = features_of(x), features_of(y)
    layers = {
        layer: [
            relative(statistic(a), statistic(b))
            for a, b in zip(f[layer], g[layer], strict=True)
        ]
        for layer in f
    }
    found = style.style_distance(x, y, feature_fn=features_of, statistic=name)
    expected = np.mean(list(layers.values()), axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    weighted = style.style_distance(
        x, y, feature_fn=features_of, statistic=name, layer_weights={"far": 2.0}
    )
    np.testing.assert_allclose(weighted, 2 * np.array(layers["far"]), rtol=1e-4)


def test_content_against_numpy(pair):
    x, y = pair
    f, g = features_of(x), features_of(y)
    expected = [
        np.mean([relative(f[n][i], g[n][i]) for n in ("near", "far")]) for i in range(3)
    ]
    found = style.content_distance(x, y, feature_fn=features_of)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_layer_of_large_numbers_does_not_drown_the_others(pair):
    x, y = pair

    def louder(images):
        maps = features_of(images)
        return maps | {"near": 1e4 * maps["near"]}

    for distance in (style.style_distance, style.content_distance):
        np.testing.assert_allclose(
            distance(x, y, feature_fn=louder),
            distance(x, y, feature_fn=features_of),
            rtol=1e-4,
        )


@pytest.mark.parametrize("statistic", sorted(style.STATISTICS))
def test_style_does_not_mind_where_and_content_does(pair, generator, statistic):
    x = pair[0]
    order = generator.permutation(80)
    moved = x.reshape(3, 80, 3)[:, order].reshape(x.shape)
    same = style.style_distance(moved, x, feature_fn=pixels, statistic=statistic)
    np.testing.assert_allclose(same, 0.0, atol=1e-5)
    assert (style.content_distance(moved, x, feature_fn=pixels) > 0.3).all()
    assert (structure.structure_distance(moved, x, feature_fn=pixels) > 0.02).all()
    assert (structure.structure_similarity(moved, x, feature_fn=pixels) < 0.3).all()


def test_one_style_serves_all_and_may_have_another_size(pair):
    x, y = pair
    one = style.style_distance(x, y[:1, :6, :4], feature_fn=features_of)
    each = [
        style.style_distance(x[i : i + 1], y[:1, :6, :4], feature_fn=features_of)[0]
        for i in range(3)
    ]
    np.testing.assert_allclose(one, np.array(each), rtol=1e-5)
    with pytest.raises(ValueError, match="expected 1 or 3 pictures, got 2"):
        style.style_distance(x, y[:2], feature_fn=features_of)


def test_the_mean_gram_matrix_is_that_of_all_positions_together(pair):
    x = pair[0]
    each = style.style_statistics(pixels(x))["pixels"]
    all_rows = style.style_statistics(pixels(x.reshape(1, 24, 10, 3)))["pixels"]
    np.testing.assert_allclose(each.mean(0, keepdims=True), all_rows, rtol=1e-5)


def test_distances_grow_with_the_distortion(pair):
    x, y = pair
    for distance in (
        style.style_distance,
        style.content_distance,
        structure.structure_distance,
    ):
        steps = [
            float(distance((1 - s) * x + s * y, x, feature_fn=pixels).mean())
            for s in (0.0, 0.1, 0.3, 0.6)
        ]
        assert steps[0] == pytest.approx(0.0, abs=1e-6)
        assert steps == sorted(steps) and steps[1] > 0


def test_nothing_is_divided_by_zero(pair):
    black = jnp.zeros_like(pair[0])
    for distance in (
        style.style_distance,
        style.content_distance,
        structure.structure_distance,
        structure.structure_similarity,
    ):
        for x, y in ((black, pair[0]), (pair[0], black), (black, black)):
            assert np.isfinite(distance(x, y, feature_fn=pixels)).all()
    gone = style.content_distance(black, pair[0], feature_fn=pixels)
    np.testing.assert_allclose(gone, 1.0, rtol=1e-6)


def test_all_of_it_runs_under_jit_and_on_half_precision(pair):
    x, y = pair

    def half(images):
        return {"pixels": images.astype(jnp.bfloat16)}

    for distance in (
        style.style_distance,
        style.content_distance,
        structure.structure_distance,
        structure.structure_similarity,
    ):
        found = jax.jit(lambda x, y, d=distance: d(x, y, feature_fn=half))(x, y)
        assert found.dtype == jnp.float32
        exact = distance(x, y, feature_fn=pixels)
        np.testing.assert_allclose(found, exact, atol=0.02)


def test_mistakes_are_refused(pair):
    x, y = pair
    with pytest.raises(ValueError, match="statistic: expected one of"):
        style.style_distance(x, y, feature_fn=pixels, statistic="grams")
    with pytest.raises(ValueError, match="max_positions"):
        structure.structure_distance(x, y, feature_fn=pixels, max_positions=0)
    with pytest.raises(ValueError, match="one shape"):
        structure.structure_similarity(x, y[:2], feature_fn=pixels)
    with pytest.raises(ValueError, match="no layer 'x'"):
        style.content_distance(x, y, feature_fn=pixels, layer_weights={"x": 1.0})
    with pytest.raises(ValueError, match="one set of layers"):
        style.statistics_distance({"a": x}, {"b": x})
