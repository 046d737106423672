"""The autoencoder: what its losses do, and that a swap keeps the vector's meaning."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import stylejax
from stylejax.data.pipeline import PipelineConfig
from stylejax.data.sources import ArraySource, TwoDomainDataset
from stylejax.losses.discrepancy import moment_discrepancy
from stylejax.methods import autoencoder
from stylejax.methods.autoencoder import AutoencoderConfig
from stylejax.models.latent_autoencoder import FeatureEncoder
from stylejax.pretrained import vgg
from stylejax.train.loop import LoopConfig
from stylejax.train.writers import Writer
from stylejax.training import fit
from stylejax.warm_start import warm_start
from tests.methods.tiny_networks import save_vgg

CONFIG = AutoencoderConfig(
    latent_size=5,
    style_size=3,
    width=8,
    image_size=16,
    cycle_weight=50.0,
    grain=0.1,
)
LATENT = CONFIG.latent_size
KEY = jax.random.key(0)


def params(config=CONFIG):
    return autoencoder.generator_params(autoencoder.init(KEY, config))


def batch(count=2):
    a, b = (jax.random.uniform(jax.random.key(i), (count, 16, 16, 3)) for i in (1, 2))
    return {"a": 0.4 * a, "b": 0.6 + 0.4 * b}


def given(count=2):
    """What the terms get: pictures of both domains, and what is drawn for each."""
    draw = jax.random.normal
    return {
        "content": batch(count)["a"],
        "style": batch(count)["b"],
        "moved": draw(jax.random.key(3), (count, 2, 3)),
        "noise": 0.3 * draw(jax.random.key(4), (count, 2, LATENT - 3)),
        "grain": 0.1 * draw(jax.random.key(5), (count, 2, 16, 16, 3)),
    }


def test_any_size_becomes_one_vector_and_comes_back(generator):
    images = jnp.float32(generator.random((2, 20, 27, 3)))
    latent = autoencoder.encode(params(), images, config=CONFIG)
    assert latent.shape == (2, 5)
    for direction in autoencoder.DIRECTIONS:
        found = autoencoder.predict(
            params(), images, config=CONFIG, direction=direction
        )
        assert found.shape == images.shape
        assert 0 <= float(found.min()) <= float(found.max()) <= 1
    square = autoencoder.render(params(), latent, "A", config=CONFIG)
    assert square.shape == (2, 16, 16, 3)
    with pytest.raises(ValueError, match="style: expected one of A, B"):
        autoencoder.render(params(), latent, "C", config=CONFIG)


def test_a_style_picture_renders_in_its_style(generator):
    images = jnp.float32(generator.random((2, 16, 16, 3)))
    latent = autoencoder.encode(params(), images, config=CONFIG)
    styles = autoencoder.style_of(params(), images, config=CONFIG)
    assert styles.shape == (2, 3)
    vectors = params()["domains"]["vectors"]
    for i, name in enumerate(autoencoder.DOMAINS):
        np.testing.assert_allclose(
            autoencoder.render(params(), latent, vectors[i : i + 1], config=CONFIG),
            autoencoder.render(params(), latent, name, config=CONFIG),
            atol=1e-6,
        )


def test_the_terms_are_those_of_the_text():
    state, pictures = autoencoder.init(KEY, CONFIG), batch()
    terms, rendered = autoencoder._terms(state.params, given(), CONFIG)
    kept = autoencoder.generator_params(state, use_ema=False)
    images = np.concatenate([pictures["a"], pictures["b"]])
    latent, same, cycled, again = [], [], [], []
    for i, (side, own, far) in enumerate((("a", "A", "B"), ("b", "B", "A"))):
        grain = given()["grain"][:, i]
        z = autoencoder.encode(kept, pictures[side] + grain, config=CONFIG)
        shift = np.zeros((2, LATENT), np.float32)
        shift[:, :3] = given()["moved"][:, i]
        drawn = autoencoder.render(kept, z + shift, far, config=CONFIG)
        back = autoencoder.encode(kept, drawn + grain, config=CONFIG) - shift
        latent.append(z)
        again.append(back)
        size = np.sqrt(np.square(z[:, 3:]).mean(1, keepdims=True))
        noisy = z.at[:, 3:].add(size * given()["noise"][:, i])
        same.append(autoencoder.render(kept, noisy, own, config=CONFIG))
        cycled.append(autoencoder.render(kept, back, own, config=CONFIG))
    latent, again = np.concatenate(latent), np.concatenate(again)
    np.testing.assert_allclose(rendered, np.concatenate(same), atol=1e-5)
    logits = autoencoder.networks(CONFIG)["critic"].apply(
        {"params": state.params["critic"]}, latent
    )
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    read = autoencoder.style_of(kept, jnp.asarray(images), config=CONFIG)
    vectors = np.repeat(np.asarray(kept["domains"]["vectors"]), 2, axis=0)
    size = np.square(latent).mean(1) + 1e-3
    expected = {
        "reconstruction": 100 * np.square(np.concatenate(same) - images).mean(),
        "cycle": 50 * np.square(np.concatenate(cycled) - images).mean(),
        "latent": 5 * (np.square(again - latent).mean(1) / size).mean(),
        "place": 5 * np.square(again - latent)[:, :3].mean(),
        "zoom": 0.05 * np.square(latent[:, 2]).mean(),
        "critic": -np.log(shares[np.arange(4), [0, 0, 1, 1]]).mean(),
        "confusion": -np.log(shares).mean() - np.log(2),
        "style": np.square(read - vectors).mean(),
    }
    assert set(terms) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(terms[name], value, rtol=1e-3, atol=1e-6)


def test_without_its_weight_the_way_back_is_not_rendered():
    state = autoencoder.init(KEY, CONFIG)
    config = dataclasses.replace(CONFIG, cycle_weight=0.0)
    whole, _ = autoencoder._terms(state.params, given(), CONFIG)
    short, _ = autoencoder._terms(state.params, given(), config)
    assert float(whole.pop("cycle")) > 0
    assert {k: float(v) for k, v in short.items()} == pytest.approx(
        {k: float(v) for k, v in whole.items()}
    )


def test_the_discrepancy_of_the_domains_is_asked_for():
    state = autoencoder.init(KEY, CONFIG)
    config = dataclasses.replace(CONFIG, match_weight=20.0, grain=0.0)
    terms, _ = autoencoder._terms(state.params, given(), config)
    kept = autoencoder.generator_params(state, use_ema=False)
    a, b = (autoencoder.encode(kept, batch()[k], config=config) for k in "ab")
    assert float(terms["match"]) == pytest.approx(
        20 * float(moment_discrepancy(a, b)), rel=1e-3, abs=1e-4
    )


def test_without_any_weight_nothing_is_rendered_in_the_other_style():
    state = autoencoder.init(KEY, CONFIG)
    names = ("latent", "place", "cycle")
    config = dataclasses.replace(CONFIG, **{f"{n}_weight": 0.0 for n in names})
    whole, _ = autoencoder._terms(state.params, given(), CONFIG)
    short, _ = autoencoder._terms(state.params, given(), config)
    assert {k: float(v) for k, v in short.items()} == pytest.approx(
        {k: float(v) for k, v in whole.items() if k not in names}
    )


def test_a_content_encoder_may_begin_with_a_vgg(tmp_path):
    path = save_vgg(tmp_path)
    config = dataclasses.replace(CONFIG, features=path)
    state, images = autoencoder.init(KEY, config), batch()["a"]
    kept = autoencoder.generator_params(state)
    maps = vgg.features(path, ("relu4_1",), padding_mode="reflect")(images)["relu4_1"]
    network = FeatureEncoder(LATENT, width=8)
    np.testing.assert_allclose(
        autoencoder.encode(kept, images, config=config),
        network.apply({"params": kept["content"]}, maps),
        atol=1e-5,
    )
    # It is trained, on renderings looked at through the VGG as well.
    step = jax.jit(autoencoder.make_train_step(config))
    moved, metrics = step(state, batch())
    assert float(metrics["loss/latent"]) > 0 and float(metrics["skipped"]) == 0
    assert not np.allclose(
        moved.params["content"]["down"]["kernel"],
        state.params["content"]["down"]["kernel"],
    )


def test_training_lowers_what_it_should():
    step = jax.jit(autoencoder.make_train_step(CONFIG))
    state, seen = autoencoder.init(KEY, CONFIG), []
    for _ in range(60):
        state, metrics = step(state, batch())
        seen.append({name: float(x) for name, x in metrics.items()})
    for name in ("reconstruction", "cycle", "style"):
        assert seen[-1][f"loss/{name}"] < 0.8 * seen[0][f"loss/{name}"]


def test_parts_of_a_batch_take_the_same_step():
    state, found = autoencoder.init(KEY, CONFIG), []
    for parts in (1, 2):
        config = dataclasses.replace(CONFIG, accumulate_steps=parts)
        found.append(jax.jit(autoencoder.make_train_step(config))(state, batch(4))[1])
    for name, value in found[0].items():
        np.testing.assert_allclose(found[1][name], value, rtol=1e-3, atol=1e-6)


def test_the_critic_learns_from_its_loss_and_the_encoder_from_its_doubts():
    state = autoencoder.init(KEY, CONFIG)
    weights = ("reconstruction", "cycle", "latent", "place", "zoom", "style")
    config = dataclasses.replace(CONFIG, **{f"{name}_weight": 0.0 for name in weights})

    def term(params, name):
        return autoencoder._terms(params, given(), config)[0][name]

    def total(params):
        return sum(autoencoder._terms(params, given(), config)[0].values())

    grads = jax.grad(total)(state.params)

    def moved(part):
        params = dict(state.params)
        params[part] = jax.tree.map(
            lambda p, g: p - 0.01 * g, params[part], grads[part]
        )
        return params

    # The critic gets better, and the encoder leaves it less decided.
    assert term(moved("critic"), "critic") < term(state.params, "critic")
    assert term(moved("content"), "confusion") < term(state.params, "confusion")
    # Neither term reaches the other's parameters.
    for name, part in (("critic", "content"), ("confusion", "critic")):
        gradient = jax.grad(term)(state.params, name)[part]
        assert all(not x.any() for x in jax.tree.leaves(gradient))
        other = "content" if part == "critic" else "critic"
        gradient = jax.grad(term)(state.params, name)[other]
        assert any(x.any() for x in jax.tree.leaves(gradient))


def test_a_sure_critic_still_moves_the_encoder():
    state = autoencoder.init(KEY, CONFIG)
    sure = jax.tree.map(lambda x: 30 * x, state.params["critic"])

    def confusion(content):
        params = {**state.params, "critic": sure, "content": content}
        return autoencoder._terms(params, given(), CONFIG)[0]["confusion"]

    value, grads = jax.value_and_grad(confusion)(state.params["content"])
    assert value > 3
    assert max(float(jnp.abs(x).max()) for x in jax.tree.leaves(grads)) > 0.1


def test_sides_that_are_not_halved_to_four_are_refused():
    for side in (4, 20, 48):
        with pytest.raises(ValueError, match="image_size: expected 8, 16, 32"):
            autoencoder.init(KEY, dataclasses.replace(CONFIG, image_size=side))


def test_what_needs_more_pictures_or_pixels_is_refused(tmp_path):
    state = autoencoder.init(KEY, CONFIG)
    config = dataclasses.replace(CONFIG, match_weight=1.0)
    with pytest.raises(ValueError, match="match_weight: expected two or more"):
        autoencoder._terms(state.params, given(1), config)
    config = dataclasses.replace(CONFIG, features=save_vgg(tmp_path), image_size=8)
    with pytest.raises(ValueError, match="image_size: expected at least 16 with"):
        autoencoder.networks(config)


def test_a_vector_that_could_only_place_is_refused():
    with pytest.raises(ValueError, match="latent_size: expected at least 4"):
        autoencoder.init(KEY, dataclasses.replace(CONFIG, latent_size=3))


def test_a_training_is_loaded_translates_and_begins_another(tmp_path, generator):
    pictures = generator.random((4, 16, 16, 3), np.float32)
    data = TwoDomainDataset(
        "noise",
        ArraySource(pictures),
        ArraySource(1 - pictures),
        ArraySource(pictures[:2]),
        ArraySource(1 - pictures[:2]),
        paired=True,
    )
    options = {
        "pipeline": PipelineConfig(batch_size=4, image_size=16, num_threads=0),
        "loop_config": LoopConfig(
            num_steps=2, sample_every=2, evaluate_every=2, evaluate_features=""
        ),
        "method": "autoencoder",
        "writer": Writer(),
    }
    result = fit(data, CONFIG, workdir=tmp_path / "one", **options)
    assert "evaluation/AtoB/l1_ratio" in result.last_metrics
    model = stylejax.load(tmp_path / "one")
    assert set(model.params) == {"content", "style", "decoder", "domains"}
    path = model.save(tmp_path / "model.safetensors", dtype="float32")
    again = stylejax.load(path)
    np.testing.assert_array_equal(
        again.translate(pictures[:1]), model.translate(pictures[:1])
    )
    with pytest.raises(ValueError, match="direction"):
        again.translate(pictures[:1], direction="CtoA")
    fresh = autoencoder.init(jax.random.key(8), CONFIG)
    begun = warm_start(fresh, path, method="autoencoder")
    for params in (begun.params, begun.ema_params):
        np.testing.assert_array_equal(
            params["decoder"]["head"]["kernel"],
            model.params["decoder"]["head"]["kernel"],
        )
        np.testing.assert_array_equal(
            params["critic"]["logits"]["kernel"],
            fresh.params["critic"]["logits"]["kernel"],
        )
