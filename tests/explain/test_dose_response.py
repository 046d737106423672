"""Slopes and trends against SciPy, NumPy and discs that were counted out."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from stylejax.explain.dose_response import dose_response

DOSES = (0.0, 0.25, 0.5, 0.75, 1.0)


def amount(images):
    """The pictures here are one pixel, whose red is the amount."""
    return images[:, 0, 0, 0]


def pictures(amounts):
    return np.broadcast_to(
        np.asarray(amounts)[..., None, None, None], (*np.shape(amounts), 1, 1, 3)
    )


@pytest.fixture
def rising(generator):
    """Of 12 pictures by 5 models: more with dose, and each picture its own level."""
    levels = generator.normal(0, 3.0, size=12)
    trend = 0.8 * np.array(DOSES)[:, None]
    return levels[None] + trend + generator.normal(0, 0.4, size=(5, 12))


def test_the_slope_is_the_least_squares_one(rising):
    found = dose_response(amount, pictures(rising), DOSES)
    x = np.repeat(DOSES, 12)
    expected = scipy.stats.linregress(x, rising.ravel()).slope
    assert found.slope == pytest.approx(expected, abs=1e-5)
    assert found.slope_interval.low < found.slope < found.slope_interval.high
    np.testing.assert_allclose(found.means, rising.mean(axis=1), atol=1e-5)
    assert all(
        i.low < m < i.high for i, m in zip(found.intervals, found.means, strict=True)
    )


def test_the_slope_of_unequal_groups_weighs_every_picture(generator):
    groups = [generator.normal(d, 1.0, size=n) for d, n in ((0, 3), (1, 30), (3, 9))]
    found = dose_response(
        amount, [pictures(g) for g in groups], [0, 1, 3], paired=False
    )
    x = np.repeat([0, 1, 3], [3, 30, 9])
    expected = scipy.stats.linregress(x, np.concatenate(groups)).slope
    assert found.slope == pytest.approx(expected, abs=1e-5)


def test_paired_pictures_have_a_narrower_interval(rising):
    """What makes a picture high for every model cancels."""
    paired = dose_response(amount, pictures(rising), DOSES).slope_interval
    free = dose_response(amount, pictures(rising), DOSES, paired=False).slope_interval
    assert paired.high - paired.low < 0.5 * (free.high - free.low)


def test_the_paired_trend_is_page_s(rising):
    found = dose_response(amount, pictures(rising), DOSES)
    page = scipy.stats.page_trend_test(rising.T)
    assert page.pvalue < 0.05
    assert found.picture_p == pytest.approx(page.pvalue, abs=0.005)


def test_the_paired_trend_near_chance_is_page_s_as_well(generator):
    values = generator.normal(size=(4, 8))
    found = dose_response(amount, pictures(values), [1, 2, 3, 4])
    page = scipy.stats.page_trend_test(values.T)
    assert found.picture_p == pytest.approx(page.pvalue, abs=0.03)


@pytest.mark.parametrize("alternative", ["greater", "two-sided"])
def test_the_unpaired_trend_is_spearman_s_by_permutation(alternative, generator):
    groups = [generator.normal(0.25 * d, 1.0, size=8) for d in range(4)]
    found = dose_response(
        amount,
        [pictures(g) for g in groups],
        range(4),
        paired=False,
        alternative=alternative,
    )
    x = scipy.stats.rankdata(np.repeat(range(4), 8))
    ranks = scipy.stats.rankdata(np.concatenate(groups))
    rows = np.concatenate([ranks[None], np.tile(ranks, (4000, 1))])
    rows[1:] = generator.permuted(rows[1:], axis=1)
    rho = (rows - rows.mean()) @ (x - x.mean())
    if alternative == "two-sided":
        rho = np.abs(rho)
    assert found.picture_p == pytest.approx(np.mean(rho >= rho[0] - 1e-9), abs=0.02)


def test_models_in_order_are_the_one_of_120_orders(rising):
    ordered = np.arange(5.0)[:, None] + np.zeros((5, 3))
    found = dose_response(amount, pictures(ordered), DOSES)
    assert found.model_p == pytest.approx(1 / 120)
    falling = dose_response(amount, pictures(ordered[::-1]), DOSES)
    assert falling.model_p == 1
    both = dose_response(amount, pictures(ordered), DOSES, alternative="two-sided")
    assert both.model_p == pytest.approx(2 / 120)


def test_several_models_of_one_dose_may_change_places():
    """Orders that only exchange models of a dose count as equal: 2 * 2 of 24."""
    values = np.array([0.0, 0.1, 1.0, 1.1])[:, None] + np.zeros((4, 3))
    found = dose_response(amount, pictures(values), [0, 0, 1, 1])
    assert found.model_p == pytest.approx(4 / 24)


def test_a_picture_level_alone_is_no_trend(generator):
    """Pictures that differ, models that do not: no p-value may be small."""
    values = np.broadcast_to(generator.normal(size=20)[None], (5, 20))
    found = dose_response(amount, pictures(values), DOSES)
    assert found.slope == pytest.approx(0, abs=1e-6)
    assert found.picture_p == 1


def test_discs_that_a_biased_translator_paints(generator):
    """Of 30 empty pictures, a share of the dose gets a disc of 12 pixels."""
    outputs = np.zeros((5, 30, 8, 8, 1), np.float32)
    for model, dose in enumerate(DOSES):
        outputs[model, : int(30 * dose), 2:6, 3:6] = 1
    found = dose_response(lambda x: (x > 0.5).sum(axis=(1, 2, 3)), outputs, DOSES)
    np.testing.assert_allclose(found.means, 12 * np.floor(30 * np.array(DOSES)) / 30)
    assert found.slope == pytest.approx(12, rel=0.05)
    assert found.slope_interval.low > 8
    assert found.picture_p < 0.001
    line = found.summary()
    assert "\n" not in line
    assert "p = 0.0083 over 5 models" in line or "0.0083 over 5 models" in line


@pytest.mark.parametrize(
    ("outputs", "doses", "options", "match"),
    [
        (np.ones((2, 3)), [1, 1], {}, "two different ones at least, got"),
        (np.ones((2, 3)), [0, 1, 2], {}, "one number for each of the 2 models"),
        (np.ones((3, 3)), [0, 0.5, np.nan], {}, "of the 3 models, all finite"),
        (np.ones((3, 3)), [0, 0.5, np.inf], {}, "of the 3 models, all finite"),
        (np.ones((2, 3)), [0, 1], {"alternative": "less"}, "alternative: expected one"),
    ],
)
def test_mistakes_end_in_one_clear_line(outputs, doses, options, match):
    with pytest.raises(ValueError, match=match) as e:
        dose_response(amount, pictures(outputs), doses, **options)
    assert "\n" not in str(e.value)


def test_pairs_must_be_as_many_of_every_model():
    groups = [pictures(np.ones(2)), pictures(np.ones(3))]
    with pytest.raises(ValueError, match="paired, got \\[2, 3\\]; or say paired=False"):
        dose_response(amount, groups, [0, 1])


def test_a_detector_must_answer_for_each_picture():
    with pytest.raises(ValueError, match="one finite number for each picture"):
        dose_response(jnp.mean, pictures(np.ones((2, 3))), [0, 1])
