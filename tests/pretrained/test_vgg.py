"""The VGG that ships, weights from files, preprocessing, and features."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.pretrained import (
    cache,
    registry,
    safetensors_io,
    tensor_files,
    vgg,
    vgg_names,
)
from tests.goldens import vgg_goldens


@pytest.fixture(scope="module")
def shipped():
    return vgg.load("vgg16")


def test_what_ships_reaches_relu4_3_and_carries_its_credit(shipped):
    assert (shipped.arch, shipped.batch_norm) == ("vgg16", False)
    assert shipped.width == 64
    assert shipped.taps()[-1] == "relu4_3"
    assert "Karen Simonyan and Andrew Zisserman" in shipped.notice
    assert "CC BY 4.0" in shipped.notice
    assert registry.names(folder=registry.FEATURES) == ["vgg16"]
    assert "vgg16" not in registry.names()  # that is for translators


def test_features_of_the_shipped_network_are_those_of_the_whole(
    shipped, weights_dir, generator
):
    whole = vgg.load(weights_dir / "vgg16_imagenet_notop.safetensors")
    assert whole.preprocessing == "caffe"
    assert whole.deepest == "conv5_3"
    smooth = jax.image.resize(
        jnp.float32(generator.uniform(size=(1, 8, 8, 3))), (1, 64, 64, 3), "cubic"
    )
    image = jnp.clip(smooth, 0, 1)
    taps = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu4_3")
    half, full = (vgg.feature_fn(w, taps)(image) for w in (shipped, whole))
    for tap in taps:
        error = jnp.linalg.norm(half[tap] - full[tap]) / jnp.linalg.norm(full[tap])
        assert float(error) < 1e-3, tap


def test_the_first_layer_sees_red_where_red_is(shipped):
    """A published value: the kernel of RGB begins with 0.4800154 at red."""
    kernel = np.asarray(shipped.variables["params"]["conv1_1"]["kernel"])
    assert kernel[0, 0, 0, 0] == pytest.approx(0.4800154, abs=3e-4)


@pytest.mark.parametrize("name", vgg.PREPROCESSINGS)
def test_preprocessing_is_its_formula(name, generator):
    image = generator.uniform(size=(2, 3, 4, 3)).astype(np.float32)
    chosen = vgg.PREPROCESSINGS[name]
    channels = image[..., ::-1] if chosen.order == "bgr" else image
    expected = (chosen.scale * channels - chosen.mean) / chosen.std
    np.testing.assert_allclose(chosen(jnp.asarray(image)), expected, rtol=1e-4)


def test_caffe_in_either_order_is_the_same_for_turned_kernels(generator):
    image = jnp.float32(generator.uniform(size=(1, 4, 4, 3)))
    bgr, rgb = (vgg.PREPROCESSINGS[n](image) for n in ("caffe", "caffe_rgb"))
    np.testing.assert_allclose(bgr[..., ::-1], rgb, rtol=1e-5)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_weights_from_a_file_give_the_reference_features(tmp_path, batch_norm):
    found = vgg_names.convert(vgg_goldens.weights("vgg13", batch_norm))
    path = safetensors_io.save_params(
        tmp_path / "vgg13.safetensors",
        found.variables,
        metadata={"preprocessing": "none"},
        dtype="float32",
    )
    weights = vgg.load(path)
    assert (weights.arch, weights.batch_norm) == ("vgg13", batch_norm)
    maps = vgg.feature_fn(weights, ["relu3_2"])(vgg_goldens.image())
    expected = vgg_goldens.maps("vgg13", batch_norm)["relu3_2"]
    np.testing.assert_allclose(maps["relu3_2"], expected, rtol=1e-4, atol=1e-5)


def test_features_are_kept_until_their_file_changes(tmp_path, generator):
    path = tmp_path / "vgg11.safetensors"

    def save(seed):
        drawn = np.random.default_rng(seed)
        tensors = {
            name: drawn.normal(0, 0.1, value.shape).astype(np.float32)
            for name, value in vgg_goldens.weights("vgg11", False).items()
        }
        found = vgg_names.convert(tensors)
        safetensors_io.save_params(path, found.variables, metadata={}, dtype="float32")

    save(0)
    first = vgg.features(path, ["relu1_1"])
    assert vgg.features(str(path), ("relu1_1",)) is first
    assert vgg.features(path, ["relu1_1"], pooling="average") is not first
    assert vgg.load_cached(path) is vgg.load_cached(path)
    save(1)
    second = vgg.features(path, ["relu1_1"])
    image = jnp.float32(generator.uniform(size=(1, 8, 8, 3)))
    expected = vgg.feature_fn(vgg.load(path), ["relu1_1"])(image)["relu1_1"]
    np.testing.assert_array_equal(second(image)["relu1_1"], expected)
    assert np.abs(first(image)["relu1_1"] - expected).max() > 0.01


def test_features_asked_for_inside_a_trace_outlive_it():
    image = jnp.full((1, 8, 8, 3), 0.3)

    @jax.jit
    def inside(x):
        return vgg.features("vgg16", ["conv1_1"], padding_mode="replicate")(x)

    inside(image)
    feature_fn = vgg.features("vgg16", ["conv1_1"], padding_mode="replicate")
    assert feature_fn(image)["conv1_1"].shape == (1, 8, 8, 64)


def test_the_usual_preprocessing_follows_the_naming_and_a_flag_wins(tmp_path):
    tensors = vgg_goldens.weights("vgg11", False)
    import safetensors.numpy

    path = tmp_path / "theirs.safetensors"
    path.write_bytes(
        safetensors.numpy.save({k: np.ascontiguousarray(v) for k, v in tensors.items()})
    )
    assert set(tensor_files.read(path)) == set(tensors)
    assert vgg.load(path).preprocessing == "torch"
    assert vgg.load(path, preprocessing="caffe").preprocessing == "caffe"
    with pytest.raises(ValueError, match="preprocessing: expected one of torch, caffe"):
        vgg.load(path, preprocessing="keras")


def test_features_are_a_pure_function_to_jit_and_differentiate(shipped):
    features = vgg.feature_fn(shipped, ["relu2_1"])
    image = jnp.full((1, 16, 16, 3), 0.5)
    alone = features(image)["relu2_1"]
    # Small values are differences of large ones: off by the rounding of these.
    largest = float(jnp.abs(alone).max())
    jitted = jax.jit(features)(image)["relu2_1"]
    np.testing.assert_allclose(jitted, alone, rtol=0, atol=1e-6 * largest)
    gradient = jax.grad(lambda x: jnp.sum(features(x)["relu2_1"] ** 2))(image)
    assert np.isfinite(gradient).all()
    assert float(jnp.abs(gradient).max()) > 0


@pytest.mark.parametrize(
    ("taps", "options", "message"),
    [
        (["relu5_1"], {}, "end at relu4_3, which is before relu5_1; load a file"),
        (["relu9_1"], {}, "vgg16 has no 'relu9_1'"),
        (["relu1_1"], {"pooling": "min"}, "pooling: expected"),
        (["relu1_1"], {"padding_mode": "wrap"}, "padding_mode: expected"),
        (["relu1_1"], {"dtype": "float64"}, "dtype: expected"),
    ],
)
def test_what_cannot_be_had_is_refused_at_once(shipped, taps, options, message):
    with pytest.raises(ValueError, match=message):
        vgg.feature_fn(shipped, taps, **options)


def test_pictures_must_be_pictures(shipped):
    with pytest.raises(ValueError, match="images: expected pictures of shape"):
        vgg.feature_fn(shipped, ["relu1_1"])(jnp.zeros((8, 8, 3)))


def test_a_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match="no such weights file: 'vgg99'"):
        vgg.load("vgg99")


def test_weights_that_were_not_fetched_are_named_with_the_command(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("STYLEJAX_CACHE", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="stylejax weights fetch vgg19$"):
        vgg.load("vgg19")


def test_fetched_weights_are_loaded_by_name(shop):
    cache.fetch(shop.entry)
    weights = vgg.load("tiny")
    assert (weights.arch, weights.batch_norm) == ("vgg11", True)
    assert (weights.preprocessing, weights.notice) == ("none", "made up")
    by_file = vgg.load(cache.find(shop.entry))
    assert by_file.preprocessing == "torch"  # usual for the naming
    for one, two in zip(
        jax.tree.leaves(weights.variables),
        jax.tree.leaves(by_file.variables),
        strict=True,
    ):
        np.testing.assert_array_equal(one, two)
    with pytest.raises(ValueError, match="not the weights of a vgg13"):
        shop.offers(arch="vgg13")
        vgg.load("tiny")


def test_fetched_weights_that_changed_are_refused(shop):
    path = cache.fetch(shop.entry).path
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match="not the tiny of"):
        vgg.load("tiny")


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_what_is_saved_is_loaded_with_all_it_says(tmp_path, batch_norm, dtype):
    found = vgg_names.convert(vgg_goldens.weights("vgg16", batch_norm))
    weights = vgg.VGGWeights(
        found.variables, "vgg16", batch_norm, "caffe", found.deepest, "whose it is"
    )
    path = vgg.save(
        tmp_path / "a.safetensors", weights, dtype=dtype, source_sha256="12"
    )
    again = vgg.load(path)
    for name in ("arch", "batch_norm", "preprocessing", "deepest", "notice"):
        assert getattr(again, name) == getattr(weights, name)
    assert safetensors_io.read_metadata(path)["source_sha256"] == "12"
    assert jax.tree.structure(dict(again.variables)) == jax.tree.structure(
        dict(weights.variables)
    )
    jax.tree.map(
        lambda x, y: np.testing.assert_array_equal(x, np.float32(y.astype(dtype))),
        dict(again.variables),
        dict(weights.variables),
    )
