"""Plans: what a control makes of strength, weights and masks."""

import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.methods import fusing
from stylejax.methods.control import StyleControl
from stylejax.nn import fusion


def test_weights_are_shares_of_the_strength():
    control = StyleControl(strength=0.8, style_weights=(1.0, 3.0))
    found = fusing.plan(control, 2, (8, 8))
    np.testing.assert_allclose(found.pulls, [0.2, 0.6], rtol=1e-6)
    assert found.masks is None
    assert fusing.is_partial(control)
    assert not fusing.is_partial(StyleControl())


def test_masks_share_pixels_and_pull_by_weight():
    masks = np.ones((2, 8, 8), np.float32)
    masks[1, :, 4:] = 0.0
    control = StyleControl(masks=masks, style_weights=(1.0, 0.5), strength=0.5)
    found = fusing.plan(control, 2, (8, 8))
    np.testing.assert_allclose(found.pulls, [0.5, 0.25])
    np.testing.assert_allclose(found.masks[:, 0, 0], [0.5, 0.5])
    np.testing.assert_allclose(found.masks[:, 0, 7], [1.0, 0.0])
    assert fusing.is_partial(control)


@pytest.mark.parametrize("name", fusion.FUSIONS)
def test_fused_features_have_the_planned_statistics(name, generator):
    x = jnp.float32(generator.normal(1.0, 2.0, (1, 8, 8, 4)))
    styles = [
        jnp.float32(generator.normal(m, s, (1, 6, 7, 4))) for m, s in ((5, 1), (-3, 4))
    ]
    goals = [fusing.goals({"a": s}, ["a"], fusion=name) for s in styles]
    plan = fusing.plan(StyleControl(), 2, (8, 8))
    found = fusing.fused({"a": x}, goals, plan, fusion=name)["a"]
    means = [s.mean((0, 1, 2)) for s in styles]
    np.testing.assert_allclose(
        found.mean((0, 1, 2)), (means[0] + means[1]) / 2, rtol=1e-3, atol=1e-3
    )
    left = np.zeros((1, 8, 8), np.float32)
    left[:, :, :4] = 1.0
    plan = fusing.plan(StyleControl(masks=left), 1, (8, 8))
    found = fusing.fused({"a": x}, goals[:1], plan, fusion=name)["a"]
    np.testing.assert_array_equal(found[:, :, 4:], x[:, :, 4:])
    np.testing.assert_allclose(
        found[:, :, :4].mean((0, 1, 2)), means[0], rtol=1e-3, atol=1e-3
    )


def test_a_network_that_loses_nothing_is_given_nothing_back(generator):
    content = jnp.float32(generator.random((1, 10, 13, 3)))
    style = {"a": jnp.float32(generator.random((1, 8, 8, 3)))}
    goals = [fusing.goals(style, ["a"], fusion="adain")]
    paint = {
        "encode": lambda x: {"a": x},
        "decode": lambda maps: maps["a"],
        "fusion": "adain",
        "multiple": 4,
    }
    for control in (StyleControl(strength=0.4), StyleControl(masks=np.ones((1, 2, 2)))):
        plan = fusing.plan(control, 1, (10, 13))
        found = [
            fusing.painted(content, goals, plan, partial=partial, **paint)
            for partial in (True, False)
        ]
        assert found[0].shape == content.shape
        np.testing.assert_allclose(found[0], found[1], atol=1e-5)
