"""The shipped emoji: complete, lossless, small, paired where it should be, licensed."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from stylejax.data import emoji, sources
from stylejax.metrics import pixel

SIZES = {"trainA": 654, "trainB": 710, "testA": 101, "testB": 101}


@pytest.fixture(scope="module")
def dataset():
    return emoji.load_emoji()


def test_sizes_and_kind(dataset):
    for split, size in SIZES.items():
        source = getattr(dataset, sources.field_of_split(split))
        assert len(source) == len(source.names) == len(set(source.names)) == size
        image = source[size - 1]
        assert image.shape == (128, 128, 3) and image.dtype == np.float32
        assert 0 <= image.min() and image.max() == 1.0
        np.testing.assert_array_equal(image[0, 0], 1.0)  # on white
    assert dataset.name == "emoji" and dataset.paired


def test_training_is_unpaired_and_apart_from_the_test(dataset):
    train_a, train_b = set(dataset.train_a.names), set(dataset.train_b.names)
    assert not train_a & train_b
    assert not (train_a | train_b) & set(dataset.test_a.names)
    assert dataset.test_a.names == dataset.test_b.names


def test_partners_are_closer_than_strangers(dataset):
    a, b = (
        np.stack([source[i] for i in range(101)])
        for source in (dataset.test_a, dataset.test_b)
    )
    partner = np.asarray(pixel.mean_absolute_error(a, b))
    stranger = np.asarray(pixel.mean_absolute_error(a, np.roll(b, 1, axis=0)))
    # The published baseline: 16.36 with the partner, about 58 with another.
    assert partner.mean() == pytest.approx(16.36, abs=0.01)
    assert stranger.mean() > 50


def test_labels_belong_to_the_pictures(dataset):
    for split, size in SIZES.items():
        labels = dataset.labels[sources.field_of_split(split)]
        assert {len(column) for column in labels.values()} == {size}
    test = dataset.labels["test_a"]
    for column in ("group", "short_name", "codepoints"):
        np.testing.assert_array_equal(test[column], dataset.labels["test_b"][column])
    groups, counts = np.unique(test["group"], return_counts=True)
    assert dict(zip(groups, counts, strict=True))["people"] == 30
    at = dataset.train_a.names.index("0023-fe0f-20e3")
    assert dataset.labels["train_a"]["short_name"][at] == "keycap #"


def test_pictures_are_decoded_once(dataset, monkeypatch):
    first = dataset.test_a[7]
    monkeypatch.setattr(emoji.files, "from_bytes", None)
    np.testing.assert_array_equal(dataset.test_a[7], first)
    first[:] = 0  # what is handed out is a copy
    assert dataset.test_a[7].max() == 1.0


def test_it_is_small_and_carries_its_licence():
    folder = emoji.assets_folder()
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 14_000_000
    notice = (folder / "LICENSE.txt").read_text()
    assert "MIT License" in notice and "Microsoft" in notice and "LobeHub" in notice


@pytest.mark.parametrize("split", SIZES)
def test_pixels_equal_the_original(dataset, data_dir, split):
    folder = data_dir / "fluent_emoji" / split
    source = getattr(dataset, sources.field_of_split(split))
    assert source.names == [path.stem for path in sorted(folder.glob("*.png"))]
    for index in range(0, len(source), 5):
        original = Image.open(folder / f"{source.names[index]}.png")
        assert original.mode == "RGB"
        expected = np.asarray(original, np.float32) / np.float32(255)
        np.testing.assert_array_equal(source[index], expected)


def test_labels_equal_the_original(data_dir):
    original = (data_dir / "fluent_emoji" / "labels.csv").read_bytes()
    assert (emoji.assets_folder() / "labels.csv").read_bytes() == original


def test_it_loads_alone_and_imports_nothing_heavy(tmp_path):
    script = (
        "import sys\n"
        "from stylejax import data\n"
        "assert len(data.load('emoji').train_a[0]) == 128\n"
        "heavy = {'grain', 'tensorflow_datasets', 'tensorflow', 'torch'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "STYLEJAX_DATA"}
    root = str(emoji.assets_folder().parents[3])
    environment["PYTHONPATH"] = root
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
