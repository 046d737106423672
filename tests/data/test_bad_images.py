"""Bad pictures stop the run with one line, or are left out and counted; pairs stay."""

import dataclasses

import numpy as np
import pytest

from stylejax.data import bad_images
from stylejax.data.sources import ArraySource, TwoDomainDataset
from stylejax.image.files import ImageFileError


class Breaking:
    """A source some of whose pictures cannot be decoded."""

    def __init__(self, sizes, broken=()):
        self._sizes = sizes
        self._broken = broken
        self.names = [f"picture-{index}" for index in range(len(sizes))]
        self.decoded = []

    def __len__(self):
        return len(self._sizes)

    def __getitem__(self, index):
        self.decoded.append(index)
        if index in self._broken:
            raise ImageFileError(f"broken image: {self.names[index]!r}; remove it")
        return np.full((*self._sizes[index], 3), index / 100, np.float32)


SIX = [(8, 8)] * 6


def dataset(mode, *, train=None, test_a=None, test_b=None, paired=True):
    labels = {"test_a": {"group": np.arange(6)}, "test_b": {"group": np.arange(6) * 10}}
    return TwoDomainDataset(
        name="made",
        train_a=train or Breaking(SIX),
        train_b=Breaking(SIX),
        test_a=test_a or Breaking(SIX),
        test_b=test_b or Breaking(SIX),
        paired=paired,
        labels=labels,
        report=bad_images.BadImageReport(mode),
    )


def values(source):
    return [round(float(source[i].max()) * 100) for i in range(len(source))]


def test_report_counts_each_picture_once():
    report = bad_images.BadImageReport("skip")
    assert report.count == 0 and report.summary() == "no bad images"
    for index in (1, 2, 1, 3, 1):
        report.add(f"p{index}", f"p{index} is broken")
    assert report.count == 3
    assert report.summary(limit=1) == (
        "skipped 3 bad image(s): p1 is broken … and 2 more"
    )


def test_unknown_mode():
    with pytest.raises(ValueError, match="on_bad_image: expected one of error, skip"):
        bad_images.BadImageReport("ignore")


def test_nothing_is_decoded_in_mode_error():
    made = dataset("error")
    same = bad_images.without_bad(made)
    assert same.test_a is made.test_a and made.test_a.decoded == []


@pytest.mark.parametrize("paired", [True, False])
def test_skip_drops_broken_test_pictures_and_keeps_pairs(paired):
    made = dataset(
        "skip",
        test_a=Breaking(SIX, broken={1}),
        test_b=Breaking(SIX, broken={4}),
        paired=paired,
    )
    kept = bad_images.without_bad(made)
    if paired:
        assert values(kept.test_a) == values(kept.test_b) == [0, 2, 3, 5]
        np.testing.assert_array_equal(kept.labels["test_b"]["group"], [0, 20, 30, 50])
    else:
        assert values(kept.test_a) == [0, 2, 3, 4, 5]
        assert values(kept.test_b) == [0, 1, 2, 3, 5]
    assert kept.test_a.names[1] == "picture-2"
    assert kept.report.count == 2
    assert kept.train_a is made.train_a and made.train_a.decoded == []


def test_min_size_drops_small_training_pictures():
    sizes = [(8, 8), (3, 8), (8, 3), (4, 4), (4, 100), (1, 1)]
    kept = bad_images.without_bad(dataset("skip", train=Breaking(sizes)), min_size=4)
    assert values(kept.train_a) == [0, 3, 4]
    assert kept.report.count == 3
    assert "3 x 8" in kept.report.messages["picture-2"]  # width x height


def test_min_size_stops_in_mode_error():
    with pytest.raises(ImageFileError) as error:
        bad_images.without_bad(dataset("error", train=Breaking([(9, 3)])), min_size=4)
    assert "'picture-0' is 3 x 9, at least 4 is needed" in str(error.value)


def test_min_size_reads_the_header_where_it_can():
    class Sized(Breaking):
        def size_of(self, index):
            return self._sizes[index]

    made = dataset("error", train=Sized([(8, 8), (9, 9)]))
    bad_images.without_bad(made, min_size=8)
    assert made.train_a.decoded == []


def test_nothing_left():
    broken = Breaking(SIX, broken=set(range(6)))
    with pytest.raises(ValueError) as error:
        bad_images.without_bad(dataset("skip", test_b=broken))
    assert "no usable picture left in test_" in str(error.value)
    assert "\n" not in str(error.value)


def test_empty_test_sources_are_fine():
    made = dataset("skip", paired=False)
    made = dataclasses.replace(made, test_a=ArraySource([]), labels=None)
    assert len(bad_images.without_bad(made, min_size=2).test_a) == 0


def test_places():
    class Placed(Breaking):
        def place(self, index):
            return f"/data/{index}.png"

    assert bad_images.place_of(Placed(SIX), 2) == "/data/2.png"
    assert bad_images.place_of(Breaking(SIX), 2) == "picture-2"
    assert bad_images.place_of([0, 1, 2], 2) == "picture 2"
    subset = bad_images.Subset(Placed(SIX), [5, 0])
    assert bad_images.place_of(subset, 0) == "/data/5.png"
    assert bad_images.Subset(list(range(9)), [8, 1])[0] == 8
