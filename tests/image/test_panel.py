"""Panels, pixel by pixel where the answer is known."""

import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.image import panel

RED, GREEN = np.float32([1, 0, 0]), np.float32([0, 1, 0])


def plain(rgb, *, height=4, width=6):
    return np.broadcast_to(np.float32(rgb), (height, width, 3))


def test_grid_puts_every_picture_in_its_place():
    blue = plain([0, 0, 1], height=2)
    sheet = panel.grid([[plain(RED), plain(GREEN)], [None, blue]], padding=3)
    assert sheet.shape == (3 + 4 + 3 + 2 + 3, 3 + 6 + 3 + 6 + 3, 3)
    assert sheet.dtype == np.float32
    np.testing.assert_array_equal(sheet[3:7, 3:9], plain(RED))
    np.testing.assert_array_equal(sheet[3:7, 12:18], plain(GREEN))
    np.testing.assert_array_equal(sheet[10:12, 12:18], blue)
    painted = np.zeros(sheet.shape[:2], bool)
    painted[3:7, 3:9] = painted[3:7, 12:18] = painted[10:12, 12:18] = True
    np.testing.assert_array_equal(
        sheet[~painted], np.ones((~painted).sum() * 3).reshape(-1, 3)
    )


def test_grid_takes_ragged_rows_and_small_cells():
    sheet = panel.grid([[plain(RED), plain(GREEN)], [plain(RED, width=2)]], padding=0)
    assert sheet.shape == (8, 12, 3)
    np.testing.assert_array_equal(sheet[4:, 2:4], plain(RED, width=2))
    assert sheet[4:, :2].min() == 1 and sheet[4:, 4:].min() == 1


def test_grid_scales_by_repeating_pixels(generator):
    image = generator.uniform(size=(3, 5, 3)).astype(np.float32)
    sheet = panel.grid([[image]], padding=0, scale=2)
    np.testing.assert_array_equal(sheet[::2, ::2], image)
    np.testing.assert_array_equal(sheet[1::2, 1::2], image)


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1)])
def test_grey_and_jax_pictures_are_taken(shape):
    sheet = panel.grid([[jnp.full(shape, 0.5)]], padding=0)
    np.testing.assert_array_equal(sheet, np.full((4, 6, 3), 0.5))


def test_values_outside_are_clipped_and_nan_is_black():
    sheet = panel.grid([[np.float32([[-1, 0.5, 2, np.nan]])]], padding=0)
    np.testing.assert_array_equal(sheet[0, :, 0], [0, 0.5, 1, 0])


def test_names_add_room_and_leave_the_pictures_alone():
    bare = panel.grid([[plain(RED)], [plain(RED)]], padding=2)
    named = panel.grid(
        [[plain(RED)], [plain(RED)]],
        padding=2,
        labels=["one", "two"],
        column_titles=["fake_b"],
    )
    assert named.shape[0] > bare.shape[0] and named.shape[1] > bare.shape[1]
    is_red = (named == RED).all(axis=-1)
    assert is_red.sum() == 2 * 4 * 6
    below_titles, right_of_labels = np.argwhere(is_red).min(axis=0)
    assert named[:below_titles].min() < 0.2, "the title is dark"
    assert named[below_titles:, :right_of_labels].min() < 0.2, "the labels are dark"


def test_a_column_is_as_wide_as_its_title():
    short, long = (
        panel.grid([[plain(RED)]], column_titles=[title]).shape[1]
        for title in ("a", "a much longer title")
    )
    assert long > short + 60


def test_text_grows_with_its_size():
    small, large = (
        panel.grid([[plain(RED)]], column_titles=["title"], font_size=size).shape
        for size in (10, 20)
    )
    assert large[0] > small[0] and large[1] > small[1]


def test_descenders_are_not_cut():
    """The last row of a line of text is paper."""
    strip = panel.caption(plain([1, 1, 1], height=1, width=80), "gjpqy")
    assert strip.min() < 0.2
    assert strip[-2:].min() == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": ["a", "b"]}, "labels: expected 1 names, got 2"),
        ({"column_titles": []}, "column_titles: expected 1 names, got 0"),
        ({"scale": 0}, "scale: expected"),
    ],
)
def test_grid_refuses_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        panel.grid([[plain(RED)]], **options)


@pytest.mark.parametrize("rows", [[], [[]]])
def test_grid_refuses_nothing(rows):
    with pytest.raises(ValueError, match="at least one picture"):
        panel.grid(rows)


@pytest.mark.parametrize("shape", [(1, 4, 4, 3), (4, 4, 4), (4,), (0, 4, 3)])
def test_what_is_no_picture_is_refused(shape):
    with pytest.raises(ValueError, match="expected a picture"):
        panel.grid([[np.zeros(shape)]])


def test_caption_keeps_the_picture_on_top():
    captioned = panel.caption(plain(RED, width=60), "ours")
    assert captioned.shape[1] == 60 and captioned.shape[0] > 4 + 12
    np.testing.assert_array_equal(captioned[:4], plain(RED, width=60))
    assert captioned[4:].min() < 0.2


