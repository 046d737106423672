"""The decoder in closed form: against a regression by hand, and what it brings back."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.losses.channel_scale import channel_means, scaled
from stylejax.methods import decoder_fit
from stylejax.models.adain_decoder import AdaINDecoder, layer_names
from stylejax.pretrained import vgg
from tests.methods.tiny_networks import edges, save_vgg


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    weights = save_vgg(tmp_path_factory.mktemp("vgg"))
    return functools.partial(vgg.features, weights, padding_mode="reflect")


@pytest.fixture(scope="module")
def images():
    return edges(60)


@pytest.fixture(scope="module")
def scales(features, images):
    return channel_means(features(("relu3_1", "relu4_1")), images)


def decoder(features):
    loaded = vgg.load_cached(features.args[0])
    return AdaINDecoder(loaded.arch, loaded.width)


def test_every_layer_brings_back_what_entered_its_mirror():
    found = decoder_fit.mirrored_taps("vgg16")
    assert tuple(found) == layer_names("vgg16")
    assert found["conv4_1"] == "pool3"
    assert found["conv3_3"] == "relu3_2"
    assert found["conv3_1"] == "pool2"
    assert found["conv1_2"] == "relu1_1"
    assert found["conv1_1"] == ""


def test_the_first_layer_is_a_ridge_regression(features, images, scales):
    network = decoder(features)
    params = decoder_fit.fit(network, features, scales, images)
    goal = channel_means(features(("pool3",)), images)["pool3"]
    inputs, outputs = [], []
    for image in images:
        maps = features(("relu4_1", "pool3"))(image[None])
        x = np.asarray(maps["relu4_1"], np.float64)[0] / np.asarray(scales["relu4_1"])
        x = np.pad(x, ((1, 1), (1, 1), (0, 0)), mode="reflect")
        for i in range(4):
            for j in range(4):
                inputs.append(np.append(x[i : i + 3, j : j + 3].ravel(), 1.0))
        outputs.append(
            np.asarray(maps["pool3"], np.float64).reshape(16, -1) / np.asarray(goal)
        )
    a, b = np.array(inputs), np.concatenate(outputs)
    # Rows that ask every weight but the constant to be small.
    size = np.sqrt(decoder_fit.RIDGE * np.trace(a.T @ a) / a.shape[1])
    small = size * np.eye(a.shape[1])[:-1]
    expected, *_ = np.linalg.lstsq(
        np.concatenate([a, small]),
        np.concatenate([b, np.zeros((len(small), b.shape[1]))]),
        rcond=None,
    )
    kernel = np.asarray(params["conv4_1"]["kernel"]).reshape(-1, b.shape[1])
    np.testing.assert_allclose(kernel, expected[:-1], atol=1e-3)
    np.testing.assert_allclose(params["conv4_1"]["bias"], expected[-1], atol=1e-3)


def test_pictures_come_back(features, images, scales):
    network = decoder(features)
    unseen, missed = images[50:], {}
    maps = scaled(features(("relu3_1", "relu4_1"))(unseen), scales)
    for skip in ("", "relu3_1"):
        params = decoder_fit.fit(network, features, scales, images[:50], skip=skip)
        wanted = network.init(
            jax.random.key(0),
            jnp.zeros((1, 4, 4, 8 * network.width)),
            jnp.zeros((1, 8, 8, 4 * network.width)) if skip else None,
        )["params"]
        assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, wanted)
        lateral = maps["relu3_1"] if skip else None
        back = network.apply({"params": params}, maps["relu4_1"], lateral)
        missed[skip] = float(np.mean((np.asarray(back) - unseen) ** 2))
    # Better than each picture's own mean colour, and better still with the skip.
    own = unseen.mean((1, 2), keepdims=True)
    assert missed[""] < 0.7 * float(np.mean((own - unseen) ** 2))
    assert missed["relu3_1"] < 0.8 * missed[""]


def test_what_enters_a_layer_does_not_depend_on_the_units_of_its_goal(
    features, images, scales
):
    # The goal of `conv3_2` in VGG-11 is the map that enters by the skip as well.
    network = decoder(features)
    params = decoder_fit.fit(network, features, scales, images[:4], skip="relu3_1")
    layer = decoder_fit._Layer(network, "conv3_2", "relu3_1", "relu3_1")
    encode, key = features(("relu4_1", "relu3_1")), jax.random.key(0)
    unit = scales["relu3_1"]
    first, second = (
        layer.sums(encode, params, scales, factor * unit, images[:1], key)
        for factor in (1.0, 2.0)
    )
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_allclose(first[1], 2 * second[1], rtol=1e-6)


def test_some_positions_are_enough(features, images, scales, monkeypatch):
    network = decoder(features)
    maps = scaled(features(("relu4_1",))(images[50:]), scales)["relu4_1"]

    def missed(seed):
        params = decoder_fit.fit(network, features, scales, images[:50], seed=seed)
        back = network.apply({"params": params}, maps)
        return float(np.mean((np.asarray(back) - images[50:]) ** 2))

    whole = missed(0)
    monkeypatch.setattr(decoder_fit, "POSITIONS", 128)
    parts = [missed(seed) for seed in (0, 1)]
    assert parts[0] != parts[1]
    assert max(parts) < 1.3 * whole


def test_sides_that_do_not_halve_are_refused(features, images, scales):
    with pytest.raises(ValueError, match="multiples of 8, got .*set another size"):
        decoder_fit.fit(decoder(features), features, scales, images[:, :20])


def test_the_same_pictures_give_the_same_decoder(features, images, scales):
    first, second = (
        decoder_fit.fit(decoder(features), features, scales, images[:3], seed=3)
        for _ in range(2)
    )
    same = jax.tree.map(lambda x, y: bool((x == y).all()), first, second)
    assert all(jax.tree.leaves(same))


def test_an_unknown_start_is_refused():
    assert decoder_fit.is_wanted("least_squares")
    with pytest.raises(ValueError, match="start: expected"):
        decoder_fit.is_wanted("ones")
