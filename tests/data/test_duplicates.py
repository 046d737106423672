"""Planted duplicates are found, different pictures are not, and the right ones go."""

import io
import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage

from stylejax.data.duplicates import (
    Duplicates,
    NearPair,
    exact_groups,
    find_duplicates,
    near_pairs,
    pairs_of,
    surplus,
)
from stylejax.data.inspection import fingerprint
from stylejax.image import files


def scene(seed, size=64):
    """A smooth random picture, as different from others as photographs are."""
    coarse = np.random.default_rng(seed).random((4, 4, 3)).astype(np.float32)
    return np.clip(files.resize_bicubic(coarse, (size, size)), 0, 1)


@pytest.fixture(scope="module")
def prints():
    """Ten scenes, then a half-size copy of 0, 1 cropped, 2 again, 3 in blue for red."""
    scenes = [scene(seed) for seed in range(10)]
    copies = [
        files.resize_bicubic(scenes[0], (32, 32)),
        scenes[1][1:, 1:],
        scenes[2].copy(),
        scenes[3][:, :, ::-1],
    ]
    return [fingerprint(image) for image in (*scenes, *copies)]


def test_copies_are_found_and_others_are_not(prints):
    assert exact_groups(prints) == [[2, 12]]
    assert [(p.first, p.second) for p in near_pairs(prints)] == [(0, 10), (1, 11)]


def test_near_pairs_tell_how_far_apart(prints):
    pair = near_pairs(prints)[1]
    one, two = prints[1], prints[11]
    assert pair.num_bits == (one.bits ^ two.bits).bit_count() > 0
    expected = np.abs(one.thumbnail - two.thumbnail).mean()
    assert pair.difference == pytest.approx(float(expected))


def test_both_limits_count(prints):
    pair = near_pairs(prints)[1]
    fewer = near_pairs(prints, max_bits=pair.num_bits - 1)
    nearer = near_pairs(prints, max_difference=pair.difference * 0.99)
    assert (1, 11) not in {(p.first, p.second) for p in fewer + nearer}


def test_every_pair_of_a_larger_list_is_compared(generator):
    """Against the definition, on pictures of which many are close."""
    base = scene(0, size=24)
    noise = [generator.normal(0, s, base.shape) for s in np.linspace(0.001, 0.05, 12)]
    prints = [fingerprint(np.clip(base + n, 0, 1)) for n in noise]
    expected = [
        (i, j)
        for i, j in itertools.combinations(range(12), 2)
        if (prints[i].bits ^ prints[j].bits).bit_count() <= 10
        and np.abs(prints[i].thumbnail - prints[j].thumbnail).mean() <= 0.01
    ]
    found = near_pairs(prints, max_bits=10, max_difference=0.01)
    assert [(p.first, p.second) for p in found] == expected
    assert 3 < len(expected) < 60


def test_domains_are_searched_apart(prints):
    domains = ["A"] * 11 + ["B"] * 3
    found = find_duplicates(prints, domains)
    assert found.exact == []
    assert [(p.first, p.second) for p in found.near] == [(0, 10)]
    assert found.across_domains == [[2, 12]]


def test_places_point_into_the_whole_list(prints):
    """Members of one domain need not be neighbours in the list."""
    domains = ["AB"[place % 2] for place in range(len(prints))]
    found = find_duplicates(prints, domains)
    assert found.exact == [[2, 12]]
    assert [(p.first, p.second) for p in found.near] == [(0, 10), (1, 11)]


def test_the_test_picture_stays():
    assert surplus([(0, 3), (3, 5)], ranks=[1, 1, 1, 0, 1, 1]) == [0, 5]


def test_the_first_of_equals_stays():
    assert surplus([(4, 2), (2, 7), (4, 7)], ranks=[0] * 8) == [4, 7]


def test_of_a_chain_every_second_stays():
    assert surplus([(i, i + 1) for i in range(6)], ranks=[0] * 7) == [1, 3, 5]


def test_no_two_of_a_pair_stay_and_none_goes_in_vain(generator):
    pairs = [tuple(generator.choice(30, 2, replace=False)) for _ in range(40)]
    ranks = generator.integers(0, 2, 30).tolist()
    dropped = set(surplus(pairs, ranks))
    assert all(dropped & set(pair) for pair in pairs)
    for place in dropped:
        partners = {a if b == place else b for a, b in pairs if place in (a, b)}
        assert partners - dropped


def test_pairs_of_groups():
    found = Duplicates([[0, 1, 4]], [NearPair(2, 3, 1, 0.01)], [[5, 9]])
    exact = [(0, 1), (0, 4), (1, 4)]
    assert pairs_of(found, near=False) == exact
    assert pairs_of(found, near=True) == [*exact, (2, 3)]


def test_an_empty_list_has_no_duplicates():
    assert find_duplicates([], []) == Duplicates([], [], [])


def test_known_duplicate_of_the_emoji_set(data_dir):
    """The notes on the data name it; many more only look alike (clocks, cats)."""
    folder = data_dir / "fluent_emoji"
    paths = files.list_images([folder / "trainA" / "1f4*.png", folder / "testA"])
    prints = [fingerprint(files.read(path)) for path in paths]
    groups = [[paths[i].stem for i in group] for group in exact_groups(prints)]
    assert [sorted(group) for group in groups] == [["1f431", "1f63a"]]
    assert 5 < len(near_pairs(prints)) < 50


@pytest.fixture(scope="module")
def photographs():
    folder = os.environ.get("STYLEJAX_DATA")
    if not folder:
        pytest.skip("STYLEJAX_DATA is unset: it names the folder this test reads")
    paths = files.list_images(Path(folder) / "content_photos")[::24]
    return [files.read(path) for path in paths]


def test_different_photographs_are_not_alike(photographs):
    prints = [fingerprint(image) for image in photographs]
    assert len(prints) > 50
    assert near_pairs(prints) == []


def again_as_jpeg(image):
    stream = io.BytesIO()
    PILImage.fromarray(np.rint(image * 255).astype(np.uint8)).save(
        stream, "JPEG", quality=40
    )
    return files.from_bytes(stream.getvalue())


@pytest.mark.parametrize(
    ("change", "share"),
    [
        (again_as_jpeg, 1.0),
        (lambda image: image[::2, ::2], 1.0),
        (lambda image: 0.05 + 0.9 * image, 0.9),
        (lambda image: image[len(image) // 50 :, image.shape[1] // 50 :], 0.75),
        (lambda image: image[:, ::-1], 0.0),
    ],
    ids=["JPEG 40", "every second pixel", "contrast", "cropped 2 %", "mirrored"],
)
def test_changed_photographs_are_alike(photographs, change, share):
    """A mirrored photograph is not found: the documentation says so."""
    found = [
        len(near_pairs([fingerprint(image), fingerprint(change(image))]))
        for image in photographs[::3]
    ]
    assert np.mean(found) >= share
    assert share > 0 or np.mean(found) < 0.2
