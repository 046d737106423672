"""What holds for every learned stylising method: one row each.

The networks are small and random: controls are tested by what they must do whatever
the weights are. That training makes pictures better is seen in `test_the_loss_falls`.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax import stylizers
from stylejax.methods import LEARNED, fusing
from stylejax.methods.control import StyleControl
from stylejax.train import parallel
from tests.methods.tiny_networks import CONFIGS, edges, save_vgg

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A file of a narrow VGG-11, to relu4_1."""
    return save_vgg(tmp_path_factory.mktemp("vgg"))


@pytest.fixture(params=sorted(LEARNED))
def model(request, tiny):
    """A small random model of the method."""
    name = request.param
    config = dataclasses.replace(CONFIGS[name], features=tiny)
    state = LEARNED[name].init(KEY, config)
    return stylizers.Stylizer(name, config, LEARNED[name].painting_params(state))


@pytest.fixture(scope="module")
def pictures():
    """A content (1, 19, 26, 3), and two styles of other sizes."""
    generator = np.random.default_rng(1)
    y, x = np.mgrid[0:19, 0:26] / 26
    content = np.stack([x, y, 0.6 - 0.5 * x], axis=-1) * 0.8 + 0.1
    content = content + 0.05 * generator.normal(size=content.shape)
    first = 0.5 + 0.4 * np.sin(np.arange(40))[None, :, None] * np.ones((32, 40, 3))
    second = generator.random((36, 33, 3)) * [1.0, 0.6, 0.2]
    return [x[None].clip(0, 1).astype(np.float32) for x in (content, first, second)]


def batch(count=2):
    a, b = (jax.random.uniform(jax.random.key(i), (count, 16, 16, 3)) for i in (5, 6))
    return {"a": 0.5 * a, "b": 0.3 + 0.7 * b}


def test_the_loss_falls_and_the_average_follows(model):
    method = LEARNED[model.method]
    state = method.init(KEY, model.config)
    given = batch()
    state = method.calibrate(state, given["a"], given["b"], config=model.config)
    step = jax.jit(method.make_train_step(model.config))
    losses = []
    for _ in range(25):
        state, metrics = step(state, given)
        losses.append(float(metrics["loss/total"]))
    assert losses[-1] < 0.7 * losses[0]
    assert int(state.step) == 25
    same = jax.tree.map(
        lambda x, y: bool(jnp.allclose(x, y)), state.params, state.ema_params
    )
    assert not all(jax.tree.leaves(same))


@pytest.mark.parametrize("name", ["adain", "style_attention"])
def test_fitted_networks_bring_the_content_back(name, tiny):
    method = LEARNED[name]
    config = dataclasses.replace(CONFIGS[name], features=tiny, start="least_squares")
    crops, content = np.split(edges(58), [50])
    noise = method.init(KEY, config)
    noise = method.calibrate(noise, crops, None, config=config)
    fitted = method.first_networks(noise, lambda: crops, config=config)

    def missed(state):
        model = stylizers.Stylizer(name, config, method.painting_params(state))
        painted = [model.stylize(x[None], [x[None]])[0] for x in content]
        return float(np.mean((np.asarray(painted) - content) ** 2))

    # Better than each picture's own mean colour.
    flat = float(np.mean((content.mean((1, 2), keepdims=True) - content) ** 2))
    assert missed(fitted) < 0.7 * flat
    assert missed(fitted) < 0.3 * missed(noise)
    unchanged = method.first_networks(
        noise, lambda: crops, config=dataclasses.replace(config, start="noise")
    )
    assert unchanged is noise


@pytest.mark.parametrize(
    ("name", "term"), [("adain", "style"), ("style_attention", "global")]
)
def test_the_style_loss_is_the_one_that_was_chosen(name, term, tiny):
    method, given = LEARNED[name], batch()
    found = []
    for kind in ("moments", "relative_gram"):
        config = dataclasses.replace(CONFIGS[name], features=tiny, style_loss=kind)
        state = method.init(KEY, config)
        state = method.calibrate(state, given["a"], None, config=config)
        step = jax.jit(method.make_train_step(config))
        found.append(float(step(state, given)[1][f"loss/{term}"]))
    assert found[1] > 0
    assert found[0] != pytest.approx(found[1], rel=0.01)


def test_parts_of_a_batch_and_several_devices_take_the_same_step(model):
    method = LEARNED[model.method]
    state = method.init(KEY, model.config)
    given, found = batch(4), []
    configs = [model.config, dataclasses.replace(model.config, accumulate_steps=2)]
    for config in configs:
        found.append(jax.jit(method.make_train_step(config))(state, given)[1])
    mesh = parallel.data_mesh()
    step = parallel.jit_step(method.make_train_step(model.config), mesh)
    placed = parallel.place_batch(jax.tree.map(np.asarray, given), mesh)
    found.append(step(parallel.replicate(state, mesh), placed)[1])
    for other in found[1:]:
        for name, value in found[0].items():
            np.testing.assert_allclose(other[name], value, rtol=2e-3, atol=1e-6)


