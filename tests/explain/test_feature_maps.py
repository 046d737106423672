"""Sheets of feature maps, pixel by pixel, and the pictures a unit answers most."""

import numpy as np
import pytest

from stylejax.explain.feature_maps import feature_sheet, top_pictures

RED, BLUE, WHITE, GREY = (0.80, 0.05, 0.08), (0.05, 0.25, 0.85), (1, 1, 1), (0.85,) * 3


@pytest.fixture
def maps(generator):
    """2 x 3 positions, 5 units of very different strength."""
    strength = np.array([1.0, 10.0, 0.1, 0.0, 2.0])
    return (generator.normal(size=(2, 3, 5)) * strength).astype(np.float32)


def test_a_tile_is_red_where_positive_blue_where_negative_white_at_zero():
    sheet = feature_sheet(np.float32([[[2.0], [-2.0], [0.0], [1.0]]]), gap=0)
    np.testing.assert_allclose(sheet.picture[0, :3], [RED, BLUE, WHITE], atol=1e-6)
    np.testing.assert_allclose(sheet.picture[0, 3], np.add(RED, WHITE) / 2, atol=1e-6)
    assert sheet.picture.dtype == np.float32


def test_the_sign_of_a_map_is_not_lost_by_stretching():
    """Drawn between minimum and maximum, all-positive maps would get both colours."""
    sheet = feature_sheet(np.float32([[[1.0], [2.0]]]), gap=0)
    assert (sheet.picture[..., 0] >= sheet.picture[..., 2]).all()


def test_tiles_stand_in_order_with_lines_between_and_grey_after(maps):
    sheet = feature_sheet(maps, columns=3, zoom=2, gap=1)
    assert sheet.picture.shape == (2 * (4 + 1) + 1, 3 * (6 + 1) + 1, 3)
    alone = feature_sheet(maps[..., 1:2], zoom=2, gap=0).picture
    strongest = sheet.picture[1:5, 8:14]
    np.testing.assert_allclose(strongest, alone)
    for line in (sheet.picture[0], sheet.picture[5], sheet.picture[:, 7]):
        np.testing.assert_allclose(line, np.broadcast_to(GREY, line.shape))
    np.testing.assert_allclose(sheet.picture[6:10, 15:21], np.full((4, 6, 3), 0.85))
    np.testing.assert_allclose(sheet.picture[6:10, 1:7], 1.0)  # the unit of zeros


def test_a_shared_scale_keeps_strengths_and_an_own_one_shows_each(maps):
    shared, own = (feature_sheet(maps, scale=s, gap=0) for s in ("shared", "own"))
    peaks = np.abs(maps).max(axis=(0, 1))
    np.testing.assert_allclose(shared.limits, peaks.max())
    np.testing.assert_allclose(own.limits, peaks)
    weak = shared.picture[:2, 6:9]  # unit 2, a hundred times weaker than unit 1
    assert weak.min() > 0.95
    assert own.picture[:2, 6:9].min() < 0.1
    assert f"red {peaks.max():.3g}" in shared.summary() and "from 0 to" in own.summary()


def test_chosen_units_are_drawn_in_their_order_and_scaled_among_themselves(maps):
    sheet = feature_sheet(maps, units=[4, 0], columns=1, gap=0)
    assert sheet.units == (4, 0)
    np.testing.assert_allclose(sheet.limits, np.abs(maps[..., [4, 0]]).max())
    first = feature_sheet(maps[..., [4, 0]], columns=1, gap=0).picture
    np.testing.assert_array_equal(sheet.picture, first)


def test_a_sheet_is_about_square(maps):
    assert feature_sheet(np.repeat(maps, 2, axis=-1)).columns == 4


@pytest.mark.parametrize("by", ["max", "mean"])
def test_top_pictures_are_those_that_sorting_finds(generator, by):
    maps = generator.normal(size=(9, 4, 5, 3)).astype(np.float32)
    top = top_pictures(maps, unit=2, num_pictures=4, by=by)
    scores = getattr(maps[..., 2].reshape(9, -1), by)(axis=1)
    assert top.indices.tolist() == sorted(range(9), key=lambda i: -scores[i])[:4]
    np.testing.assert_allclose(top.values, np.sort(scores)[::-1][:4])
    for index, (row, column) in zip(top.indices, top.positions, strict=True):
        assert maps[index, row, column, 2] == maps[index, :, :, 2].max()


def test_a_small_bright_spot_wins_by_max_and_a_wide_one_by_mean():
    maps = np.zeros((2, 4, 4, 1), np.float32)
    maps[0, 3, 1], maps[1] = 5.0, 1.0
    spots = [
        top_pictures(maps, unit=0, num_pictures=1, by=by) for by in ("max", "mean")
    ]
    assert [int(s.indices[0]) for s in spots] == [0, 1]
    assert spots[0].positions.tolist() == [[3, 1]]


def test_of_equal_pictures_the_first_comes_first_and_few_are_all():
    top = top_pictures(np.zeros((3, 2, 2, 1)), unit=0)
    assert top.indices.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (lambda m: feature_sheet(m[..., 0]), "expected one picture's maps"),
        (lambda m: feature_sheet(m * np.nan), "maps: expected finite"),
        (lambda m: feature_sheet(m, units=[5]), "units: expected some of 0 to 4"),
        (lambda m: feature_sheet(m, scale="minmax"), "scale: expected one of shared"),
        (lambda m: feature_sheet(m, zoom=0), "zoom: expected"),
        (lambda m: feature_sheet(m, columns=0), "columns: expected"),
        (lambda m: top_pictures(m, unit=0), r"maps: expected maps \(b, h, w, u\)"),
        (lambda m: top_pictures(m[None], unit=-1), "units: expected some of"),
        (lambda m: top_pictures(m[None], unit=0, by="sum"), "by: expected one of"),
    ],
)
def test_what_cannot_be_drawn_is_refused(maps, refused, message):
    with pytest.raises(ValueError, match=message):
        refused(maps)
