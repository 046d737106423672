"""Models from files, names and trainings; translation is pure and keeps the size."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import stylejax
from stylejax import api
from stylejax.methods import cyclegan
from stylejax.pretrained import safetensors_io
from stylejax.train.checkpoint import Checkpointer

CONFIG = cyclegan.CycleGANConfig(
    ngf=4, num_blocks=1, ndf=4, num_layers=1, image_size=16, pool_size=2, ema_decay=0.9
)


@pytest.fixture(scope="module")
def state(random_state):
    # Every leaf is drawn anew: the average differs from the parameters.
    return random_state(CONFIG)


@pytest.fixture(scope="module")
def model(state):
    params = cyclegan.generator_params(state, use_ema=False)
    return api.Translator("cyclegan", CONFIG, params)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((2, 18, 23, 3), np.float32)


@pytest.fixture(scope="module")
def workdir(state, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    config = {"method": "cyclegan", "config": dataclasses.asdict(CONFIG)}
    with Checkpointer(folder / "checkpoints") as checkpointer:
        checkpointer.save(3, state, data_state={}, config=config, wait=True)
    return folder


def same(x, y):
    jax.tree.map(np.testing.assert_array_equal, x, y)


def test_translation_keeps_size_and_range(model, images):
    for direction in ("AtoB", "BtoA"):
        out = model.translate(images, direction=direction)
        assert out.shape == images.shape
        assert out.dtype == jnp.float32
        assert 0 <= out.min() and out.max() <= 1
    assert np.abs(model.translate(images) - out).max() > 1e-4


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (3, 9)])
def test_the_tiniest_pictures_are_translated(model, size):
    out = model.translate(np.full((1, *size, 3), 0.5, np.float32))
    assert out.shape == (1, *size, 3) and np.isfinite(out).all()


def test_translation_is_the_methods_own(model, images):
    expected = cyclegan.predict(model.params, images, config=CONFIG, direction="BtoA")
    got = model.translate(images, direction="BtoA")
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_translation_can_be_differentiated(model, images):
    gradient = jax.grad(lambda x: model.translate(x).mean())(jnp.asarray(images))
    assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


def test_float32_file_round_trip_is_exact(model, images, tmp_path):
    path = model.save(tmp_path / "m.safetensors", dtype="float32")
    path.with_suffix(".md").write_text("# Card")
    again = stylejax.load(path)
    same(again.params, model.params)
    assert (again.config, again.method, again.card) == (CONFIG, "cyclegan", "# Card")
    same(again.translate(images), model.translate(images))


def test_half_precision_file_translates_alike(model, images, tmp_path):
    again = api.load(str(model.save(tmp_path / "m.safetensors")))
    np.testing.assert_allclose(
        again.translate(images), model.translate(images), atol=2e-3
    )


@pytest.mark.parametrize("where", ["", "checkpoints", "checkpoints/3"])
def test_a_training_is_loaded_with_its_average(workdir, state, where):
    same(api.load(workdir / where).params, state.ema_params)


def test_the_raw_parameters_can_be_asked_for(workdir, state):
    same(api.load(workdir, use_ema=False).params, state.generator_params)


def test_a_missing_average_is_named(state, tmp_path):
    config = dataclasses.asdict(CONFIG) | {"ema_decay": 0.0}
    with Checkpointer(tmp_path) as checkpointer:
        bare = state.replace(ema_params={})
        checkpointer.save(1, bare, data_state={}, config=config, wait=True)
    same(api.load(tmp_path).params, state.generator_params)
    with pytest.raises(ValueError, match="moving average"):
        api.load(tmp_path, use_ema=True)


@pytest.mark.parametrize("name", ["no-such-model", "no/such/file.safetensors"])
def test_what_does_not_exist_is_named(name):
    with pytest.raises(FileNotFoundError, match=name):
        api.load(name)


def test_a_folder_without_checkpoint_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=tmp_path.name):
        api.load(tmp_path)


def test_parameters_that_do_not_fit_are_named(model, tmp_path):
    wider = dataclasses.replace(CONFIG, ngf=8)
    path = api.Translator("cyclegan", wider, model.params).save(
        tmp_path / "m.safetensors"
    )
    with pytest.raises(ValueError, match="do not fit: .*kernel") as caught:
        api.load(path)
    assert "\n" not in str(caught.value)


def test_files_of_others_are_refused(model, tmp_path):
    path = safetensors_io.save_params(
        tmp_path / "m.safetensors", model.params, metadata={"format": "pt"}
    )
    with pytest.raises(ValueError, match="'pt'"):
        api.load(path)


def test_configs_of_other_versions():
    config = api.config_from_dict(cyclegan.CycleGANConfig, {"ngf": 3})
    assert config == cyclegan.CycleGANConfig(ngf=3)
    with pytest.raises(ValueError, match="'brand_new'"):
        api.config_from_dict(cyclegan.CycleGANConfig, {"brand_new": 1})


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda x: x[0], "shape"),
        (lambda x: x[..., :1], "3 channels"),
    ],
)
def test_wrong_pictures_are_refused(model, images, wrong, text):
    with pytest.raises(ValueError, match=text):
        model.translate(wrong(images))


def test_bytes_are_refused(model, images):
    with pytest.raises(TypeError, match="uint8"):
        model.translate((images * 255).astype(np.uint8))


def test_an_unknown_direction_is_refused(model, images):
    with pytest.raises(ValueError, match="AtoB, BtoA"):
        model.translate(images, direction="ab")