def test_caption_wraps_at_words_and_keeps_line_breaks():
    image = plain(RED, width=60)
    heights = [
        panel.caption(image, text).shape[0]
        for text in ("one", "one two three four five", "a\nb\nc")
    ]
    line = heights[0] - 4 - 4
    assert heights[1] >= heights[0] + line
    assert heights[2] == heights[0] + 2 * line
    assert panel.caption(image, "one two three four five").shape[1] == 60


def test_a_long_word_widens_the_caption():
    captioned = panel.caption(plain(RED), "incomprehensibilities")
    assert captioned.shape[1] > 60
    assert (captioned[:4] == RED).all(axis=-1).sum() == 4 * 6


def test_draw_box_frames_the_box_and_copies():
    image = np.zeros((20, 30, 3), np.float32)
    framed = panel.draw_box(image, (5, 6, 7, 8), line_color=(1, 1, 1))
    expected = np.zeros((20, 30), bool)
    expected[5:15, 4:13] = True
    expected[6:14, 5:12] = False
    np.testing.assert_array_equal(framed.max(axis=-1) == 1, expected)
    assert image.max() == 0


def test_draw_box_stays_visible_at_the_border():
    framed = panel.draw_box(np.zeros((8, 8, 3)), (0, 0, 8, 8), line_color=(1, 1, 1))
    assert framed.sum() / 3 == 28  # the outermost ring of 8 x 8


def test_draw_box_has_a_width_and_copes_with_tiny_boxes():
    framed = panel.draw_box(np.zeros((9, 9, 3)), (4, 4, 1, 1), width=2)
    assert (framed.max(axis=-1) > 0).sum() == 24  # a ring of 5 x 5 around one pixel
    corner = panel.draw_box(np.zeros((9, 9, 3)), (0, 0, 1, 1), width=3)
    assert (corner.max(axis=-1) > 0).sum() == 16


def test_draw_box_refuses_boxes_outside():
    with pytest.raises(ValueError, match="inside the 8x8"):
        panel.draw_box(np.zeros((8, 8, 3)), (4, 4, 8, 8))


def test_signed_overlay_is_red_blue_and_grey():
    image = plain([0.2, 0.6, 0.4], height=1, width=3)
    positive, none, negative = panel.signed_overlay(image, [[2.0, 0.0, -2.0]])[0]
    assert positive[0] > positive[2] + 0.5
    assert negative[2] > negative[0] + 0.5
    assert np.ptp(none) < 1e-6, "without attribution the picture is grey"


def test_signed_overlay_opacity_grows_with_magnitude():
    image = plain([1, 1, 1], height=1, width=4)
    overlay = panel.signed_overlay(image, [[0.0, 1.0, 2.0, 4.0]], percentile=100)
    green = overlay[0, :, 1]
    assert (np.diff(green) < 0).all()
    np.testing.assert_allclose(np.diff(green)[1:], [-0.2375, -0.475], atol=1e-5)


def test_signed_overlay_saturates_above_the_percentile():
    image = plain([1, 1, 1], height=10, width=10)
    values = np.ones((10, 10))
    values[0, 0] = 1000.0
    overlay = panel.signed_overlay(image, values, percentile=90)
    np.testing.assert_allclose(overlay, np.broadcast_to(overlay[5, 5], (10, 10, 3)))


def test_sparse_maps_are_still_drawn():
    """One pixel of 400: the 99th percentile of the magnitude is zero."""
    values = np.zeros((20, 20))
    values[3, 4] = -1e-6
    overlay = panel.signed_overlay(plain([1, 1, 1], height=20, width=20), values)
    assert overlay[3, 4, 2] > overlay[3, 4, 0] + 0.5


def test_signed_overlay_of_zeros_is_grey_and_finite():
    overlay = panel.signed_overlay(plain(RED), np.zeros((4, 6)))
    assert np.isfinite(overlay).all() and np.ptp(overlay) < 1e-6


def test_heatmap_gets_brighter_all_the_way():
    colours = panel.heatmap(np.linspace(-3, 5, 50)[None], percentile=100)[0]
    assert colours.shape == (50, 3) and colours.dtype == np.float32
    brightness = colours @ np.float32([0.299, 0.587, 0.114])
    assert (np.diff(brightness) > 0).all()
    assert brightness[0] < 0.02 and brightness[-1] > 0.95


def test_heatmap_of_a_constant_is_black():
    assert panel.heatmap(np.full((3, 3), 7.0)).max() < 0.02


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((4, 6, 3)), "expected shape .h, w."),
        (np.full((4, 6), np.nan), "finite"),
        (np.full((4, 6), np.inf), "finite"),
    ],
)
def test_maps_that_cannot_be_drawn_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        panel.heatmap(values)
    with pytest.raises(ValueError, match=message):
        panel.signed_overlay(plain(RED), values)


def test_signed_overlay_refuses_another_size_and_bad_percentiles():
    with pytest.raises(ValueError, match="the picture's size .4, 6., got .6, 4."):
        panel.signed_overlay(plain(RED), np.zeros((6, 4)))
    with pytest.raises(ValueError, match="percentile: expected"):
        panel.signed_overlay(plain(RED), np.zeros((4, 6)), percentile=0)
