"""The shapes world is deterministic, its factors are independent, its pairs exact."""

import dataclasses
import itertools
import time

import numpy as np
import pytest

from stylejax.data import shapes
from stylejax.data.shapes import (
    DOMAINS,
    SHAPES,
    SPLITS,
    TEXTURES,
    ShapesSource,
    ShapesWorld,
    load_shapes,
    render,
    sample_content,
    sample_style,
)

# x, y, scale, hue and frequency of the first test picture of seed 0 in domain a.
PINNED = [0.468780, 0.532413, 0.097255, 0.123085, 5.953767]


@pytest.fixture(scope="module", params=["a", "b"])
def labels(request):
    """Factors of 4000 training pictures of one domain (nothing is drawn)."""
    domain = request.param
    return ShapesSource(
        ShapesWorld(seed=3), domain=domain, split=f"train_{domain}", length=4000
    ).labels


def test_same_seed_same_world_other_seed_other_world():
    first = ShapesWorld(seed=1, size=32).picture(5, domain="a", split="train_a")
    again = ShapesWorld(seed=1, size=32).picture(5, domain="a", split="train_a")
    other = ShapesWorld(seed=2, size=32).picture(5, domain="a", split="train_a")
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 0.01


def test_the_world_is_pinned():
    """A change of these numbers changes everybody's data: it needs a reason."""
    content = sample_content(0, 0)
    assert (content.shape, content.count) == ("cross", 1)
    style = sample_style(0, 0, domain="a")
    numbers = [content.x, content.y, content.scale, style.hue, style.frequency]
    assert numbers == pytest.approx(PINNED, abs=1e-6)


def test_factors_are_independent_given_the_domain(labels):
    """|correlation| of any two factors of 4000 pictures stays within 4 sigma."""
    assert len(labels) == 9
    for one, two in itertools.combinations(labels, 2):
        correlation = np.corrcoef(labels[one], labels[two])[0, 1]
        assert abs(correlation) < 4 / np.sqrt(4000), (one, two)


def test_every_kind_occurs_equally_often_in_every_texture(labels):
    """A chi-square statistic with 5 degrees of freedom: 20.5 is the 0.1 % point."""
    table = np.array(
        [
            [
                np.sum((labels["shape"] == s) & (labels["texture"] == t))
                for s in range(6)
            ]
            for t in np.unique(labels["texture"])
        ]
    )
    assert table.shape == (2, 6)
    expected = table.sum(1)[:, None] * table.sum(0)[None, :] / table.sum()
    assert ((table - expected) ** 2 / expected).sum() < 20.5
    assert abs(table / table.sum() - 1 / 12).max() < 0.02


def test_factors_fill_their_ranges(labels):
    for name, (low, high) in {
        "x": shapes.POSITION_RANGE,
        "y": shapes.POSITION_RANGE,
        "scale": shapes.SCALE_RANGE,
    }.items():
        values = labels[name]
        margin = 0.01 * (high - low)
        assert low <= values.min() < low + margin
        assert high - margin < values.max() <= high


def test_the_styles_of_the_domains_are_disjoint():
    a, b = DOMAINS["a"], DOMAINS["b"]
    for name in ("hue", "frequency", "orientation"):
        assert getattr(a, name)[1] < getattr(b, name)[0]
    assert set(a.textures) | set(b.textures) == set(TEXTURES)
    assert not set(a.textures) & set(b.textures)


def test_training_splits_share_no_content():
    contents = {
        split: {sample_content(0, i, split=split) for i in range(200)}
        for split in SPLITS
    }
    assert all(len(found) == 200 for found in contents.values())
    assert len(set.union(*contents.values())) == 600


def test_the_largest_group_stays_inside():
    low, high = shapes.POSITION_RANGE
    for shape, count, x, y in itertools.product(
        SHAPES, (1, 2, 3), (low, high), (low, high)
    ):
        content = shapes.Content(shape, x, y, shapes.SCALE_RANGE[1], count)
        mask = shapes.object_mask(content, size=64)
        border = [mask[0], mask[-1], mask[:, 0], mask[:, -1]]
        assert np.concatenate(border).max() == 0, content


