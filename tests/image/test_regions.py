import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.image import regions


@pytest.mark.parametrize(("h", "w", "rows", "columns"), [(8, 8, 4, 4), (7, 10, 3, 4)])
def test_a_grid_covers_the_picture_with_cells_of_nearly_one_size(h, w, rows, columns):
    labels = regions.grid_regions((h, w), rows=rows, columns=columns)
    sizes = np.bincount(labels.ravel(), minlength=rows * columns)
    assert labels.shape == (h, w) and len(sizes) == rows * columns
    least, most = (h // rows) * (w // columns), -(-h // rows) * -(-w // columns)
    assert sizes.min() >= least and sizes.max() <= most
    for label in range(rows * columns):
        y, x = np.nonzero(labels == label)
        assert (np.ptp(y) + 1) * (np.ptp(x) + 1) == sizes[label]


def test_cells_are_numbered_row_by_row():
    labels = regions.grid_regions((4, 6), rows=2, columns=3)
    assert labels[0, 0] == 0 and labels[0, 5] == 2 and labels[3, 0] == 3


@pytest.mark.parametrize(("rows", "columns"), [(0, 1), (1, 0), (5, 1), (1, 7)])
def test_a_grid_without_pixels_is_refused(rows, columns):
    with pytest.raises(ValueError, match="4 x 6 pixels"):
        regions.grid_regions((4, 6), rows=rows, columns=columns)


def test_later_boxes_cover_earlier_ones_and_the_rest_comes_last():
    labels = regions.box_regions((3, 4), [(0, 0, 2, 2), (1, 1, 2, 2)])
    expected = [[0, 0, 2, 2], [0, 1, 1, 2], [2, 1, 1, 2]]
    assert labels.tolist() == expected


@pytest.mark.parametrize("box", [(-1, 0, 1, 1), (0, 0, 0, 1), (3, 0, 2, 1)])
def test_boxes_outside_are_refused(box):
    with pytest.raises(ValueError, match="box 0"):
        regions.box_regions((3, 4), [box])


def test_masks_share_the_picture_out():
    labels = regions.grid_regions((5, 7), rows=2, columns=3)
    masks = regions.region_masks(jnp.asarray(labels), num_regions=6)
    np.testing.assert_array_equal(masks.sum(axis=0), np.ones((5, 7)))
    np.testing.assert_array_equal(masks[4], labels == 4)


def test_sums_are_those_of_the_masked_map_also_under_jit():
    labels = regions.grid_regions((5, 7), rows=2, columns=3)
    values = jax.random.normal(jax.random.key(0), (5, 7, 3))
    sums = jax.jit(regions.region_sums, static_argnames="num_regions")(
        values, labels, num_regions=6
    )
    for label in range(6):
        expected = np.asarray(values)[labels == label].sum(axis=0)
        np.testing.assert_allclose(sums[label], expected, atol=1e-5)


def test_regions_are_counted_also_where_the_last_has_no_pixel():
    labels = regions.grid_regions((4, 6), rows=2, columns=3)
    assert regions.count_regions(labels, size_hw=(4, 6)) == 6
    assert regions.count_regions(labels, size_hw=(4, 6), num_regions=9) == 9


@pytest.mark.parametrize(
    ("labels", "options"),
    [
        (np.zeros((4, 5), int), {}),
        (np.zeros((4, 6)), {}),
        (np.full((4, 6), -1), {}),
        (np.full((4, 6), 3), {"num_regions": 3}),
    ],
)
def test_unsound_labels_are_refused_by_their_name(labels, options):
    with pytest.raises(ValueError, match="mine: expected whole numbers"):
        regions.count_regions(labels, size_hw=(4, 6), name="mine", **options)
