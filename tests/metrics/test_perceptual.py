"""The perceptual distance against NumPy, and what it is blind to and what not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.image import filters
from stylejax.metrics import perceptual
from stylejax.pretrained import vgg

KERNELS = np.random.default_rng(7).normal(0, 1, (2, 3, 3, 3, 6)).astype(np.float32)


def features_of(images):
    """Two layers of random convolutions."""
    maps = {}
    for name, kernel, stride in zip(("one", "two"), KERNELS, (1, 2), strict=True):
        maps[name] = jax.nn.relu(
            jax.lax.conv_general_dilated(
                images,
                kernel,
                (stride, stride),
                "SAME",
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )
        )
    return maps


@pytest.fixture
def pair(generator):
    return generator.random((2, 3, 12, 10, 3)).astype(np.float32)


def expected_layer(f, g):
    f, g = (np.asarray(z, np.float64) for z in (f, g))
    numbers = []
    for a, b in zip(f, g, strict=True):
        total = 0.0
        for u, v in zip(a.reshape(-1, a.shape[-1]), b.reshape(-1, a.shape[-1])):  # noqa: B905
            sizes = np.sqrt(u @ u), np.sqrt(v @ v)
            if min(sizes) > 0:
                total += 2 - 2 * (u @ v) / (sizes[0] * sizes[1])
            else:  # a vector that is zero stays zero
                total += float(max(sizes) > 0)
        numbers.append(total / (a.shape[0] * a.shape[1]))
    return np.array(numbers)


def test_against_numpy_by_way_of_cosines(pair):
    x, y = pair
    f, g = features_of(x), features_of(y)
    one, two = (expected_layer(f[n], g[n]) for n in ("one", "two"))
    found = jax.jit(
        lambda x, y: perceptual.perceptual_distance(x, y, feature_fn=features_of)
    )(x, y)
    assert found.shape == (3,) and found.dtype == jnp.float32
    np.testing.assert_allclose(found, (one + two) / 2, rtol=1e-5)
    weighted = perceptual.perceptual_distance(
        x, y, feature_fn=features_of, layer_weights={"one": 0.5, "two": 3.0}
    )
    np.testing.assert_allclose(weighted, 0.5 * one + 3 * two, rtol=1e-5)
    only = perceptual.feature_distance(f, g, layer_weights={"two": 1.0})
    np.testing.assert_allclose(only, two, rtol=1e-5)


def test_the_strength_of_a_layer_does_not_count(pair):
    f, g = (features_of(x) for x in pair)
    scaled = {"one": 1000.0 * f["one"], "two": 0.01 * f["two"]}
    np.testing.assert_allclose(
        perceptual.feature_distance(scaled, g),
        perceptual.feature_distance(f, g),
        rtol=1e-5,
    )


def test_equal_pictures_are_at_zero_and_order_does_not_matter(pair):
    x, y = pair

    def distance(x, y):
        return perceptual.perceptual_distance(x, y, feature_fn=features_of)

    np.testing.assert_array_equal(distance(x, x), 0.0)
    np.testing.assert_allclose(distance(x, y), distance(y, x), rtol=1e-6)
    turned = distance(x[[2, 0, 1]], y[[2, 0, 1]])
    np.testing.assert_allclose(turned, distance(x, y)[jnp.array([2, 0, 1])], rtol=1e-5)


def test_a_zero_feature_is_no_division_by_zero():
    zero, one = jnp.zeros((1, 2, 2, 3)), jnp.ones((1, 2, 2, 3))
    found = perceptual.feature_distance({"a": zero}, {"a": one})
    np.testing.assert_allclose(found, 1.0, rtol=1e-6)


@pytest.mark.slow
def test_with_the_shipped_vgg_it_grows_with_noise_and_with_blur(generator):
    feature_fn = jax.jit(vgg.feature_fn(vgg.load("vgg16"), ("relu1_2", "relu2_2")))
    ramp = np.linspace(0.2, 0.8, 32, dtype=np.float32)
    image = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, ::-1], 0.5), -1)
    image[8:20, 10:22] = (0.9, 0.1, 0.2)
    image = jnp.asarray(image)[None]
    noise = generator.normal(0, 1, image.shape).astype(np.float32)
    noisy = [jnp.clip(image + s * noise, 0, 1) for s in (0.02, 0.05, 0.1, 0.2)]
    blurred = [filters.gaussian_blur(image, sigma=s) for s in (0.5, 1.0, 2.0)]
    for series in (noisy, blurred):
        values = [
            float(perceptual.perceptual_distance(x, image, feature_fn=feature_fn)[0])
            for x in series
        ]
        assert values == sorted(values) and values[0] > 0
        assert values[-1] > 2 * values[0]


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        ({"three": 1.0}, "no layer 'three'; feature_fn gives one, two"),
        ({"one": -1.0}, "none below 0"),
        ({"one": float("nan")}, "none below 0"),
        ({"one": 0.0}, "a weight above 0"),
        ({}, "a weight above 0"),
    ],
)
def test_weights_that_do_not_fit_are_refused(pair, weights, text):
    with pytest.raises(ValueError, match=text):
        perceptual.perceptual_distance(
            *pair, feature_fn=features_of, layer_weights=weights
        )


def test_what_cannot_be_compared_is_refused(pair):
    x, y = pair
    with pytest.raises(ValueError, match="one shape"):
        perceptual.perceptual_distance(x, y[:, :8], feature_fn=features_of)
    f, g = features_of(x), features_of(y)
    with pytest.raises(ValueError, match="one set of layers"):
        perceptual.feature_distance(f, {"one": g["one"]})
    with pytest.raises(ValueError, match=r"features\['two'\].*one shape"):
        perceptual.feature_distance(f, g | {"two": g["one"]})
    with pytest.raises(TypeError, match="floats"):
        perceptual.perceptual_distance(
            (255 * x).astype(np.uint8), y, feature_fn=features_of
        )
