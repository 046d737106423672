"""A folder with every planted fault: each is found, named and treated as asked."""

import numpy as np
import pytest

from stylejax.data.survey import (
    SurveyConfig,
    contact_sheet,
    cut_splits,
    named_splits,
    survey,
)
from stylejax.image import files


def scene(seed, size=40):
    coarse = np.random.default_rng(seed).random((6, 6, 3)).astype(np.float32)
    return np.clip(files.resize_bicubic(coarse, (size, size)), 0, 1)


@pytest.fixture
def root(tmp_path):
    """Four training and three test pictures a domain, all different, tests paired."""
    for number, split in enumerate(("trainA", "trainB", "testA", "testB")):
        for i in range(3 if split.startswith("test") else 4):
            files.write(tmp_path / split / f"{i}.png", scene(10 * number + i))
    return tmp_path


def inspected(root, **options):
    return survey(named_splits(root), SurveyConfig(**options))


def kept_names(found, split):
    return list(found.kept[split])


def test_a_clean_folder_is_kept_whole(root):
    found = inspected(root, drop="near")
    summary = found.summary()
    assert summary["found"] == summary["kept"]
    assert found.kept == named_splits(root)
    assert summary["paired"] is True
    faults = ("broken", "too_small", "dropped", "unpartnered", "exact_duplicates")
    faults += ("near_duplicates", "equal_across_domains")
    assert all(len(summary[fault]) == 0 for fault in faults)


def test_broken_files_are_named_and_left_out(root):
    path = root / "trainA" / "1.png"
    path.write_bytes(path.read_bytes()[:100])
    (root / "trainB" / "note.jpg").write_text("no image")
    found = inspected(root)
    assert set(found.broken) == {"trainA/1.png", "trainB/note.jpg"}
    assert str(path) in found.broken["trainA/1.png"]
    assert kept_names(found, "trainA") == ["0.png", "2.png", "3.png"]
    assert kept_names(found, "trainB") == ["0.png", "1.png", "2.png", "3.png"]


def test_small_pictures_are_left_out(root):
    files.write(root / "trainA" / "2.png", scene(2)[:20])
    found = inspected(root, min_size=30)
    assert found.too_small == {"trainA/2.png": (20, 40)}
    assert found.summary()["too_small"] == {"trainA/2.png": [20, 40]}
    assert "2.png" not in found.kept["trainA"]
    assert inspected(root, min_size=20).too_small == {}


def test_the_partner_of_a_lost_test_picture_goes_too(root):
    (root / "testB" / "1.png").write_bytes(b"")
    found = inspected(root)
    assert (
        kept_names(found, "testA") == kept_names(found, "testB") == ["0.png", "2.png"]
    )
    assert found.paired and found.unpartnered == ["testA/1.png"]


def test_unpaired_tests_lose_only_the_broken(root):
    (root / "testB" / "1.png").rename(root / "testB" / "other.png")
    (root / "testB" / "2.png").write_bytes(b"")
    found = inspected(root)
    assert not found.paired and found.unpartnered == []
    assert kept_names(found, "testA") == ["0.png", "1.png", "2.png"]
    assert kept_names(found, "testB") == ["0.png", "other.png"]


@pytest.fixture
def doubled(root):
    """A test picture again in training, a near copy of it, and one in both domains."""
    files.write(root / "trainA" / "leak.png", files.read(root / "testA" / "0.png"))
    small = files.resize_bicubic(files.read(root / "trainB" / "0.png"), (30, 30))
    files.write(root / "trainB" / "small.png", small)
    files.write(root / "trainB" / "both.png", files.read(root / "trainA" / "3.png"))
    return root


def test_duplicates_are_reported_and_kept_by_default(doubled):
    summary = inspected(doubled).summary()
    assert summary["exact_duplicates"] == [
        {"files": ["trainA/leak.png", "testA/0.png"], "train_and_test": True}
    ]
    [near] = summary["near_duplicates"]
    assert near["files"] == ["trainB/0.png", "trainB/small.png"]
    assert near["train_and_test"] is False
    assert near["bits"] <= 10 and 0 < near["difference"] <= 0.03
    assert summary["equal_across_domains"] == [
        {"files": ["trainA/3.png", "trainB/both.png"], "train_and_test": False}
    ]
    assert summary["dropped"] == [] and summary["found"] == summary["kept"]


