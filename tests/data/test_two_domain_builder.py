"""What is written is read back equal, by this house and by plain tfds."""

import json
import logging
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image as PILImage

from stylejax.data.two_domain_builder import (
    SPLITS,
    new_directory,
    stored_bytes,
    verify_two_domain,
    write_two_domain,
)
from stylejax.image import files


@pytest.fixture
def splits(tmp_path, generator):
    """Three training and two test pictures a domain, of several sizes."""
    found = {}
    for split in SPLITS:
        count = 2 if split.startswith("test") else 3
        names = [f"sub/{split}_{i}.png" for i in range(count)]
        for i, name in enumerate(names):
            image = generator.random((6 + i, 9, 3))
            files.write(tmp_path / "in" / split / name, image)
        found[split] = {name: tmp_path / "in" / split / name for name in names}
    return found


@pytest.fixture
def odd_files(tmp_path, generator):
    """Files that readers disagree on: the mode or the EXIF tag makes the difference."""
    pixels = generator.integers(0, 256, (8, 10), np.uint8)
    colour = PILImage.fromarray(generator.integers(0, 256, (8, 10, 3), np.uint8))
    exif = PILImage.Exif()
    exif[0x0112] = 6
    made = {
        "deep.png": PILImage.fromarray(pixels.astype(np.uint16) * 251),
        "palette.png": colour.quantize(8),
        "alpha.png": colour.convert("RGBA"),
        "cmyk.tif": colour.convert("CMYK"),
    }
    made["alpha.png"].putalpha(100)
    for name, image in made.items():
        image.save(tmp_path / name)
    colour.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    return {name: tmp_path / name for name in [*made, "turned.jpg"]}


def test_plain_files_are_stored_byte_for_byte(splits, tmp_path):
    written = write_two_domain(splits, tmp_path / "out", name="tiny")
    assert written.directory == tmp_path / "out" / "tiny" / "1.0.0"
    assert written.reencoded == ()
    builder = tfds.builder_from_directory(written.directory)
    decoders = {"image": tfds.decode.SkipDecoding()}
    for split, paths in splits.items():
        records = builder.as_data_source(split, decoders=decoders)
        assert [r["file"].decode() for r in records] == list(paths)
        for record, path in zip(records, paths.values(), strict=True):
            assert record["image"] == path.read_bytes()
            assert "AB"[record["label"]] == split[-1]


def test_other_readers_see_the_same_pictures(splits, odd_files, tmp_path):
    """16-bit, palette, alpha, CMYK and turned files become 8-bit RGB PNG."""
    splits["trainA"] = splits["trainA"] | odd_files
    written = write_two_domain(splits, tmp_path / "out", name="odd")
    assert sorted(written.reencoded) == sorted(f"trainA/{name}" for name in odd_files)
    records = tfds.builder_from_directory(written.directory).as_data_source("trainA")
    logging.getLogger("absl").setLevel(logging.ERROR)
    for record, path in zip(records, splits["trainA"].values(), strict=True):
        ours = np.rint(files.read(path) * 255)
        np.testing.assert_array_equal(record["image"], ours)
    largest = verify_two_domain(written.directory, splits)
    assert 0 < largest <= 0.501 / 255  # alpha and 16-bit are rounded


def test_grey_files_are_stored_byte_for_byte(splits, tmp_path, generator):
    path = tmp_path / "grey.png"
    PILImage.fromarray(generator.integers(0, 256, (8, 10), np.uint8)).save(path)
    splits["trainA"]["grey.png"] = path
    written = write_two_domain(splits, tmp_path / "out")
    assert written.reencoded == ()
    assert verify_two_domain(written.directory, splits) == 0


def test_verification_of_plain_files_is_exact(splits, tmp_path):
    written = write_two_domain(splits, tmp_path / "out")
    assert verify_two_domain(written.directory, splits) == 0.0