def test_test_pairs_are_exact_translations():
    data = load_shapes(seed=4, size=32, num_train=3, num_test=5)
    world = ShapesWorld(seed=4, size=32)
    assert data.paired and len(data.test_a) == len(data.test_b) == 5
    for i in range(5):
        target_style = world.style(i, domain="b")
        target = render(world.content(i), target_style, size=32)
        np.testing.assert_array_equal(data.test_b[i], target)
        assert np.abs(data.test_a[i] - target).mean() > 0.05
    content_factors = ("shape", "x", "y", "scale", "count")
    for name in content_factors:
        one, two = data.labels["test_a"][name], data.labels["test_b"][name]
        np.testing.assert_array_equal(one, two)


def test_the_target_style_is_a_function_of_the_input_style():
    """Both domains are drawn at one place of their ranges."""
    for name in ("hue", "frequency", "orientation"):
        places = []
        for domain, ranges in DOMAINS.items():
            low, high = getattr(ranges, name)
            styles = [sample_style(9, i, domain=domain) for i in range(20)]
            places.append([(getattr(s, name) - low) / (high - low) for s in styles])
        np.testing.assert_allclose(places[0], places[1], atol=1e-9)


def test_training_domains_show_different_contents():
    data = load_shapes(size=16, num_train=50, num_test=2)
    assert not np.any(data.labels["train_a"]["x"] == data.labels["train_b"]["x"])


def test_labels_describe_the_pictures():
    source = ShapesSource(ShapesWorld(size=24), domain="b", split="train_b", length=6)
    for i, name in enumerate(source.names):
        row = {key: values[i] for key, values in source.labels.items()}
        content = shapes.Content(
            SHAPES[row["shape"]], row["x"], row["y"], row["scale"], int(row["count"])
        )
        style = shapes.Style(
            row["hue"], row["frequency"], row["orientation"], TEXTURES[row["texture"]]
        )
        drawn = render(content, style, size=24)
        # Labels are float32, the drawing used doubles.
        np.testing.assert_allclose(source[i], drawn, atol=1e-3)
        assert name == f"shapes_train_b_{i:06d}"


def test_spread_zero_is_one_style_per_domain():
    for domain in DOMAINS:
        styles = {sample_style(0, i, domain=domain, spread=0.0) for i in range(20)}
        assert len(styles) == 1
    half = [sample_style(0, i, domain="a", spread=0.5).frequency for i in range(200)]
    assert 4.5 <= min(half) < 4.6 and 5.4 < max(half) <= 5.5


def test_a_picture_takes_less_than_5_ms():
    world = ShapesWorld(size=64)
    seconds = []
    for i in range(20):
        start = time.perf_counter()
        world.picture(i, domain="b")
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.005


def test_sources_are_finite_sequences():
    source = ShapesSource(ShapesWorld(size=8), domain="a", split="test", length=2)
    assert len(list(source)) == 2
    with pytest.raises(IndexError, match=r"\[0, 2\)"):
        source[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_train": 0}, "num_train: expected a whole number of at least 1"),
        ({"size": 8.5}, "size: expected a whole number of at least 1, got 8.5"),
        ({"spread": 2.0}, r"spread in \[0, 1\], got 2.0"),
        ({"spread": "wide"}, r"spread in \[0, 1\], got wide"),
        ({"seed": -1}, "seed: expected a whole number of at least 0"),
        ({"colour": 3}, "unknown option colour; shapes takes seed, size"),
    ],
)
def test_bad_options_end_in_one_line(options, message):
    with pytest.raises(ValueError, match=message) as error:
        load_shapes(**{"num_test": 1, "num_train": 1, **options})
    assert "\n" not in str(error.value)


def test_unknown_domain_and_split_are_named():
    with pytest.raises(ValueError, match="domain: expected one of a, b"):
        sample_style(0, 0, domain="c")
    with pytest.raises(ValueError, match="split: expected one of train_a"):
        sample_content(0, 0, split="validation")


def test_contents_are_plain_data():
    content = sample_content(0, 1)
    assert dataclasses.replace(content, count=3).x == content.x
