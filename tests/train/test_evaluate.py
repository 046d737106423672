"""Scores of translators whose answers are known."""

import numpy as np
import pytest

from stylejax.data.sources import ArraySource, TwoDomainDataset
from stylejax.train import evaluate
from stylejax.train.features import FeatureSource

SOURCE = FeatureSource(lambda x: {"pixels": x}, "pixels", ("pixels",))
JUDGED = ("perceptual_change", "content", "structure", "structure_similarity", "style")


def dataset(generator, paired, count=5, side=24):
    a = generator.uniform(0.2, 0.6, (count, side, side, 3)).astype(np.float32)
    b = (a + 0.2).astype(np.float32)
    sources = [ArraySource(list(x)) for x in (a, b, a, b)]
    return TwoDomainDataset("toy", *sources, paired=paired)


@pytest.fixture
def paired(generator):
    return evaluate.make_evaluator(
        dataset(generator, True), image_size=24, batch_size=2
    )


@pytest.fixture
def unpaired(generator):
    return evaluate.make_evaluator(
        dataset(generator, False), image_size=24, batch_size=2
    )


def exact(x, direction):
    return x + (0.2 if direction == "AtoB" else -0.2)


def unchanged(x, direction):
    return x


def test_the_unchanged_input_has_ratio_one(paired):
    numbers = paired(unchanged)
    assert numbers["AtoB/l1"] == pytest.approx(51.0, rel=1e-4)
    assert numbers["AtoB/l1_ratio"] == pytest.approx(1.0, rel=1e-5)
    assert numbers["BtoA/psnr"] == pytest.approx(-10 * np.log10(0.04), rel=1e-4)
    assert numbers["score"] == pytest.approx(1.0, rel=1e-5)


def test_the_exact_translator_is_perfect(paired):
    numbers = paired(exact)
    assert numbers["score"] == pytest.approx(0.0, abs=1e-5)
    for direction in ("AtoB", "BtoA"):
        assert numbers[f"{direction}/ssim"] == pytest.approx(1.0, abs=1e-5)
        assert numbers[f"{direction}/gradient_energy_ratio"] == pytest.approx(
            1, abs=1e-4
        )


def test_directions_are_scored_apart(paired):
    numbers = paired(lambda x, d: exact(x, d) if d == "AtoB" else x)
    assert numbers["AtoB/l1_ratio"] == pytest.approx(0.0, abs=1e-5)
    assert numbers["BtoA/l1_ratio"] == pytest.approx(1.0, abs=1e-5)
    assert numbers["score"] == pytest.approx(0.5, abs=1e-5)


def test_unpaired_sets_get_cycle_and_identity_and_no_score(unpaired):
    numbers = unpaired(exact)
    assert numbers["A/cycle_l1"] == pytest.approx(0.0, abs=1e-3)
    assert numbers["B/cycle_l1"] == pytest.approx(0.0, abs=1e-3)
    # A picture of A sent through B-to-A ought to stay: this translator moves it.
    assert numbers["A/identity_l1"] == pytest.approx(51.0, rel=1e-4)
    assert numbers["B/identity_l1"] == pytest.approx(51.0, rel=1e-4)
    assert "score" not in numbers


def test_cycles_go_there_and_then_back(unpaired):
    # The two ways do not commute, so their order shows.
    numbers = unpaired(lambda x, d: 0.5 * x if d == "AtoB" else x + 0.1)
    a, b = unpaired.test_a, unpaired.test_b
    expected = {
        "A/cycle_l1": np.abs(0.5 * a + 0.1 - a).mean() * 255,
        "B/cycle_l1": np.abs(0.5 * (b + 0.1) - b).mean() * 255,
        "A/identity_l1": 25.5,
        "B/identity_l1": np.abs(0.5 * b - b).mean() * 255,
    }
    assert numbers == pytest.approx(expected, rel=1e-4)


def test_every_picture_once_in_batches_of_one_shape(paired):
    shapes = []

    def note(x, direction):
        shapes.append(x.shape)
        return x

    out = paired.translate(note, "BtoA")
    np.testing.assert_array_equal(out, paired.test_b)
    assert shapes == [(2, 24, 24, 3)] * 3


def test_fewer_pictures_when_asked(generator):
    evaluator = evaluate.make_evaluator(
        dataset(generator, True), image_size=16, max_images=3
    )
    assert evaluator.test_a.shape == evaluator.test_b.shape == (3, 16, 16, 3)
    assert evaluator(unchanged)["score"] == pytest.approx(1.0, rel=1e-5)


def test_a_set_without_test_pictures_is_refused(generator):
    data = dataset(generator, True)
    data.test_a = ArraySource([])
    with pytest.raises(ValueError, match="no test picture in one domain of 'toy'"):
        evaluate.make_evaluator(data, image_size=16)


@pytest.mark.parametrize("is_paired", [True, False])
def test_features_add_numbers_and_change_none(generator, is_paired):
    data = dataset(generator, is_paired)
    options = {"image_size": 24, "batch_size": 2}
    plain = evaluate.make_evaluator(data, **options)(exact)
    numbers = evaluate.make_evaluator(data, features=SOURCE, **options)(exact)
    assert {name: numbers[name] for name in plain} == plain
    names = (*JUDGED, "kernel_distance", *(["perceptual"] if is_paired else []))
    added = {f"{d}/{name}" for d in ("AtoB", "BtoA") for name in names}
    assert set(numbers) - set(plain) == added
    assert all(type(value) is float for value in numbers.values())


def test_features_see_what_is_true_and_what_was_changed(generator):
    data = dataset(generator, True)
    evaluator = evaluate.make_evaluator(data, image_size=24, features=SOURCE)
    good, idle = evaluator(exact), evaluator(unchanged)
    for direction in ("AtoB", "BtoA"):
        assert good[f"{direction}/perceptual"] == pytest.approx(0, abs=1e-5)
        assert idle[f"{direction}/perceptual"] > 1e-3
        assert idle[f"{direction}/content"] == idle[f"{direction}/structure"] == 0
        assert idle[f"{direction}/structure_similarity"] == pytest.approx(1, abs=1e-5)
        assert good[f"{direction}/content"] > 0.2
        for name in ("style", "kernel_distance"):
            key = f"{direction}/{name}"
            assert good[key] < idle[key]
    # A picture of B is brighter: 0.2 of 0.4 is added, or 0.2 of 0.6 taken.
    a, b = evaluator.test_a, evaluator.test_b
    for direction, x in (("AtoB", a), ("BtoA", b)):
        size = np.sqrt((np.float64(x) ** 2).mean(axis=(1, 2, 3)))
        expected = np.mean(0.2 / size)
        assert good[f"{direction}/content"] == pytest.approx(expected, rel=1e-4)


def test_a_translator_that_fell_apart_has_numbers_too(generator):
    data = dataset(generator, True)
    evaluator = evaluate.make_evaluator(data, image_size=24, features=SOURCE)
    numbers = evaluator(lambda x, d: np.nan * x)
    assert np.isnan(numbers["score"]) and np.isnan(numbers["AtoB/style"])
    assert "AtoB/kernel_distance" not in numbers
