"""Batches are pure functions of seed and number: resumable, shardable, even."""

import dataclasses
import itertools
import json
import sys
import threading

import numpy as np
import pytest
from PIL import Image

from stylejax import data
from stylejax.data import pipeline
from stylejax.data.pipeline import PipelineConfig, train_iterator
from stylejax.image.files import ImageFileError

BACKENDS = ("grain", "python")


def noise(count, seed, size=20):
    shape = (count, size, size, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def dataset():
    sources = [data.ArraySource(noise(n, n)) for n in (7, 5, 3, 4)]
    return data.TwoDomainDataset("noise", *sources)


def config(**options):
    return PipelineConfig(**{"batch_size": 4, "image_size": 16, "seed": 3, **options})


def take(iterator, count):
    return list(itertools.islice(iterator, count))


def same(batches, others):
    assert len(batches) == len(others)
    for x, y in zip(batches, others, strict=True):
        assert x.keys() == y.keys() == {"a", "b"}
        for domain in "ab":
            np.testing.assert_array_equal(x[domain], y[domain])


# --- what a batch is


@pytest.mark.parametrize("backend", BACKENDS)
def test_batches_are_pictures(dataset, backend):
    batch = next(train_iterator(dataset, config(backend=backend)))
    for images in batch.values():
        assert images.shape == (4, 16, 16, 3) and images.dtype == np.float32
        assert images.min() >= 0 and images.max() <= 1 and images.std() > 0.05


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_grain_and_the_plain_loop_agree(dataset, threads):
    with_grain = train_iterator(dataset, config(backend="grain", num_threads=threads))
    plain = train_iterator(dataset, config(backend="python"))
    same(take(with_grain, 12), take(plain, 12))


def test_without_grain_training_still_has_data(dataset, monkeypatch):
    expected = take(train_iterator(dataset, config()), 3)
    monkeypatch.setattr(pipeline.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "grain", None)  # importing it fails now
    same(take(train_iterator(dataset, config()), 3), expected)


def test_the_cache_changes_nothing(dataset):
    cached, plain = (
        take(train_iterator(dataset, config(cache_mb=size)), 10) for size in (64, 0)
    )
    same(cached, plain)


def test_seeds_differ(dataset):
    one, other = (next(train_iterator(dataset, config(seed=s))) for s in (0, 1))
    assert not np.array_equal(one["a"], other["a"])


# --- order and chance


def test_an_epoch_shows_each_a_and_is_shuffled_anew(dataset):
    sampler = train_iterator(dataset, config()).sampler
    epochs = [
        [sampler.indices(epoch * 7 + i)[0] for i in range(7)] for epoch in range(20)
    ]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 15
    assert sampler.epoch_length == 7


def test_the_smaller_a_is_repeated_evenly(dataset):
    sampler = train_iterator(dataset.swapped(), config()).sampler
    first = [sampler.indices(i)[0] for i in range(7)]
    assert np.bincount(first).tolist() == [2, 2, 1, 1, 1]


def test_b_is_drawn_at_random(dataset):
    sampler = train_iterator(dataset, config()).sampler
    pairs = [sampler.indices(i) for i in range(7 * 100)]
    counts = np.bincount([b for _, b in pairs], minlength=5)
    assert counts.min() > 100 and counts.max() < 180  # 140 each
    assert len(set(pairs)) == 35  # every pair of pictures comes up
    epoch = [b for _, b in pairs[:7]]
    assert len(set(epoch)) < 7


def test_steps_per_epoch(dataset):
    steps = {
        size: train_iterator(dataset, config(batch_size=size)).steps_per_epoch
        for size in (1, 2, 7, 16)
    }
    assert steps == {1: 7, 2: 3, 7: 1, 16: 1}


def test_augmentation_differs_between_visits(dataset):
    iterator = train_iterator(dataset, config(batch_size=1))
    seen = {}
    for number, batch in enumerate(take(iterator, 28)):
        index = iterator.indices(number)[0][0]
        seen.setdefault(index, set()).add(batch["a"].tobytes())
    assert all(len(views) > 1 for views in seen.values())


def test_samples_are_crops_of_their_pictures(dataset):
    options = config(batch_size=1, load_size=20, flip=False)
    iterator = train_iterator(dataset, options)
    for number, batch in enumerate(take(iterator, 5)):
        for domain, index in zip("ab", iterator.indices(number)[0], strict=True):
            source = dataset.train_a if domain == "a" else dataset.train_b
            windows = np.lib.stride_tricks.sliding_window_view(
                source[index], (16, 16, 3)
            )
            matches = (windows == batch[domain][0]).all(axis=(-3, -2, -1))
            assert matches.sum() == 1


# --- processes


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("backend", BACKENDS)
def test_processes_share_the_same_global_batches(dataset, backend, count):
    whole = take(train_iterator(dataset, config(backend="python")), 5)
    parts = [
        take(
            train_iterator(
                dataset,
                config(backend=backend),
                process_index=index,
                process_count=count,
            ),
            5,
        )
        for index in range(count)
    ]
    glued = [
        {domain: np.concatenate([p[domain] for p in rows]) for domain in "ab"}
        for rows in zip(*parts, strict=True)
    ]
    assert all(part[0]["a"].shape[0] == 4 // count for part in parts)
    same(glued, whole)


@pytest.mark.parametrize(
    ("index", "count", "part"),
    [(2, 2, "process_index: expected 0 to 1"), (0, 3, "multiple of the 3 processes")],
)
def test_processes_that_cannot_share(dataset, index, count, part):
    with pytest.raises(ValueError, match=part):
        train_iterator(dataset, config(), process_index=index, process_count=count)


# --- resuming


@pytest.mark.parametrize("before", BACKENDS)
@pytest.mark.parametrize("after", BACKENDS)
@pytest.mark.parametrize("consumed", [0, 1, 6])
def test_resume_is_exact(dataset, before, after, consumed):
    iterator = train_iterator(dataset, config(backend=before))
    take(iterator, consumed)
    state = json.loads(json.dumps(iterator.get_state()))
    expected = take(iterator, 5)
    resumed = train_iterator(dataset, config(backend=after))
    take(resumed, 2)
    resumed.set_state(state)
    assert resumed.get_state() == state
    same(take(resumed, 5), expected)
    assert resumed.get_state() == iterator.get_state()


def test_the_position_is_of_the_consumed_batch_not_of_those_read_ahead():
    ahead = threading.Event()

    class Counting(data.ArraySource):
        asked = 0

        def __getitem__(self, index):
            self.asked += 1
            if self.asked >= 10:
                ahead.set()
            return super().__getitem__(index)

    made = data.TwoDomainDataset(
        "noise", Counting(noise(7, 0)), data.ArraySource(noise(5, 1)), [], []
    )
    options = config(batch_size=1, cache_mb=0, prefetch=12, backend="grain")
    iterator = train_iterator(made, options)
    take(iterator, 2)
    assert ahead.wait(20)  # at least 8 batches were prepared beyond the second
    assert iterator.get_state()["next_batch"] == 2


def test_resume_on_another_number_of_processes(dataset):
    whole = train_iterator(dataset, config())
    take(whole, 3)
    half = train_iterator(dataset, config(), process_index=1, process_count=2)
    half.set_state(whole.get_state())
    expected = next(whole)
    np.testing.assert_array_equal(next(half)["b"], expected["b"][2:])


@pytest.mark.parametrize(
    "change", [{"seed": 4}, {"batch_size": 2}, {"image_size": 12}, {"flip": False}]
)
def test_resume_with_another_config_is_refused(dataset, change):
    state = train_iterator(dataset, config()).get_state()
    with pytest.raises(ValueError) as error:
        train_iterator(dataset, config(**change)).set_state(state)
    name = next(iter(change))
    assert f"{name} was" in str(error.value) and "\n" not in str(error.value)


def test_resume_with_other_data_is_refused(dataset):
    state = train_iterator(dataset, config()).get_state()
    fewer = dataclasses.replace(dataset, train_b=data.ArraySource(noise(4, 0)))
    with pytest.raises(ValueError, match="num_b was 5 in the checkpoint and is 4 now"):
        train_iterator(fewer, config()).set_state(state)


# --- bad pictures


@pytest.fixture
def folder(tmp_path):
    for split in ("trainA", "trainB"):
        (tmp_path / split).mkdir()
        for index, image in enumerate(noise(4, 0)):
            Image.fromarray(image).save(tmp_path / split / f"{index}.png")
    return tmp_path


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_broken_picture_stops_the_run_with_one_line(folder, backend):
    (folder / "trainA" / "2.png").write_bytes(b"broken")
    iterator = train_iterator(data.load(f"folder:{folder}"), config(backend=backend))
    with pytest.raises(ImageFileError) as error:
        take(iterator, 4)
    assert str(folder / "trainA" / "2.png") in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("where", ["load", "config"])
def test_skip_takes_the_next_picture_and_counts(folder, where):
    good = data.load(f"folder:{folder}")
    expected = take(train_iterator(good, config(flip=False, load_size=16)), 6)
    pictures = {batch["a"][row].tobytes() for batch in expected for row in range(4)}
    (folder / "trainA" / "2.png").write_bytes(b"broken")
    (folder / "trainA" / "0.png").unlink()
    Image.fromarray(noise(1, 9, size=20)[0]).save(folder / "trainA" / "0.png")
    mode = {where: "skip"}
    made = data.load(f"folder:{folder}", on_bad_image=mode.get("load", "error"))
    options = config(flip=False, load_size=16, on_bad_image=mode.get("config", "error"))
    batches = take(train_iterator(made, options), 6)
    seen = {batch["a"][row].tobytes() for batch in batches for row in range(4)}
    assert len(pictures) == 4 and len(seen) == 3
    assert made.report.count == 1
    assert str(folder / "trainA" / "2.png") in made.report.summary()


def test_a_file_that_vanishes_is_skipped_too(folder):
    made = data.load(f"folder:{folder}", on_bad_image="skip")
    (folder / "trainB" / "1.png").unlink()
    take(train_iterator(made, config()), 6)
    assert made.report.count == 1


def test_all_pictures_broken(folder):
    for path in (folder / "trainB").iterdir():
        path.write_bytes(b"broken")
    made = data.load(f"folder:{folder}", on_bad_image="skip")
    with pytest.raises(ImageFileError) as error:
        next(train_iterator(made, config()))
    assert "no usable picture in domain B" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("preprocess", ["resize_and_crop", "crop", "resize"])
def test_a_picture_smaller_than_the_crop(folder, preprocess):
    Image.fromarray(noise(1, 0, size=20)[0][:15]).save(folder / "trainA" / "3.png")
    options = config(preprocess=preprocess)
    with pytest.raises(ImageFileError) as error:
        take(train_iterator(data.load(f"folder:{folder}"), options), 4)
    message = str(error.value)
    assert "smaller than the crop of 16" in message and "20 x 15" in message
    assert str(folder / "trainA" / "3.png") in message and "\n" not in message
    made = data.load(f"folder:{folder}")
    take(train_iterator(made, config(preprocess=preprocess, on_bad_image="skip")), 4)
    assert made.report.count == 1


def test_upscale_enlarges(dataset):
    options = config(image_size=32, upscale=True)
    assert next(train_iterator(dataset, options))["a"].shape == (4, 32, 32, 3)
    with pytest.raises(ImageFileError, match="smaller than the crop"):
        next(train_iterator(dataset, config(image_size=32)))
    with pytest.raises(ImageFileError, match="smaller than the crop"):
        next(train_iterator(dataset, dataclasses.replace(options, preprocess="crop")))


def test_an_empty_domain(dataset):
    empty = dataclasses.replace(dataset, train_b=data.ArraySource([]))
    with pytest.raises(ValueError, match="no training picture in domain B of 'noise'"):
        train_iterator(empty, config())


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0},
        {"image_size": 0},
        {"load_size": 15},
        {"seed": -1},
        {"preprocess": "squash"},
        {"backend": "torch"},
        {"on_bad_image": "ignore"},
    ],
)
def test_config_mistakes(options):
    with pytest.raises(ValueError) as error:
        config(**options)
    name, value = next(iter(options.items()))
    assert str(error.value).startswith(f"{name}: expected")
    assert str(value) in str(error.value) and "\n" not in str(error.value)


# --- evaluation


def test_evaluation_batches(dataset):
    source = dataset.train_a
    batches = list(data.evaluation_batches(source, image_size=10, batch_size=3))
    assert [batch.shape for batch in batches] == [(n, 10, 10, 3) for n in (3, 3, 1)]
    whole = list(data.evaluation_batches(source, image_size=20, batch_size=7))[0]
    np.testing.assert_array_equal(whole, np.stack([source[i] for i in range(7)]))


def test_evaluation_of_nothing():
    empty = data.ArraySource([])
    assert list(data.evaluation_batches(empty, image_size=8, batch_size=2)) == []
