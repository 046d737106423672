"""Prepared sets are found, read without TensorFlow, and refused in one clear line."""

import concurrent.futures
import importlib.util
import os
import sys
import types

import numpy as np
import pytest
import tensorflow_datasets as tfds

from stylejax.data import sources
from stylejax.data.tfds_source import (
    TfdsSource,
    find_prepared,
    load_tfds,
    prepare_cycle_gan,
)
from stylejax.data.two_domain_builder import SPLITS, write_two_domain
from stylejax.image import files


def make_folders(root, generator, counts=(5, 3, 2, 2)):
    found = {}
    for split, count in zip(SPLITS, counts, strict=True):
        found[split] = {}
        for i in range(count):
            path = root / split / f"{i}.png"
            files.write(path, generator.random((6, 7, 3)))
            found[split][path.name] = path
    return found


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """(data_dir, what went in) of one paired set."""
    root = tmp_path_factory.mktemp("prepared")
    splits = make_folders(root / "in", np.random.default_rng(0))
    write_two_domain(splits, root / "data", name="tiny", paired=True)
    return root / "data", splits


def test_pictures_and_names_come_back(prepared):
    data_dir, splits = prepared
    data = sources.load(f"tfds:{data_dir}/tiny")
    assert data.paired and data.report.mode == "error"
    for split, paths in splits.items():
        source = getattr(data, sources.field_of_split(split))
        assert source.names == list(paths)
        for index, path in enumerate(paths.values()):
            image = source[index]
            assert image.dtype == np.float32 and image.shape == (6, 7, 3)
            np.testing.assert_array_equal(image, files.read(path))
    assert "tensorflow" not in sys.modules


@pytest.mark.parametrize("name", ["tiny", "tiny:1.0.0", "tiny/1.0.0"])
def test_sets_are_found_by_name(prepared, name):
    data = sources.load(f"tfds:{name}", data_dir=prepared[0], direction="BtoA")
    assert (len(data.train_a), len(data.train_b)) == (3, 5)


def test_sets_are_found_in_the_folder_of_the_environment(prepared, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared[0]))
    assert find_prepared("tiny") == prepared[0] / "tiny" / "1.0.0"


@pytest.mark.parametrize("below", ["", "tiny", "tiny/1.0.0"])
def test_sets_are_found_in_folders(prepared, below):
    assert find_prepared(str(prepared[0] / below)) == prepared[0] / "tiny" / "1.0.0"


def test_the_newest_version_is_taken(prepared, tmp_path):
    for version in ("2.0.0", "10.0.0", "9.0.0"):
        write_two_domain(prepared[1], tmp_path, name="tiny", version=version)
    assert find_prepared(str(tmp_path)).name == "10.0.0"


def test_two_sets_in_a_folder_must_be_told_apart(prepared, tmp_path):
    for name in ("one", "two"):
        write_two_domain(prepared[1], tmp_path, name=name)
    with pytest.raises(ValueError, match="expected one data set, found 2; name one"):
        load_tfds(str(tmp_path))


def test_threads_read_the_same_pictures(prepared):
    data = load_tfds(str(prepared[0]))
    alone = [data.train_a[i] for i in range(5)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda i: data.train_a[i % 5], range(40)))
    for i, image in enumerate(together):
        np.testing.assert_array_equal(image, alone[i % 5])


def test_slices_of_splits(prepared):
    builder = tfds.builder_from_directory(prepared[0] / "tiny" / "1.0.0")
    source = TfdsSource(builder, "trainA[:40%]")
    assert len(source) == 2 and source.names == ["0.png", "1.png"]
    with pytest.raises(IndexError, match=r"\[0, 2\)"):
        source[2]
    assert source.place(1) == "tiny:trainA[:40%][1]"


def test_sets_without_test_pictures(prepared, tmp_path):
    train = {split: prepared[1][split] for split in SPLITS[:2]}
    data = load_tfds(str(write_two_domain(train, tmp_path, paired=True).directory))
    assert len(data.test_a) == len(data.test_b) == 0
    assert not data.paired


def one_line(error):
    return "\n" not in str(error.value)


