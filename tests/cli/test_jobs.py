"""Names of jobs; what the commands do with them is in their own tests."""

import numpy as np
import pytest

from stylejax.cli import jobs
from stylejax.cli.messages import UsageError
from stylejax.image import files


@pytest.mark.parametrize(
    ("name", "kept"),
    [("a.png", "a.png"), ("b.JPG", "b.JPG"), ("c.gif", "c.png"), ("d.tif", "d.tif")],
)
def test_suffixes_that_can_be_written_are_kept(name, kept, tmp_path):
    files.write(tmp_path / "in" / name, np.zeros((4, 4, 3)))
    (job,) = jobs.plan([str(tmp_path / "in")], tmp_path / "out")
    assert job.target == tmp_path / "out" / kept


def test_an_output_is_never_an_input(tmp_path):
    files.write(tmp_path / "a.png", np.zeros((4, 4, 3)))
    with pytest.raises(UsageError, match="would replace an input"):
        jobs.plan([str(tmp_path / "a.png")], tmp_path)


def test_names_that_differ_in_case_alone_are_told_apart(tmp_path):
    for folder, name in (("in", "a.png"), ("more", "A.png")):
        files.write(tmp_path / folder / name, np.zeros((4, 4, 3)))
    folders = [str(tmp_path / "in"), str(tmp_path / "more")]
    found = [job.target.name for job in jobs.plan(folders, tmp_path / "out")]
    assert found == ["a.png", "A-2.png"]