def test_strength_zero_is_the_content_and_strength_is_continuous(model, pictures):
    content, style, _ = pictures

    def at(strength):
        control = StyleControl(strength=strength)
        return np.asarray(model.stylize(content, [style], control=control))

    np.testing.assert_array_equal(at(0.0), content)
    assert np.abs(at(1e-4) - content).max() < 1e-2
    full = at(1.0)
    assert full.shape == content.shape
    assert np.abs(full - content).mean() > 0.01
    moves = [np.abs(at(s) - content).mean() for s in (0.25, 0.5, 0.75)]
    assert all(x < y for x, y in zip(moves, [*moves[1:], np.inf], strict=True))


def test_outside_its_mask_nothing_is_painted(model, pictures):
    content, style, _ = pictures
    mask = np.zeros((1, 19, 26), np.float32)
    mask[:, :, :10] = 1.0
    found = model.stylize(content, [style], control=StyleControl(masks=mask))
    np.testing.assert_allclose(found[:, :, 10:], content[:, :, 10:], atol=1e-6)
    assert np.abs(found - content)[:, :, :10].mean() > 0.01


def test_mixtures_lie_between_their_styles(model, pictures):
    content, *styles = pictures

    def mixed(*weights):
        control = StyleControl(style_weights=weights)
        return np.asarray(model.stylize(content, styles, control=control))

    ends = [model.stylize(content, [style]) for style in styles]
    for weights, end in (((1, 0), ends[0]), ((0, 1), ends[1])):
        np.testing.assert_allclose(mixed(*weights), end, atol=2e-4)
    half = mixed(1, 1)
    apart = np.abs(np.asarray(ends[0] - ends[1])).mean()
    for end in ends:
        assert np.abs(half - end).mean() < apart


def test_two_masks_paint_two_styles(model, pictures):
    content, *styles = pictures
    left = np.zeros((19, 26), np.float32)
    left[:, :13] = 1.0
    control = StyleControl(masks=np.stack([left, 1 - left]))
    both = model.stylize(content, styles, control=control)
    swapped = model.stylize(content, styles[::-1], control=control)
    assert np.abs(both - swapped)[:, :, :6].mean() > 1e-5
    assert np.abs(both - swapped)[:, :, 20:].mean() > 1e-5


def test_kept_pixels_and_lightness_are_the_contents(model, pictures):
    content, style, _ = pictures
    keep = np.zeros((19, 26), np.float32)
    keep[:5] = 1.0
    found = model.stylize(content, [style], control=StyleControl(content_weight=keep))
    np.testing.assert_allclose(found[:, :5], content[:, :5], atol=1e-6)
    for color in ("luminance", "histogram"):
        control = StyleControl(color=color)
        found = np.asarray(model.stylize(content, [style], control=control))
        assert np.isfinite(found).all()
        assert 0 <= found.min() <= found.max() <= 1


def test_whitening_is_another_fusion_of_the_same_networks(model, pictures):
    if model.method == "style_attention":
        pytest.skip("attention is the fusion of this method")
    content, style, _ = pictures
    first = model.stylize(content, [style])
    second = model.stylize(content, [style], fusion="wct")
    assert np.isfinite(second).all()
    assert np.abs(first - second).mean() > 1e-4


def test_a_model_is_read_as_it_was_written(model, pictures, tmp_path):
    content, style, _ = pictures
    path = model.save(tmp_path / "model.safetensors", dtype="float32")
    again = stylizers.load(path)
    assert again.config == model.config
    np.testing.assert_array_equal(
        again.stylize(content, [style]), model.stylize(content, [style])
    )


def test_painting_is_differentiable_and_maps_over_pictures(model, pictures):
    method = LEARNED[model.method]
    content = jnp.asarray(pictures[0][:, :16, :16])
    goals = [method.encode_style(model.params, pictures[1], config=model.config)]
    plan = fusing.plan(StyleControl(), 1, (16, 16))

    def paint(image):
        return method.predict(model.params, image, goals, plan, config=model.config)

    gradient = jax.grad(lambda x: jnp.mean(paint(x)[:, 4:8, 4:8]))(content)
    assert np.isfinite(gradient).all()
    assert float(jnp.abs(gradient).max()) > 0
    both = jax.vmap(paint)(jnp.stack([content, content[:, ::-1]]))
    np.testing.assert_allclose(both[0], paint(content), atol=1e-4)


def test_what_cannot_be_painted_is_refused(model, pictures):
    content, style, _ = pictures
    with pytest.raises(ValueError, match="styles: expected at least one"):
        model.stylize(content, [])
    with pytest.raises(ValueError, match="style"):
        model.stylize(content, [style[0]])
    with pytest.raises(ValueError, match="strength"):
        model.stylize(content, [style], control=StyleControl(strength=2.0))
    with pytest.raises(
        ValueError, match=r"fusion: (expected one of adain, wct|style_a)"
    ):
        model.stylize(content, [style], fusion="mean")
