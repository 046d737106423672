"""Masks of patches: what each covers, and that together they cover everything once."""

import numpy as np
import pytest

from stylejax.explain.patch_masks import (
    channel_masks,
    layer_masks,
    nearest_labels,
    region_patches,
)
from stylejax.image.regions import grid_regions

SHAPES = {"fine": (2, 8, 6, 3), "coarse": (2, 2, 2, 5)}


def covered(masks, shapes=SHAPES):
    """How often each value of each layer is covered, over all patches."""
    return {
        name: sum(np.broadcast_to(m, shapes[name]).astype(int) for m in mask)
        for name, mask in masks.items()
    }


@pytest.mark.parametrize(
    "masks",
    [
        layer_masks(SHAPES),
        region_patches(SHAPES, grid_regions((8, 6), rows=2, columns=2), num_regions=4),
        {name: channel_masks(shape) for name, shape in SHAPES.items()},
    ],
    ids=["layers", "regions", "channels"],
)
def test_patches_cover_every_value_once(masks):
    for count in covered(masks).values():
        assert (count == 1).all()


def test_a_layer_s_patch_leaves_the_others_alone():
    masks = layer_masks(SHAPES)
    assert [bool(m.any()) for m in masks["fine"]] == [True, False]
    assert [bool(m.any()) for m in masks["coarse"]] == [False, True]


def test_regions_of_layers_follow_one_another():
    """Patch 5 of 2 layers x 4 regions is the second layer's region 1."""
    labels = grid_regions((8, 6), rows=2, columns=2)
    masks = region_patches(SHAPES, labels, num_regions=4)
    assert not masks["fine"][5].any()
    assert masks["coarse"][5][0, :, :, 0].tolist() == [[False, True], [False, False]]
    assert masks["fine"][1][0, :, :, 0].tolist() == (labels == 1).tolist()


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 6), (16, 11)])
def test_nearest_takes_the_label_at_each_centre(size):
    labels = np.arange(48).reshape(8, 6)
    got = nearest_labels(labels, size_hw=size)
    for i in range(size[0]):
        for j in range(size[1]):
            row, column = (i + 0.5) * 8 / size[0], (j + 0.5) * 6 / size[1]
            assert got[i, j] == labels[int(row), int(column)]


def test_a_region_too_small_for_a_layer_is_empty_there():
    labels = np.zeros((8, 6), int)
    labels[0, 0] = 1
    masks = region_patches(SHAPES, labels, num_regions=2)
    assert [bool(m.any()) for m in masks["fine"]] == [True, True, False, False]
    assert [bool(m.any()) for m in masks["coarse"]] == [False, False, True, False]


def test_labels_outside_the_regions_are_in_no_patch():
    labels = np.array([[0, -1], [7, 1]])
    masks = region_patches({"a": (1, 2, 2, 1)}, labels, num_regions=2)
    assert covered(masks, {"a": (1, 2, 2, 1)})["a"][0, :, :, 0].tolist() == [
        [1, 0],
        [0, 1],
    ]


def test_a_vector_has_no_regions():
    with pytest.raises(
        ValueError, match=r"layer 'v': expected a map .* got .*\(1, 4\)"
    ):
        region_patches({"v": (1, 4)}, np.zeros((2, 2), int), num_regions=1)
