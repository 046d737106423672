"""Gatys on a small network: each control by its effect, both optimisers, any size."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax import explain
from stylejax.image import lab
from stylejax.losses import style, terms
from stylejax.losses.terms import Term
from stylejax.methods import gatys
from stylejax.methods.control import StyleControl

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def pictures():
    """A content (1, 24, 32, 3) of soft colours, and a style of stripes."""
    generator = np.random.default_rng(1)
    y, x = np.mgrid[0:24, 0:32] / 32
    content = np.stack([x, y, 0.6 - 0.5 * x], axis=-1) * 0.8 + 0.1
    content = content + 0.05 * generator.normal(size=content.shape)
    stripes = 0.5 + 0.5 * np.sin(np.arange(36))[None, :, None] * np.ones((30, 36, 3))
    stripes = stripes * [1.0, 0.5, 0.2]
    return [a[None].clip(0, 1).astype(np.float32) for a in (content, stripes)]


def style_distance(image, painting, config):
    """The style loss alone, as the method itself weighs it."""
    feature_fn = gatys.features(config)
    maps, goal = feature_fn(image), feature_fn(jnp.asarray(painting))
    return sum(
        float(
            style.gram_distance(
                style.gram_matrix(maps[layer]), style.gram_matrix(goal[layer])
            )[0]
        )
        for layer in config.style_layers
    )


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_the_loss_falls_and_the_picture_stays_a_picture(
    optimizer, pictures, tiny_gatys
):
    content, painting = pictures
    config = dataclasses.replace(tiny_gatys, optimizer=optimizer, min_side=99)
    seen = []
    found = gatys.stylize(
        KEY, content, [painting], config=config, on_progress=seen.append
    )
    assert found.shape == content.shape
    assert found.dtype == jnp.float32
    assert 0 <= float(found.min()) <= float(found.max()) <= 1
    assert [p.iteration for p in seen] == [6, 12]
    assert seen[-1].loss < seen[0].loss
    before, after = (style_distance(x, painting, config) for x in (content, found))
    assert after < 0.7 * before


def test_the_pyramid_ends_at_the_pictures_own_size(pictures, tiny_gatys):
    content, painting = pictures
    seen = []
    gatys.stylize(KEY, content, [painting], config=tiny_gatys, on_progress=seen.append)
    assert [p.size_hw for p in seen] == [(12, 16)] * 2 + [(24, 32)] * 2
    assert {p.num_scales for p in seen} == {2}


def test_pictures_of_a_batch_are_painted_as_if_alone(pictures, tiny_gatys):
    content, painting = pictures
    config = dataclasses.replace(tiny_gatys, min_side=99, num_iterations=5)
    both = np.concatenate([content, content[:, ::-1, ::-1]])
    found = gatys.stylize(KEY, both, [painting], config=config)
    for i in range(2):
        alone = gatys.stylize(KEY, both[i : i + 1], [painting], config=config)
        np.testing.assert_allclose(found[i], alone[0], atol=2e-3)


def test_the_same_seed_gives_the_same_bits(pictures, tiny_gatys):
    content, painting = pictures
    config = dataclasses.replace(
        tiny_gatys, initial="noise", num_iterations=4, min_side=99
    )
    runs = [gatys.stylize(KEY, content, [painting], config=config) for _ in "ab"]
    np.testing.assert_array_equal(*runs)
    other = gatys.stylize(jax.random.key(1), content, [painting], config=config)
    assert float(jnp.abs(other - runs[0]).max()) > 0.01


def test_more_strength_comes_closer_to_the_style(pictures, tiny_gatys):
    content, painting = pictures
    config = dataclasses.replace(tiny_gatys, num_iterations=30, min_side=99)
    distances = []
    for strength in (0.0, 0.25, 0.5, 0.75, 1.0):
        found = gatys.stylize(
            KEY,
            content,
            [painting],
            config=config,
            control=StyleControl(strength=strength),
        )
        distances.append(style_distance(found, painting, config))
        if strength == 0:
            np.testing.assert_array_equal(found, content)
    assert (np.diff(distances) < 0).all()


def test_what_the_content_weight_keeps_does_not_change(pictures, tiny_gatys):
    content, painting = pictures
    keep = np.zeros((24, 32))
    keep[:, :12] = 1
    found = gatys.stylize(
        KEY,
        content,
        [painting],
        config=tiny_gatys,
        control=StyleControl(content_weight=keep),
    )
    change = np.abs(np.asarray(found) - content)
    assert change[:, :, :12].max() < 1e-6
    assert change[:, :, 12:].mean() > 0.03


def test_luminance_keeps_the_contents_colours(pictures, tiny_gatys):
    content, painting = pictures
    control = StyleControl(color="luminance")
    found = gatys.stylize(KEY, content, [painting], config=tiny_gatys, control=control)
    assert float(lab.chroma_error(found, content)[0]) < 1.0
    free = gatys.stylize(KEY, content, [painting], config=tiny_gatys)
    assert float(lab.chroma_error(free, content)[0]) > 3.0
    lightness = [np.asarray(lab.to_lab(x))[..., 0] for x in (found, content)]
    assert np.abs(lightness[0] - lightness[1]).mean() > 1


def test_masks_send_each_style_to_its_region(pictures, tiny_gatys):
    content, _ = pictures
    red = np.ones((1, 32, 32, 3), np.float32) * np.float32([0.9, 0.1, 0.1])
    blue = red[..., ::-1]
    masks = np.zeros((2, 24, 32))
    masks[0, :, :16], masks[1, :, 16:] = 1, 1
    config = dataclasses.replace(tiny_gatys, num_iterations=40, min_side=99)
    found = gatys.stylize(
        KEY, content, [red, blue], config=config, control=StyleControl(masks=masks)
    )
    redness = np.asarray(found)[..., 0] - np.asarray(found)[..., 2]
    before = content[..., 0] - content[..., 2]
    assert redness[:, :, 2:13].mean() > before[:, :, 2:13].mean() + 0.1
    assert redness[:, :, 19:30].mean() < before[:, :, 19:30].mean() - 0.1


@pytest.mark.parametrize("initial", ["content", "noise", "style"])
def test_where_a_run_starts(initial, pictures, tiny_gatys):
    content, painting = pictures
    config = dataclasses.replace(tiny_gatys, initial=initial)
    found = gatys.initial_images(KEY, jnp.asarray(content), [painting], config=config)
    assert found.shape == content.shape
    if initial == "content":
        np.testing.assert_array_equal(found, content)
    if initial == "style":
        np.testing.assert_allclose(found.mean(), painting.mean(), atol=0.02)
    if initial == "noise":
        assert float(found.std()) == pytest.approx(0.1, rel=0.1)


def test_a_scale_ends_early_where_nothing_is_gained(pictures, tiny_gatys):
    content, painting = pictures
    config = dataclasses.replace(
        tiny_gatys, min_side=99, num_iterations=60, tolerance=0.9
    )
    seen = []
    gatys.stylize(KEY, content, [painting], config=config, on_progress=seen.append)
    assert len(seen) == 2


def test_a_tolerance_of_zero_never_ends_early_though_the_loss_climbs(
    pictures, tiny_gatys
):
    content, painting = pictures
    config = dataclasses.replace(
        tiny_gatys,
        min_side=99,
        optimizer="adam",
        learning_rate=5.0,
        num_iterations=8,
        check_every=1,
        range_weight=1e4,
    )
    seen = []
    gatys.stylize(KEY, content, [painting], config=config, on_progress=seen.append)
    losses = np.concatenate([p.loss for p in seen])
    assert (np.diff(losses) > 0).any()
    assert len(seen) == 8


@pytest.mark.parametrize("statistic", ["gram", "patches"])
def test_a_thin_picture_leaves_out_the_scales_it_would_vanish_at(
    statistic, pictures, tiny_gatys
):
    content, painting = pictures
    config = dataclasses.replace(
        tiny_gatys, num_iterations=1, style_statistic=statistic, min_side=8
    )
    seen = []
    gatys.stylize(
        KEY, content[:, :7], [painting], config=config, on_progress=seen.append
    )
    sizes = [(7, 32)] if statistic == "patches" else [(2, 8), (4, 16), (7, 32)]
    assert [p.size_hw for p in seen] == sizes
    with pytest.raises(ValueError, match="use larger"):
        gatys.stylize(KEY, content[:, :1], [painting], config=config)


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_patches_can_be_masked(strength, pictures, tiny_gatys):
    content, painting = pictures
    masks = np.zeros((1, 24, 32))
    masks[0, :, :16] = 1
    config = dataclasses.replace(
        tiny_gatys, num_iterations=6, style_statistic="patches", min_side=99
    )
    control = StyleControl(strength=strength, masks=masks)
    found = gatys.stylize(KEY, content, [painting], config=config, control=control)
    change = np.abs(np.asarray(found) - content).mean(axis=(0, 1, 3))
    assert change[:12].mean() > 3 * change[20:].mean()


def test_a_style_of_no_weight_is_as_if_it_were_not_there(pictures, tiny_gatys):
    content, painting = pictures
    config = dataclasses.replace(tiny_gatys, num_iterations=4, min_side=99)
    control = StyleControl(style_weights=np.array([2.0, 0.0]))
    both = [painting, 1 - painting]
    found = gatys.stylize(KEY, content, both, config=config, control=control)
    alone = gatys.stylize(KEY, content, both[:1], config=config)
    np.testing.assert_allclose(found, alone, atol=1e-4)


@pytest.mark.parametrize("names", [["a", "a"], ["a", terms.CONTENT_STYLE]])
def test_styles_that_share_a_name_are_refused(names, pictures, tiny_gatys):
    content, painting = pictures
    with pytest.raises(ValueError, match="names: expected"):
        gatys.make_targets(
            jnp.asarray(content),
            [painting, painting],
            config=tiny_gatys,
            control=StyleControl(strength=0.5),
            feature_fn=gatys.features(tiny_gatys),
            names=names,
        )


def test_several_steps_in_one_call_are_the_same_steps(
    pictures, tiny_gatys, monkeypatch
):
    content, painting = pictures
    config = dataclasses.replace(tiny_gatys, min_side=99, num_iterations=6)
    many = gatys.stylize(KEY, content, [painting], config=config)
    # With XLA's own convolutions a CPU makes one step a call.
    monkeypatch.setattr(gatys.conv_choice, "is_off", lambda: True)
    one = gatys.stylize(KEY, content, [painting], config=config)
    np.testing.assert_allclose(one, many, atol=1e-4)


def test_the_terms_are_named_and_their_account_adds_up(pictures, tiny_gatys):
    content, painting = pictures
    masks = np.zeros((2, 24, 32))
    masks[0, :8], masks[1, 8:20] = 1, 1
    control = StyleControl(strength=0.6, masks=masks)
    config = dataclasses.replace(tiny_gatys, variation_weight=10.0)
    feature_fn = gatys.features(config)
    targets = gatys.make_targets(
        jnp.asarray(content),
        [painting, painting[:, ::-1]],
        config=config,
        control=control,
        feature_fn=feature_fn,
        names=["a", "b"],
    )

    def fn(images):
        return gatys.loss_terms(images, targets, config=config, feature_fn=feature_fn)

    image = np.asarray(content)[0] * 0.7 + 0.4
    found = explain.account(fn, image)
    assert Term("style", "relu1_1", "a", "mask_a") in found.values
    assert Term("style", "relu2_1", terms.CONTENT_STYLE, "rest") in found.values
    assert {t.kind for t in found.values} == {
        "content",
        "style",
        "total_variation",
        "range",
    }
    assert found.value_error < 1e-5
    assert found.gradient_error < 1e-5
    assert set(found.by("style").values) == {"", "a", "b", terms.CONTENT_STYLE}


def test_the_loss_can_be_mapped_and_differentiated(pictures, tiny_gatys):
    content, painting = pictures
    feature_fn = gatys.features(tiny_gatys)
    targets = gatys.make_targets(
        jnp.asarray(content),
        [painting],
        config=tiny_gatys,
        control=StyleControl(),
        feature_fn=feature_fn,
    )

    def loss(image):
        found = gatys.loss_terms(
            image[None], targets, config=tiny_gatys, feature_fn=feature_fn
        )
        return terms.total(found)[0]

    images = jnp.concatenate([jnp.asarray(content), 0.5 * jnp.asarray(content)])
    gradients = jax.jit(jax.vmap(jax.grad(loss)))(images)
    assert gradients.shape == images.shape
    assert np.isfinite(gradients).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_iterations": 0}, "num_iterations"),
        ({"style_layer_weights": (1.0,)}, "one for each style layer"),
        ({"style_statistic": "colour"}, "style_statistic"),
        ({"content_distance": "manhattan"}, "content_distance"),
        ({"initial": "black"}, "initial"),
        ({"scale_factor": 1.0}, "scale_factor: expected a number above 1"),
        ({"scale_factor": float("inf")}, "scale_factor"),
        ({"memory_size": 0}, "memory_size"),
        ({"memory_size": 2.5}, "memory_size: expected a whole number"),
        ({"min_side": 20.5}, "min_side: expected a whole number"),
        ({"noise": -0.1}, "noise: expected a number of at least 0"),
        ({"tolerance": float("nan")}, "tolerance"),
        ({"optimizer": "sgd"}, "optimizer"),
        ({"style_weight": -1.0}, "style_weight: expected a number of at least 0"),
        ({"range_weight": float("nan")}, "range_weight"),
        ({"style_layer_weights": (0.0, 0.0)}, "one of them above"),
        ({"content_layers": ()}, "expected layers"),
        ({"style_layers": ("relu3_1",)}, "end at relu2_1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(options, message, pictures, tiny_gatys):
    content, painting = pictures
    config = dataclasses.replace(tiny_gatys, **options)
    with pytest.raises(ValueError, match=message):
        gatys.stylize(KEY, content, [painting], config=config)


def test_no_style_or_no_picture_is_refused(pictures, tiny_gatys):
    content, painting = pictures
    with pytest.raises(ValueError, match="at least one picture"):
        gatys.stylize(KEY, content, [], config=tiny_gatys)
    with pytest.raises(ValueError, match="add a batch axis"):
        gatys.stylize(KEY, content[0], [painting], config=tiny_gatys)
    broken = np.full_like(content, np.nan)
    with pytest.raises(FloatingPointError, match="not finite"):
        gatys.stylize(KEY, broken, [painting], config=tiny_gatys)
