"""Files, folders and globs become sorted lists of pictures."""

import os

import pytest
from PIL import Image

from stylejax.image import files, listing


@pytest.fixture
def tree(tmp_path):
    for name in (
        "b.png",
        "a.JPG",
        "deep/er/c.webp",
        "deep/d.tiff",
        "notes.txt",
        "scan.pdf",
        ".hidden.png",
        "._a.jpg",
        ".git/e.png",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def names(paths, root):
    return [path.relative_to(root).as_posix() for path in paths]


def test_folders_are_searched_in_depth(tree):
    found = names(listing.list_images(tree), tree)
    assert found == ["a.JPG", "b.png", "deep/d.tiff", "deep/er/c.webp"]


def test_globs(tree):
    assert names(listing.list_images(f"{tree}/*.png"), tree) == ["b.png"]
    everywhere = names(listing.list_images(str(tree / "**" / "*")), tree)
    assert sorted(everywhere) == ["a.JPG", "b.png", "deep/d.tiff", "deep/er/c.webp"]
    assert len(listing.list_images(f"{tree}/de*")) == 2


def test_a_named_file_is_taken_whatever_its_suffix(tree):
    assert names(listing.list_images(tree / "notes.txt"), tree) == ["notes.txt"]


def test_brackets_in_a_name_are_no_glob(tree):
    (tree / "x[1].png").touch()
    assert names(listing.list_images(f"{tree}/x[1].png"), tree) == ["x[1].png"]


def test_several_entries_keep_their_order_without_repetition(tree):
    found = listing.list_images([tree / "b.png", tree, f"{tree}/*.JPG"])
    assert names(found, tree) == ["b.png", "a.JPG", "deep/d.tiff", "deep/er/c.webp"]


@pytest.mark.parametrize("entry", ["gone.png", "gone", "*.gif"])
def test_nothing_there(tree, entry):
    with pytest.raises(FileNotFoundError) as error:
        listing.list_images([tree, tree / entry])
    assert entry in str(error.value) and "\n" not in str(error.value)


def test_empty_folder(tree):
    (tree / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no image in folder '.*empty'"):
        listing.list_images(tree / "empty")


def test_linked_folders_are_followed_once(tree):
    os.symlink(tree / "deep", tree / "link")
    os.symlink(tree, tree / "deep" / "loop")
    found = names(listing.list_images(tree), tree)
    assert len(found) == len(set(found)) == 4


def test_suffixes_are_what_pillow_reads():
    Image.init()
    known = {
        suffix
        for suffix, kind in Image.registered_extensions().items()
        if kind in Image.OPEN
    }
    # AVIF came to Pillow with 11.3.
    assert listing.IMAGE_SUFFIXES - known <= {".avif", ".avifs"}
    assert {".png", ".jpg", ".jpeg", ".webp", ".tif", ".bmp", ".gif"} <= (
        listing.IMAGE_SUFFIXES
    )
    assert files.IMAGE_SUFFIXES is listing.IMAGE_SUFFIXES