def test_verification_finds_a_changed_picture(splits, tmp_path):
    written = write_two_domain(splits, tmp_path / "out")
    path = splits["testB"]["sub/testB_1.png"]
    image = files.read(path)
    image[2, 3, 0] = (image[2, 3, 0] + 0.5) % 1
    files.write(path, image)
    with pytest.raises(ValueError, match=r"testB\[1\] is not the picture in"):
        verify_two_domain(written.directory, splits)


def test_verification_finds_a_missing_picture(splits, tmp_path):
    written = write_two_domain(splits, tmp_path / "out")
    splits["trainA"]["more.png"] = splits["trainA"]["sub/trainA_0.png"]
    with pytest.raises(ValueError, match="expected 4 pictures in trainA, read back 3"):
        verify_two_domain(written.directory, splits)


def test_no_tensorflow_and_no_noise(splits, tmp_path, capfd):
    write_two_domain(splits, tmp_path / "out")
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
    assert "tensorflow" not in sys.modules


def test_metadata_describe_the_set(splits, tmp_path):
    directory = write_two_domain(
        splits,
        tmp_path,
        name="mine",
        version="2.1.0",
        paired=True,
        description="Noise and noise.",
        license_text="CC0",
    ).directory
    info = tfds.builder_from_directory(directory).info
    assert (info.name, str(info.version)) == ("mine", "2.1.0")
    assert info.description == "Noise and noise."
    assert info.redistribution_info.license == "CC0"
    assert json.loads((directory / "metadata.json").read_text()) == {"paired": True}


def test_an_existing_version_is_left_alone(splits, tmp_path):
    directory = write_two_domain(splits, tmp_path).directory
    before = (directory / "dataset_info.json").read_bytes()
    with pytest.raises(FileExistsError, match="exists already; remove it"):
        write_two_domain(splits, tmp_path)
    assert (directory / "dataset_info.json").read_bytes() == before
    other = new_directory(tmp_path, name="two_domain", version="1.0.1")
    assert other == directory.parent / "1.0.1" and not other.exists()


def test_two_sets_of_one_name_can_be_written(splits, tmp_path):
    for folder in ("one", "two"):
        write_two_domain(splits, tmp_path / folder)
        written = tmp_path / folder / "two_domain" / "1.0.0"
        assert any("array_record" in file.name for file in written.iterdir())


def test_a_broken_picture_is_named_and_nothing_is_left(splits, tmp_path):
    path = splits["trainB"]["sub/trainB_1.png"]
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ValueError, match="trainB_1.png"):
        write_two_domain(splits, tmp_path / "out")
    assert not (tmp_path / "out" / "two_domain" / "1.0.0").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "My set"}, "name: expected lower case"),
        ({"version": "1"}, "version: expected three numbers"),
        (
            {"paired": True},
            "expected as many pictures in testA as in testB, got 1 and 2",
        ),
    ],
)
def test_bad_arguments_end_in_one_line(splits, tmp_path, change, message):
    splits["testA"].pop("sub/testA_0.png")
    with pytest.raises(ValueError, match=message) as error:
        write_two_domain(splits, tmp_path, **change)
    assert "\n" not in str(error.value)


def test_training_pictures_are_required(splits, tmp_path):
    with pytest.raises(ValueError, match="with nothing in trainB"):
        write_two_domain(splits | {"trainB": {}}, tmp_path)
    with pytest.raises(ValueError, match="got testA, testB, train, trainA"):
        write_two_domain(
            {s: splits[s] for s in SPLITS if s != "trainB"}
            | {"train": splits["trainB"]},
            tmp_path,
        )


def test_stored_bytes_of_a_picture_that_other_readers_refuse(odd_files):
    class Refuses:
        def decode_example_np(self, encoded):
            raise RuntimeError("no decoder")

    encoded, is_copy = stored_bytes(odd_files["turned.jpg"], decode=Refuses())
    assert not is_copy
    ours = files.read(odd_files["turned.jpg"])
    np.testing.assert_array_equal(files.from_bytes(encoded), ours)
