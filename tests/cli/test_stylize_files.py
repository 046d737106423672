"""Where the pictures of `stylejax stylize` come from and go to."""

from pathlib import Path

import numpy as np
import pytest

from stylejax.cli import jobs, stylize_files
from stylejax.cli.messages import UsageError
from stylejax.image import files


def test_styles_of_one_name_are_told_apart():
    found = stylize_files.style_names(["a/x.png", "b/x.png", "x-2.png", "content.png"])
    assert found == ["x", "x-2", "x-2-2", "content-2"]


@pytest.mark.parametrize(
    ("size_hw", "is_stretched"),
    [((20, 30), False), ((40, 61), False), ((20, 33), True), ((30, 20), True)],
)
def test_masks_of_the_pictures_proportions_are_not_stretched(size_hw, is_stretched):
    found = stylize_files.stretched({"m.png": size_hw}, (200, 300))
    assert found == (["m.png"] if is_stretched else [])


def test_masks_of_several_sizes_become_one_array():
    assert stylize_files.stacked([]) is None
    found = stylize_files.stacked([np.ones((4, 6)), np.zeros((8, 3))])
    assert found.shape == (2, 8, 6)
    np.testing.assert_array_equal(found[0], 1.0)
    np.testing.assert_array_equal(found[1], 0.0)


def test_a_mask_is_white_where_it_holds(tmp_path):
    pixels = np.zeros((4, 4, 3), np.float32)
    pixels[:, 2:] = 1
    files.write(tmp_path / "m.png", pixels)
    np.testing.assert_array_equal(
        stylize_files.read_mask(tmp_path / "m.png"), pixels[..., 0]
    )
    files.write(tmp_path / "m.png", 0 * pixels)
    with pytest.raises(UsageError, match="black all over"):
        stylize_files.read_mask(tmp_path / "m.png")


def test_snapshots_are_named_after_what_is_painted(tmp_path):
    planned = [
        jobs.Job(Path("a.png"), Path("out/a.png")),
        jobs.Job(Path("deep/A.jpg"), Path("out/deep/A.jpg")),
        jobs.Job(Path("b.x.png"), Path("out/b.x.png")),
        jobs.Job(Path("-"), Path("-")),
    ]
    found = stylize_files.snapshot_stems(planned, tmp_path / "way", force=False)
    assert [path.name for path in found.values()] == ["a", "A-2", "b.x", "stdin"]
    assert (tmp_path / "way").is_dir()