def test_exact_duplicates_leave_the_training(doubled):
    found = inspected(doubled, drop="exact")
    assert found.dropped == ["trainA/leak.png"]
    assert "0.png" in found.kept["testA"]


def test_near_duplicates_leave_too(doubled):
    found = inspected(doubled, drop="near")
    assert found.dropped == ["trainA/leak.png", "trainB/small.png"]
    assert "both.png" in found.kept["trainB"]


def test_limits_of_near_duplicates_are_options(doubled):
    assert inspected(doubled, max_difference=0.0).found.near == []
    assert len(inspected(doubled, max_bits=64, max_difference=1.0).found.near) > 20


def test_progress_sees_every_picture(root):
    seen = []
    survey(named_splits(root), SurveyConfig(), progress=lambda x: seen.extend(x) or x)
    assert len(seen) == 14 and seen[0] == ("trainA", "0.png")


def test_sub_folders_are_part_of_the_name(root):
    files.write(root / "trainA" / "deep" / "er" / "0.png", scene(99))
    assert "deep/er/0.png" in named_splits(root)["trainA"]


def test_missing_folders_are_named(root, tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder trainA in"):
        named_splits(tmp_path / "testA")
    (root / "trainB").rename(root / "else")
    with pytest.raises(FileNotFoundError, match="no folder trainB in") as error:
        named_splits(root)
    assert "\n" not in str(error.value)


def test_two_folders_are_cut_into_train_and_test(root):
    splits = cut_splits(root / "trainA", root / "trainB", test_fraction=0.5, seed=3)
    assert [len(paths) for paths in splits.values()] == [2, 2, 2, 2]
    assert list(splits) == ["trainA", "trainB", "testA", "testB"]
    # Equal names are cut alike.
    assert list(splits["testA"]) == list(splits["testB"])
    both = splits["trainA"] | splits["testA"]
    assert set(both.values()) == set((root / "trainA").iterdir())
    again = cut_splits(root / "trainA", root / "trainB", test_fraction=0.5, seed=3)
    assert again == splits
    others = [
        cut_splits(root / "trainA", root / "trainB", test_fraction=0.5, seed=seed)
        for seed in range(8)
    ]
    assert any(other["testA"] != splits["testA"] for other in others)


def test_without_test_share_there_are_no_test_splits(root):
    splits = cut_splits(root / "trainA", root / "testB", test_fraction=0.0)
    assert list(splits) == ["trainA", "trainB"]
    assert survey(splits, SurveyConfig()).paired is False


def test_a_share_that_leaves_nothing_is_refused(root):
    with pytest.raises(ValueError, match="leaves nothing to train on"):
        cut_splits(root / "trainA", root / "trainB", test_fraction=0.99)
    with pytest.raises(ValueError, match="expected 0 to below 1, got 1.5"):
        cut_splits(root / "trainA", root / "trainB", test_fraction=1.5)


def test_contact_sheet_shows_splits_and_duplicates(doubled):
    clean = contact_sheet(inspected(doubled, max_difference=0.0), height=16)
    sheet = contact_sheet(inspected(doubled), height=16)
    assert sheet.dtype == np.float32 and sheet.min() >= 0 and sheet.max() <= 1
    assert sheet.shape[0] > clean.shape[0] > 4 * 16  # one row more: the near pair
    colours = sheet.reshape(-1, 3)
    wanted = files.resize_bicubic(files.read(doubled / "testA" / "0.png"), (16, 16))
    centre = np.clip(wanted[8, 8], 0, 1)
    # The doubled test picture shows in its split and twice beside its copy.
    assert np.sum(np.abs(colours - centre).max(-1) < 1e-6) >= 3


def test_contact_sheet_of_a_clean_folder(root):
    assert contact_sheet(inspected(root), height=8, columns=4).ndim == 3
