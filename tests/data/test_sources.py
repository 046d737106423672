"""Every name of a data set opens, and every mistake in one is answered in one line."""

import sys
import types

import numpy as np
import pytest
from PIL import Image

from stylejax.data import sources
from stylejax.image.files import ImageFileError


def picture(value, size=(8, 8)):
    return np.full((*size, 3), value, np.uint8)


def save(path, value=0, size=(8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(value, size)).save(path)


@pytest.fixture
def folder(tmp_path):
    """A folder data set: nested, of several types, with two test pairs."""
    for index, name in enumerate(["x.png", "deep/er/y.bmp", "deep/z.TIF"]):
        save(tmp_path / "trainA" / name, index)
    for index in range(2):
        save(tmp_path / "trainB" / f"{index}.png", 100 + index)
        save(tmp_path / "testA" / f"{index}.png", 10 + index)
        save(tmp_path / "testB" / f"{index}.tif", 110 + index)
    return tmp_path


def levels(source):
    return [round(float(source[i].mean()) * 255) for i in range(len(source))]


def one_line(error, *parts):
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert part in message, message


# --- folders


def test_folder_is_read_in_depth_and_sorted(folder):
    dataset = sources.load(f"folder:{folder}")
    assert dataset.train_a.names == ["deep/er/y.bmp", "deep/z.TIF", "x.png"]
    assert levels(dataset.train_a) == [1, 2, 0]
    assert dataset.train_a[0].dtype == np.float32
    assert dataset.name == f"folder:{folder}" and dataset.labels is None


def test_same_names_make_pairs(folder):
    assert sources.load(f"folder:{folder}").paired
    assert not sources.load_folder(folder, paired=False).paired
    (folder / "testB" / "0.tif").rename(folder / "testB" / "other.tif")
    assert not sources.load(f"folder:{folder}").paired
    assert sources.load_folder(folder, paired=True).paired


def test_pairs_need_equal_counts(folder):
    (folder / "testB" / "0.tif").unlink()
    with pytest.raises(ValueError) as error:
        sources.load_folder(folder, paired=True)
    one_line(error, "got 2 and 1", "without partner")


def test_test_folders_are_optional(folder):
    for path in [*folder.glob("test*/*"), *folder.glob("test*")]:
        path.unlink() if path.is_file() else path.rmdir()
    dataset = sources.load(f"folder:{folder}")
    assert len(dataset.test_a) == len(dataset.test_b) == 0 and not dataset.paired


def test_direction_swaps_everything():
    images = [[picture(value)] for value in (1, 2, 3, 4)]
    dataset = sources.TwoDomainDataset(
        "made", *map(sources.ArraySource, images), labels={"train_a": 1, "train_b": 2}
    )
    swapped = dataset.swapped()
    fields = ("train_a", "train_b", "test_a", "test_b")
    assert [levels(getattr(swapped, f)) for f in fields] == [[2], [1], [4], [3]]
    assert swapped.labels == {"train_b": 1, "train_a": 2}
    assert swapped.report is dataset.report


def test_load_takes_a_direction(folder):
    dataset = sources.load(f"folder:{folder}", direction="BtoA")
    assert levels(dataset.train_a) == [100, 101]
    assert levels(dataset.test_b) == [10, 11]
    with pytest.raises(ValueError) as error:
        sources.load("emoji", direction="AB")
    one_line(error, "AtoB, BtoA", "'AB'")


def test_pictures_are_decoded_lazily_and_few_are_kept(folder):
    source = sources.FolderSource(folder / "trainA", cache_bytes=8 * 8 * 3)
    first = source[0]
    source.files[0].unlink()
    np.testing.assert_array_equal(source[0], first)
    source[1]  # takes its place
    with pytest.raises(FileNotFoundError, match=r"y\.bmp"):
        source[0]


def test_what_is_handed_out_is_a_copy(folder):
    source = sources.FolderSource(folder / "trainA")
    source[0][:] = 1.0
    assert levels(source)[0] == 1


def test_size_and_place(folder):
    save(folder / "trainA" / "a.png", size=(5, 9))
    source = sources.FolderSource(folder / "trainA")
    assert source.size_of(0) == (5, 9)
    assert source.place(0) == str(folder / "trainA" / "a.png")


@pytest.mark.parametrize("missing", ["trainA", "trainB"])
def test_missing_domain(folder, missing):
    (folder / missing).rename(folder / "elsewhere")
    with pytest.raises(FileNotFoundError) as error:
        sources.load(f"folder:{folder}")
    one_line(error, missing, "elsewhere", str(folder), "put each domain")


def test_missing_and_empty_folders(tmp_path, folder):
    with pytest.raises(FileNotFoundError) as error:
        sources.load(f"folder:{tmp_path}/gone")
    one_line(error, "gone", "check the path")
    for path in (folder / "trainB").iterdir():
        path.rename(path.with_suffix(".txt"))
    with pytest.raises(FileNotFoundError) as error:
        sources.load(f"folder:{folder}")
    one_line(error, "no image in folder", "trainB")
    with pytest.raises(FileNotFoundError):
        sources.FolderSource(tmp_path / "gone")


# --- bad pictures


def test_broken_picture_raises_where_it_is_asked_for(folder):
    (folder / "trainA" / "x.png").write_bytes(b"\x89PNG broken")
    dataset = sources.load(f"folder:{folder}")
    with pytest.raises(ImageFileError) as error:
        dataset.train_a[2]
    one_line(error, str(folder / "trainA" / "x.png"), "remove")


def test_skip_drops_broken_pairs(folder):
    (folder / "testB" / "0.tif").write_bytes(b"broken")
    dataset = sources.load(f"folder:{folder}", on_bad_image="skip")
    assert levels(dataset.test_a) == [11] and levels(dataset.test_b) == [111]
    assert dataset.report.count == 1
    assert str(folder / "testB" / "0.tif") in dataset.report.summary()


def test_too_small_pictures(folder):
    save(folder / "trainB" / "1.png", 50, size=(7, 30))
    with pytest.raises(ImageFileError) as error:
        sources.load(f"folder:{folder}", min_size=8)
    one_line(error, "1.png", "30 x 7", "at least 8", "remove it or lower")
    dataset = sources.load(f"folder:{folder}", min_size=8, on_bad_image="skip")
    assert levels(dataset.train_b) == [100] and dataset.report.count == 1


# --- arrays


def test_arrays(generator):
    mixed = [picture(255), generator.random((4, 6, 3), np.float32)]
    source = sources.ArraySource(mixed, names=["white", "noise"])
    assert source[0].max() == 1.0 and source[1].shape == (4, 6, 3)
    assert source.names == ["white", "noise"]
    stacked = sources.ArraySource(np.zeros((5, 4, 4, 3), np.uint8))
    assert len(stacked) == 5 and stacked.names[4] == "4"


def test_arrays_of_wrong_shape():
    source = sources.ArraySource([np.zeros((4, 4), np.uint8)])
    with pytest.raises(ValueError) as error:
        source[0]
    one_line(error, "(h, w, 3)", "(4, 4)", "RGB")
    with pytest.raises(ValueError, match="expected 2"):
        sources.ArraySource([0, 1], names=["one"])


# --- names


@pytest.mark.parametrize("name", ["horses", "", "folder:", "tfds:", "emojis", "folder"])
def test_unknown_names_list_what_there_is(name):
    with pytest.raises(ValueError) as error:
        sources.load(name)
    one_line(error, repr(name), "emoji", "folder:PATH", "tfds:NAME", "shapes")


def test_a_bare_folder_gets_a_hint(tmp_path):
    with pytest.raises(ValueError, match=f"write folder:{tmp_path}"):
        sources.load(str(tmp_path))


def test_emoji_by_name():
    dataset = sources.load("emoji", direction="BtoA", on_bad_image="error")
    assert len(dataset.train_a) == 710 and dataset.paired
    assert len(dataset.labels["train_a"]["group"]) == 710


@pytest.fixture
def stand_in(monkeypatch):
    """A module in the place of a lazily loaded one; it records its calls."""

    def put(module, function):
        calls = []

        def load(*args, **options):
            calls.append((args, options))
            source = sources.ArraySource([picture(1)])
            return sources.TwoDomainDataset("made", source, source, source, source)

        fake = types.ModuleType(module)
        setattr(fake, function, load)
        monkeypatch.setitem(sys.modules, module, fake)
        return calls

    return put


def test_tfds_by_name(stand_in):
    calls = stand_in("stylejax.data.tfds_source", "load_tfds")
    dataset = sources.load("tfds:a/b:1.0", data_dir="/d", on_bad_image="skip")
    assert calls == [(("a/b:1.0",), {"data_dir": "/d", "on_bad_image": "skip"})]
    assert dataset.report.mode == "skip"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("shapes", {}),
        ("shapes:size=64", {"size": 64}),
        ("shapes:a=0.5, b=x,c=true", {"a": 0.5, "b": "x", "c": True}),
    ],
)
def test_shapes_by_name(stand_in, name, options):
    calls = stand_in("stylejax.data.shapes", "load_shapes")
    sources.load(name)
    assert calls == [((), options)]


@pytest.mark.parametrize("name", ["shapes:size", "shapes:=3", "shapes:a b=3"])
def test_shapes_options_must_be_pairs(name):
    with pytest.raises(ValueError) as error:
        sources.load(name)
    one_line(error, "key=value", "shapes:size=64")


def test_field_of_split():
    assert [sources.field_of_split(split) for split in sources.FOLDERS] == [
        "train_a",
        "train_b",
        "test_a",
        "test_b",
    ]
