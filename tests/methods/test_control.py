"""`StyleControl`: what it refuses, and how masks, weights and colours are resolved."""

import numpy as np
import pytest

from stylejax.image import color, lab
from stylejax.methods import control as controls
from stylejax.methods.control import StyleControl


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strength": 1.2}, "strength: expected a number from 0 to 1"),
        ({"strength": float("nan")}, "strength"),
        ({"color": "sepia"}, "color: expected one of style, luminance"),
        ({"stroke_scale": 0}, "stroke_scale"),
        ({"stroke_scale": float("inf")}, "stroke_scale: expected a finite number"),
        ({"style_weights": (1.0,)}, "one for each of 2 styles, got 1"),
        ({"style_weights": (0.0, 0.0)}, "one of them above"),
        ({"style_weights": (1.0, -1.0)}, "at least 0"),
        ({"masks": np.ones((1, 4, 4))}, "as many --mask as --style"),
        ({"masks": np.ones((4, 4))}, r"masks: expected shape \(k, h, w\)"),
        ({"masks": np.full((2, 4, 4), 1.5)}, "from 0 to 1"),
        ({"masks": np.full((2, 4, 4), np.nan)}, "finite"),
        ({"content_weight": np.ones((1, 4, 4))}, r"expected shape \(h, w\)"),
    ],
)
def test_what_cannot_be_obeyed_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        StyleControl(**options).check(2)


def test_without_masks_weights_are_shares():
    control = StyleControl(strength=0.75, style_weights=(1.0, 3.0))
    painted, rest = controls.regions(control, 2, (8, 8))
    assert rest is None
    np.testing.assert_allclose([r.weight for r in painted], [0.1875, 0.5625])
    np.testing.assert_allclose([r.own_weight for r in painted], [0.0625, 0.1875])
    assert painted[0].mask is None


@pytest.mark.parametrize("scale", [1e-60, 1.0, 1e60, 1e308])
def test_shares_do_not_depend_on_the_weights_scale(scale):
    control = StyleControl(style_weights=np.array([1.0, 1.0]) * scale)
    control.check(2)
    painted, _ = controls.regions(control, 2, (8, 8))
    np.testing.assert_allclose([r.weight for r in painted], [0.5, 0.5])


def test_with_masks_the_mean_weight_is_one():
    masks = np.zeros((2, 8, 8))
    masks[0, :, :4], masks[1, :, 4:] = 1, 1
    control = StyleControl(strength=0.75, style_weights=(1.0, 3.0), masks=masks)
    painted, _ = controls.regions(control, 2, (8, 8))
    np.testing.assert_allclose([r.weight for r in painted], [0.1875, 0.5625])
    np.testing.assert_allclose([r.own_weight for r in painted], [0.0625, 0.1875])


def test_masks_weigh_by_area_and_leave_a_rest():
    masks = np.zeros((2, 8, 8))
    masks[0, :, :2] = 1
    masks[1, :, 2:6] = 1
    control = StyleControl(strength=0.5, masks=masks)
    painted, rest = controls.regions(control, 2, (8, 8))
    np.testing.assert_allclose([r.weight for r in painted], [0.125, 0.25])
    np.testing.assert_allclose(rest.own_weight, 0.25)
    np.testing.assert_allclose(rest.weight, 0.0)
    np.testing.assert_allclose(rest.mask[0, :, 6:], np.ones((8, 2)))
    weights = [r.weight + r.own_weight for r in painted] + [rest.own_weight]
    assert sum(map(float, weights)) == pytest.approx(1.0)


def test_masks_that_overlap_share_and_full_ones_leave_nothing():
    painted, rest = controls.regions(StyleControl(masks=np.ones((2, 4, 4))), 2, (8, 8))
    assert rest is None
    np.testing.assert_allclose(painted[0].mask, np.full((1, 8, 8), 0.5))


def test_maps_of_any_size_are_stretched_over_the_picture():
    keep = np.zeros((4, 4))
    keep[:, 2:] = 1
    found = controls.keep_map(StyleControl(content_weight=keep), (8, 12))
    assert found.shape == (1, 8, 12, 1)
    np.testing.assert_allclose(found[0, :, :4, 0], np.zeros((8, 4)), atol=1e-6)
    np.testing.assert_allclose(found[0, :, -4:, 0], np.ones((8, 4)), atol=1e-6)
    assert controls.keep_map(StyleControl(), (8, 8)) is None


@pytest.mark.parametrize(("scale", "size"), [(1.0, (64, 32)), (2.0, (128, 64))])
def test_a_styles_longer_side_follows_the_contents(scale, size, generator):
    style = generator.random((1, 80, 40, 3), np.float32)
    content = generator.random((1, 48, 64, 3), np.float32)
    control = StyleControl(stroke_scale=scale)
    assert controls.prepare_style(style, content, control).shape == (1, *size, 3)


def test_styles_are_recoloured_for_each_content(generator):
    style = generator.random((1, 40, 40, 3), np.float32)
    content = generator.uniform(0.2, 0.6, (2, 40, 40, 3)).astype(np.float32)
    content[1] *= 0.5
    found = controls.prepare_style(style, content, StyleControl(color="histogram"))
    np.testing.assert_allclose(
        np.mean(found, axis=(1, 2)), content.mean(axis=(1, 2)), atol=5e-3
    )
    grey = controls.prepare_style(style, content, StyleControl(color="luminance"))
    assert np.ptp(np.asarray(grey), axis=-1).max() == 0
    compared = controls.prepare_content(content, StyleControl(color="luminance"))
    np.testing.assert_allclose(compared[..., 0], color.luminance(content), atol=2e-3)


def test_the_finish_keeps_colours_and_pixels(generator):
    content, painted = generator.random((2, 1, 16, 16, 3)).astype(np.float32)
    found = controls.finish(painted, content, StyleControl(color="luminance"))
    assert float(lab.chroma_error(found, content)[0]) < 1.0
    keep = np.zeros((16, 16))
    keep[4:8] = 1
    found = controls.finish(3 * painted - 1, content, StyleControl(content_weight=keep))
    np.testing.assert_allclose(found[:, 4:8], content[:, 4:8], atol=1e-6)
    assert float(np.min(found)) >= 0
    assert float(np.max(found)) <= 1


def test_the_contents_own_style_counts_where_strength_leaves_it_a_share():
    masks = np.zeros((2, 8, 8))
    masks[0, :, :2] = 1
    masks[1, :, 2:6] = 1

    def own(**options):
        control = StyleControl(**options)
        painted, rest = controls.regions(control, 2, (8, 8))
        found = controls.own_regions(["a", "b"], painted, rest, control)
        return {place: float(region.own_weight) for place, region in found}

    assert own(strength=1.0) == {}
    assert own(strength=0.25) == {"": pytest.approx(0.75)}
    assert own(strength=1.0, masks=masks) == {"rest": pytest.approx(0.25)}
    assert own(strength=0.0, masks=masks) == {
        "a": pytest.approx(0.25),
        "b": pytest.approx(0.5),
        "rest": pytest.approx(0.25),
    }
