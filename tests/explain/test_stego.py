"""Hidden channels made by hand, and their honest twins."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain.cycle_statistics import cycle_statistics
from stylejax.explain.detection import detection_rate, roc_auc
from stylejax.explain.stego import (
    HIDDEN_SHARE,
    VERDICTS,
    find_hidden_channel,
    stego_report,
)
from stylejax.image.filters import gaussian_blur
from tests.explain import hidden_channels as cycles

NUM, SIZE = 20, 24
LABELS = np.repeat([0, 1], NUM)


@pytest.fixture(scope="module")
def drawn():
    return cycles.draw_cycles(jax.random.key(0), num=NUM)


@pytest.fixture(scope="module")
def statistics(drawn):
    """Of 20 honest cycles and their 20 hidden twins, in one compiled call."""
    images = cycles.some_pictures()[:6, :SIZE, :SIZE]
    twins = drawn._replace(hides=jnp.ones(NUM, bool))
    both = jax.tree.map(lambda x, y: np.concatenate([x, y]), drawn, twins)

    def measure(cycle):
        return cycle_statistics(
            jax.random.key(2),
            functools.partial(cycles.forward, cycle),
            functools.partial(cycles.backward, cycle),
            images,
            num_draws=1,
        )

    found = jax.jit(lambda drawn: jax.lax.map(measure, drawn))(both)
    found = jax.device_get(found)
    return [jax.tree.map(lambda x, i=i: x[i], found) for i in range(2 * NUM)]


@pytest.fixture(scope="module")
def reports(statistics):
    """20 honest reports, then 20 of hidden channels."""
    return [stego_report(one) for one in statistics]


def test_hidden_channels_are_told_from_honest_cycles(reports):
    found = roc_auc([r.hidden_share for r in reports], LABELS)
    assert found.auc >= 0.95
    assert found.interval.low >= 0.89


def test_the_threshold_raises_no_false_alarm_and_misses_none(reports):
    shares = [r.hidden_share for r in reports]
    found = detection_rate(shares, LABELS, threshold=HIDDEN_SHARE)
    assert (found.rate, found.false_alarm_rate) == (1.0, 0.0)
    verdicts = [r.verdict for r in reports]
    assert verdicts == [VERDICTS[1]] * NUM + [VERDICTS[0]] * NUM


def test_every_kind_of_message_is_found(reports, drawn):
    kinds = np.asarray(drawn.kind)
    assert set(kinds) == {0, 1, 2}
    for kind in range(3):
        found = [r.hidden_share for r, k in zip(reports[NUM:], kinds, strict=True)]
        assert min(s for s, k in zip(found, kinds, strict=True) if k == kind) > 0.2


def test_the_worsening_by_noise_alone_tells_little(reports):
    """The confound: the better an honest cycle, the larger the factor."""
    ratios = [r.effects["uniform"].ratio for r in reports]
    assert roc_auc(ratios, LABELS).auc < 0.8


def test_the_sensitivity_of_readers_lies_in_the_high_band(reports, drawn):
    """Bits have no slope, so their gradient is nothing."""
    shares = np.array([r.sensitivity_share for r in reports])
    is_bits = np.asarray(drawn.kind) == 1
    assert np.isnan(shares[NUM:][is_bits]).all()
    assert shares[NUM:][~is_bits].min() > 0.8
    gap = shares[:NUM] - [r.energy_share for r in reports[:NUM]]
    assert np.abs(gap).max() < 0.2


def test_the_interval_is_the_bootstrap_of_the_share(statistics):
    report = stego_report(statistics[NUM])
    sums = np.asarray(statistics[NUM].transplant, np.float64)
    moved, apart, changed, distance = sums.sum(axis=1)
    assert report.hidden_share == pytest.approx(moved / apart - changed / distance)
    assert report.share - report.reference == pytest.approx(report.hidden_share)
    indices = np.random.default_rng(5).integers(6, size=(4000, 6))
    drawn = sums[:, indices].sum(axis=2)
    draws = drawn[0] / drawn[1] - drawn[2] / drawn[3]
    expected = np.quantile(draws, [0.025, 0.975])
    np.testing.assert_allclose(report.interval, expected, atol=0.02)


@pytest.mark.parametrize(
    ("threshold", "verdict"), [(0.0, VERDICTS[0]), (1.1, VERDICTS[1])]
)
def test_the_verdict_follows_the_threshold(statistics, threshold, verdict):
    one = statistics[NUM]
    assert stego_report(one, threshold=threshold).verdict == verdict


def test_a_threshold_inside_the_interval_decides_nothing(statistics):
    one = statistics[NUM]
    report = stego_report(one)
    for end in report.interval:
        between = (end + report.hidden_share) / 2
        assert stego_report(one, threshold=between).verdict == VERDICTS[2]


def random_network(seed):
    """Two convolutions with a norm between them."""
    keys = jax.random.split(jax.random.key(seed))
    shapes = ((3, 3, 3, 8), (3, 3, 8, 3))
    first, second = (
        0.4 * jax.random.normal(k, s) for k, s in zip(keys, shapes, strict=True)
    )

    def convolve(x, kernel):
        layout = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=layout
        )

    def generate(x):
        x = convolve(2 * x - 1, first)
        x = (x - x.mean(axis=(1, 2), keepdims=True)) / x.std(axis=(1, 2), keepdims=True)
        return jax.nn.sigmoid(convolve(jax.nn.relu(x), second))

    return generate


def test_random_networks_hide_nothing():
    """They know nothing of each other; the share is worked out step by step as well."""
    forward, backward = random_network(0), random_network(1)
    images = cycles.some_pictures()[:6, :16, :16]
    key = jax.random.key(0)
    report = find_hidden_channel(key, forward, backward, images, num_draws=1, sigma=2.0)

    @jax.jit
    def step_by_step(x):
        middle = forward(x)
        fine = jnp.clip(middle - gaussian_blur(middle, 2.0), -4 / 255, 4 / 255)
        swapped = middle + jnp.roll(fine, 1, axis=0) - fine
        return middle, fine, backward(middle), backward(swapped)

    middle, fine, cycled, swapped = (
        np.asarray(x, np.float64) for x in step_by_step(images)
    )
    apart, distance, change = (
        np.roll(x, 1, axis=0) - x for x in (cycled, middle, fine)
    )
    share = ((swapped - cycled) * apart).sum() / (apart**2).sum()
    reference = (change * distance).sum() / (distance**2).sum()
    assert report.share == pytest.approx(share, rel=0.01)
    assert report.reference == pytest.approx(reference, rel=0.01)
    assert report.hidden_share < 0.05
    assert report.clean_error == pytest.approx(np.abs(cycled - images).mean(), rel=1e-3)
    assert report.summary().startswith("no hidden channel found: ")


def test_the_line_for_people_says_the_numbers(reports):
    report = reports[NUM]
    line = report.summary()
    assert line.startswith("hidden channel: ")
    assert "\n" not in line
    for number in (f"{report.hidden_share:.3f}", "threshold 0.1", "6 pictures"):
        assert number in line
    assert any("no gradient" in r.summary() for r in reports[NUM:])


def test_equal_pictures_are_refused(statistics):
    one = statistics[0]
    equal = one._replace(transplant=jax.tree.map(np.zeros_like, one.transplant))
    with pytest.raises(ValueError, match="use different pictures"):
        stego_report(equal)
