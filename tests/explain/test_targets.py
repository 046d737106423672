"""Targets against NumPy, and the text that names them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain.targets import (
    CHANNELS,
    KINDS,
    TARGET_GRAMMAR,
    Target,
    parse_target,
    region_energy,
    region_mean,
)
from stylejax.image.filters import gradient_energy


@pytest.fixture(scope="module")
def images():
    return jax.random.uniform(jax.random.key(3), (2, 10, 12, 3))


def one_line(error):
    return "\n" not in str(error.value)


@pytest.mark.parametrize("index", range(3))
def test_region_mean_of_a_colour(index, images):
    target = region_mean(CHANNELS[index], box=(2, 3, 5, 4))
    expected = np.asarray(images)[:, 3:7, 2:7, index].mean((1, 2))
    np.testing.assert_allclose(target(images), expected, rtol=1e-6)


def test_region_mean_of_the_luminance(images):
    pixels = np.asarray(images)[:, 3:7, 2:7] @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(
        region_mean("luminance", box=(2, 3, 5, 4))(images),
        pixels.mean((1, 2)),
        rtol=1e-6,
    )


def test_without_a_box_it_is_the_whole_picture(images):
    whole = region_mean("green", box=(0, 0, 12, 10))
    np.testing.assert_array_equal(region_mean("green")(images), whole(images))


def test_one_pixel_is_a_region(images):
    target = region_mean("blue", box=(11, 9, 1, 1))
    np.testing.assert_allclose(target(images), images[:, 9, 11, 2], rtol=1e-7)


def test_an_index_takes_any_number_of_channels():
    logits = jax.random.normal(jax.random.key(0), (2, 6, 6, 5))
    np.testing.assert_allclose(
        region_mean(4)(logits), np.asarray(logits)[..., 4].mean((1, 2)), rtol=1e-5
    )


def test_region_energy_against_numpy(images):
    plane = np.asarray(images)[:, 3:7, 2:7, 0]
    down, right = np.diff(plane, axis=1), np.diff(plane, axis=2)
    expected = (down**2).mean((1, 2)) + (right**2).mean((1, 2))
    target = region_energy("red", box=(2, 3, 5, 4))
    np.testing.assert_allclose(target(images), expected, rtol=1e-5)


def test_region_energy_of_it_all_is_the_image_rooms_own(images):
    np.testing.assert_allclose(
        region_energy("luminance")(images), gradient_energy(images), rtol=1e-6
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_one_number_a_picture_that_ignores_the_rest(kind, images):
    target = Target(kind=kind, channel="red", box=(2, 3, 5, 4))
    values = target(images)
    assert values.shape == (2,)
    outside = images.at[:, 0].set(0).at[..., 1:].set(0)
    np.testing.assert_array_equal(target(outside), values)
    inside = images.at[1, 4, 4, 0].add(0.5)
    changed = np.asarray(target(inside)) != np.asarray(values)
    assert changed.tolist() == [False, True]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channel", CHANNELS)
def test_every_target_is_differentiable_and_jits(kind, channel, images):
    target = Target(kind=kind, channel=channel, box=(1, 1, 6, 6))
    gradient = jax.jit(jax.grad(lambda x: target(x).sum()))(images)
    assert bool(jnp.isfinite(gradient).all())
    assert float(jnp.abs(gradient).sum()) > 0
    assert float(jnp.abs(gradient[:, 8:]).sum()) == 0


def test_of_puts_the_target_behind_a_network(images):
    target = region_mean("red", box=(0, 0, 4, 4))
    swapped = target.of(lambda x: x[..., ::-1])
    np.testing.assert_array_equal(
        swapped(images), region_mean("blue", box=(0, 0, 4, 4))(images)
    )


def test_change_of_is_out_minus_in(images):
    target = region_mean("red")
    np.testing.assert_allclose(
        target.change_of(lambda x: x + 0.25)(images), [0.25, 0.25], atol=1e-6
    )
    np.testing.assert_array_equal(target.change_of(lambda x: x)(images), 0)


def test_targets_are_values():
    first, again = (region_mean("red", box=(0, 1, 2, 3)) for _ in range(2))
    assert first == again
    assert hash(first) == hash(again)
    assert first != region_mean("red")


def test_a_box_may_be_any_sequence_of_whole_numbers():
    assert region_mean("red", box=[0, 1, np.int64(2), 3]).box == (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mean:red@8,8,16,16", Target("mean", "red", (8, 8, 16, 16))),
        ("mean:luminance", Target("mean", "luminance", None)),
        ("mean", Target("mean", "luminance", None)),
        ("mean@1,2,3,4", Target("mean", "luminance", (1, 2, 3, 4))),
        ("energy:blue@ 1, 2, 3, 4 ", Target("energy", "blue", (1, 2, 3, 4))),
        ("mean:0@0,0,1,1", Target("mean", 0, (0, 0, 1, 1))),
        (" energy ", Target("energy", "luminance", None)),
    ],
)
def test_parse_target(text, expected):
    assert parse_target(text) == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channel", [*CHANNELS, 0, 7])
@pytest.mark.parametrize("box", [None, (0, 1, 2, 3)])
def test_the_name_of_a_target_reads_back(kind, channel, box):
    target = Target(kind, channel, box)
    assert parse_target(target.name) == target


def test_the_grammar_names_all_there_is():
    assert TARGET_GRAMMAR == ("mean|energy[:red|green|blue|luminance][@x,y,w,h]")


@pytest.mark.parametrize("text", ["maen:red", "", ":red", "@1,2,3,4", "Mean:red"])
def test_an_unknown_kind_lists_what_exists(text):
    with pytest.raises(ValueError, match="target kind: expected one of") as e:
        parse_target(text)
    assert all(kind in str(e.value) for kind in KINDS)
    assert one_line(e)


@pytest.mark.parametrize("text", ["mean:purple", "mean:", "mean:red:blue", "mean:-1"])
def test_an_unknown_channel_lists_what_exists(text):
    with pytest.raises(ValueError, match="target channel: expected one of") as e:
        parse_target(text)
    assert all(channel in str(e.value) for channel in CHANNELS)
    assert one_line(e)


@pytest.mark.parametrize("box", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1.5,2,3,4"])
def test_a_box_that_is_not_four_whole_numbers(box):
    with pytest.raises(ValueError, match="four whole numbers x,y,w,h") as e:
        parse_target(f"mean:red@{box}")
    assert one_line(e)


def test_text_with_two_boxes():
    with pytest.raises(ValueError, match="target"):
        parse_target("mean:red@1,2,3,4@5,6,7,8")


@pytest.mark.parametrize("box", ["0,0,0,4", "0,0,4,0"])
def test_an_empty_box_is_refused(box):
    with pytest.raises(ValueError, match="w, h >= 1") as e:
        parse_target(f"mean:red@{box}")
    assert box in str(e.value)


@pytest.mark.parametrize("box", [(-1, 0, 2, 2), (0, 0, 1), (0, -1, 2, 2)])
def test_an_impossible_box_is_refused(box):
    with pytest.raises(ValueError, match="target box: expected x,y,w,h"):
        region_mean("red", box=box)


@pytest.mark.parametrize(
    "box", [(0.9, 0, 1.5, 1), (0, 0, 2.0, 1), (0, 0, np.nan, 1), ("0", "0", "1", "1")]
)
def test_a_box_of_no_whole_numbers_is_refused(box):
    """Cut to whole pixels, it would be another box than what was asked for."""
    with pytest.raises(ValueError, match="target box: expected x,y,w,h in whole") as e:
        region_mean("red", box=box)
    assert one_line(e)


@pytest.mark.parametrize("channel", [True, False, np.True_])
def test_truth_is_no_channel(channel):
    with pytest.raises(ValueError, match="target channel: expected one of red"):
        region_mean(channel)


@pytest.mark.parametrize("box", [(0, 0, 13, 1), (0, 0, 1, 11), (12, 0, 1, 1)])
def test_a_box_outside_the_picture_is_one_clear_line(box, images):
    target = region_mean("red", box=box)
    with pytest.raises(ValueError, match="expected a box inside the picture") as e:
        target(images)
    message = str(e.value)
    assert target.name in message
    assert "12 wide and 10 high" in message
    assert one_line(e)


def test_the_last_row_and_column_are_inside(images):
    assert region_mean("red", box=(11, 9, 1, 1))(images).shape == (2,)


def test_a_box_outside_is_found_while_tracing_too(images):
    with pytest.raises(ValueError, match="inside the picture"):
        jax.jit(region_mean("red", box=(0, 0, 13, 1)))(images)


def test_colour_names_need_rgb():
    with pytest.raises(ValueError, match="expected RGB pictures for a colour name"):
        region_mean("red")(jnp.zeros((1, 4, 4, 1)))


def test_an_index_beyond_the_channels(images):
    with pytest.raises(ValueError, match="expected a channel below 3, got 7"):
        region_mean(7)(images)
    with pytest.raises(ValueError, match="index of at least 0"):
        region_mean(-1)


def test_a_single_picture_without_a_batch_axis(images):
    with pytest.raises(ValueError, match=r"expected pictures of shape \(b, h, w, c\)"):
        region_mean("red")(images[0])


def test_energy_needs_two_pixels_a_side(images):
    with pytest.raises(ValueError, match="at least 2 x 2 pixels, got 5 x 1"):
        region_energy("red", box=(0, 0, 5, 1))(images)