def test_official_sets_name_the_command_that_prepares_them(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not prepared") as error:
        load_tfds("cycle_gan/horse2zebra", data_dir=tmp_path)
    assert one_line(error)
    command = f"prepare_cycle_gan_tfds --name=horse2zebra --data_dir={tmp_path}"
    assert f"pip install '.[prepare]' && python -m experiments.{command}" in str(
        error.value
    )


@pytest.mark.parametrize("make", [False, True], ids=["name", "folder"])
def test_own_sets_name_the_command_that_prepares_them(tmp_path, make):
    name = str(tmp_path / "mine")
    if make:
        (tmp_path / "mine").mkdir()
    with pytest.raises(FileNotFoundError, match="no dataset_info.json in") as error:
        load_tfds(name, data_dir=tmp_path)
    assert one_line(error)
    assert "python -m experiments.prepare_dataset --input=FOLDER" in str(error.value)


def test_tfrecord_is_refused_with_the_remedy(prepared, tmp_path):
    directory = write_two_domain(prepared[1], tmp_path).directory
    info = directory / "dataset_info.json"
    info.write_text(info.read_text().replace("array_record", "tfrecord"))
    with pytest.raises(ValueError, match="prepared as tfrecord, which only") as error:
        load_tfds(str(directory))
    assert one_line(error) and "experiments.prepare_dataset" in str(error.value)


def test_sets_of_one_domain_are_refused(tmp_path, prepared):
    directory = write_two_domain(prepared[1], tmp_path).directory
    info = directory / "dataset_info.json"
    info.write_text(info.read_text().replace('"trainB"', '"validation"'))
    with pytest.raises(ValueError, match="expected splits trainA and trainB") as error:
        load_tfds(str(directory))
    assert one_line(error) and "validation" in str(error.value)


def test_a_damaged_record_is_named(tmp_path, prepared, monkeypatch):
    data = load_tfds(str(prepared[0]))
    records = [{"image": b"\x89PNG broken", "file": b"0.png"}]
    monkeypatch.setattr(data.train_a, "_records", records)
    with pytest.raises(files.ImageFileError, match=r"tiny:trainA\[0\]") as error:
        data.train_a[0]
    assert one_line(error)


def test_preparing_official_sets_asks_for_tensorflow(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="needs TensorFlow this once") as error:
        prepare_cycle_gan("horse2zebra", data_dir=tmp_path)
    assert one_line(error) and "pip install '.[prepare]'" in str(error.value)


@pytest.fixture
def official(tmp_path, monkeypatch, generator):
    """tfds' own cycle_gan code on a local folder; of TensorFlow it uses listdir."""
    from tensorflow_datasets.image_classification import cycle_gan

    make_folders(tmp_path / "unzipped" / "horse2zebra", generator)
    gfile = types.SimpleNamespace(listdir=os.listdir)
    fake = types.SimpleNamespace(io=types.SimpleNamespace(gfile=gfile))
    monkeypatch.setattr(cycle_gan, "tf", fake)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(
        tfds.download.DownloadManager,
        "download_and_extract",
        lambda self, url: str(tmp_path / "unzipped"),
    )
    tfds.disable_progress_bar()
    yield tmp_path / "unzipped" / "horse2zebra"
    tfds.enable_progress_bar()


def test_official_sets_are_prepared_as_array_record(official, tmp_path):
    directory = prepare_cycle_gan("cycle_gan/horse2zebra", data_dir=tmp_path)
    assert directory == tmp_path / "cycle_gan" / "horse2zebra" / "3.0.0"
    data = sources.load("tfds:cycle_gan/horse2zebra", data_dir=tmp_path)
    assert not data.paired  # tfds shuffles, and says nothing of pairs
    assert data.train_a.names[0] == "trainA_000000"
    read = sorted(image.tobytes() for image in data.train_b)
    kept = sorted(files.read(p).tobytes() for p in (official / "trainB").iterdir())
    assert read == kept


def test_unknown_official_sets_list_the_known(official, tmp_path):
    with pytest.raises(ValueError, match="expected one of apple2orange.*got 'cats'"):
        prepare_cycle_gan("cats", data_dir=tmp_path)
