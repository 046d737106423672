"""VGG against the reference framework at every tap, and the rules of taps."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.models import vgg
from stylejax.pretrained import vgg_names
from tests.goldens import vgg_goldens

VARIANTS = [(a, n) for a in vgg.BLOCKS for n in (False, True)]
EVERY_VARIANT = pytest.mark.parametrize(("arch", "batch_norm"), VARIANTS)


@functools.cache
def converted(arch, batch_norm):
    return vgg_names.convert(vgg_goldens.weights(arch, batch_norm))


def apply(arch, batch_norm, image, taps, **more):
    network = vgg.VGG(taps=taps, arch=arch, batch_norm=batch_norm, width=2, **more)
    return jax.jit(network.apply)(converted(arch, batch_norm).variables, image)


@EVERY_VARIANT
def test_every_tap_equals_the_reference(arch, batch_norm):
    taps = vgg.layer_names(arch, batch_norm=batch_norm)
    expected = vgg_goldens.maps(arch, batch_norm)
    assert set(taps) == set(expected)
    actual = apply(arch, batch_norm, vgg_goldens.image(), taps)
    for tap in taps:
        assert actual[tap].shape == expected[tap].shape, tap
        error = np.linalg.norm(actual[tap] - expected[tap])
        assert error <= 1e-5 * np.linalg.norm(expected[tap]), tap


@EVERY_VARIANT
def test_a_network_ends_at_its_deepest_tap(arch, batch_norm):
    network = vgg.VGG(taps=["relu2_1", "conv1_1"], arch=arch, batch_norm=batch_norm)
    x = jnp.zeros((1, 32, 32, 3))
    shapes = jax.eval_shape(network.init, jax.random.key(0), x)
    layers = {name for name in shapes["params"] if name.startswith("conv")}
    deepest = {"vgg11": {"conv1_1", "conv2_1"}}
    assert layers == deepest.get(arch, {"conv1_1", "conv1_2", "conv2_1"})
    maps = jax.eval_shape(network.apply, shapes, x)
    assert set(maps) == {"relu2_1", "conv1_1"}


def test_the_usual_names_of_vgg16():
    names = vgg.layer_names("vgg16")
    assert len(names) == 2 * 13 + 5
    assert names[-3:] == ("conv5_3", "relu5_3", "pool5")
    assert "norm1_1" not in names
    assert "norm1_1" in vgg.layer_names("vgg16", batch_norm=True)


@pytest.mark.parametrize(
    ("taps", "message"),
    [
        ([], "expected a list of names like relu4_1"),
        ("relu1_1", "expected a list of names like relu4_1, got 'relu1_1'"),
        (["relu3_4"], "vgg16 has no 'relu3_4'; it has relu1_1, relu1_2"),
        (["block1"], "vgg16 has no 'block1'; it has conv1_1"),
    ],
)
def test_what_is_no_tap_is_refused(taps, message):
    with pytest.raises(ValueError, match=message):
        vgg.check_taps(taps, arch="vgg16")


def test_options_change_what_they_should():
    image, taps = vgg_goldens.image(), ("conv1_1", "pool1")
    plain = apply("vgg11", False, image, taps)
    average = apply("vgg11", False, image, taps, pooling="average")
    np.testing.assert_array_equal(plain["conv1_1"], average["conv1_1"])
    relu = np.maximum(plain["conv1_1"], 0)[:, :34, :40]
    windows = relu.reshape(1, 17, 2, 20, 2, 2)
    np.testing.assert_allclose(plain["pool1"], windows.max((2, 4)), rtol=1e-5)
    np.testing.assert_allclose(average["pool1"], windows.mean((2, 4)), rtol=1e-5)
    reflected = apply("vgg11", False, image, taps, padding_mode="reflect")
    inner = (slice(None), slice(1, -1), slice(1, -1))
    np.testing.assert_allclose(
        plain["conv1_1"][inner], reflected["conv1_1"][inner], rtol=1e-5, atol=1e-6
    )
    assert float(jnp.abs(plain["conv1_1"] - reflected["conv1_1"])[0, 0].max()) > 0.01
    kernel = converted("vgg11", False).variables["params"]["conv1_1"]
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    corner = np.einsum("hwi,hwio->o", padded[0, :3, :3], kernel["kernel"])
    np.testing.assert_allclose(
        reflected["conv1_1"][0, 0, 0], corner + kernel["bias"], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"pooling": "min"}, "pooling: expected one of max, average"),
        ({"padding_mode": "wrap"}, "padding_mode: expected one of zero"),
        ({"arch": "vgg12"}, "arch: expected one of vgg11"),
    ],
)
def test_unknown_options_are_refused(option, message):
    network = vgg.VGG(**({"taps": ["relu1_1"]} | option))
    with pytest.raises(ValueError, match=message):
        network.init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)))


def test_pictures_too_small_for_a_tap_are_refused():
    network = vgg.VGG(taps=["pool4"], width=2)
    with pytest.raises(ValueError, match=r"pool4: nothing is left .* use larger"):
        network.init(jax.random.key(0), jnp.zeros((1, 8, 40, 3)))


def test_bfloat16_stays_close_and_keeps_its_dtype():
    image, taps = vgg_goldens.image(), ("relu2_1",)
    exact = apply("vgg16", False, image, taps)["relu2_1"]
    narrow = apply("vgg16", False, image, taps, dtype=jnp.bfloat16)["relu2_1"]
    assert narrow.dtype == jnp.bfloat16
    error = np.linalg.norm(np.float32(narrow) - exact)
    assert 0 < error < 0.02 * np.linalg.norm(exact)
