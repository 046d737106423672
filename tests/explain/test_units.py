"""Ablation of units on a layer whose units' effects are known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain.edits import apply_edit
from stylejax.explain.units import ablate_set, ablate_units

NUMBERS = np.random.default_rng(0)
KERNEL = NUMBERS.normal(size=(3, 12)).astype(np.float32)
# Units 2 and 7 matter most, unit 5 not at all.
READOUT = NUMBERS.normal(0, 0.2, 12).astype(np.float32)
READOUT[[2, 7, 5]] = 6.0, -9.0, 0.0
IMAGES = NUMBERS.uniform(0.2, 1, (4, 5, 5, 3)).astype(np.float32)


@jax.jit
def run(images, edits):
    """One layer `layer` of 12 units, read out linearly."""
    x = jnp.matmul(images, KERNEL, precision="highest")
    if "layer" in edits:
        x = apply_edit(x, edits["layer"], name="layer")
    return jnp.matmul(x, READOUT, precision="highest"), {"layer": x}


@jax.jit
def metric(output):
    return output.mean(axis=(1, 2))


def expected_changes(levels):
    """Linear: `r_u (level_u - mean x_u)`, for each unit and picture."""
    means = (IMAGES @ KERNEL).mean(axis=(1, 2))
    return ((np.broadcast_to(levels, 12)[None] - means) * READOUT).T


@pytest.mark.parametrize("levels", [0.0, 2.5, np.linspace(-1, 3, 12)])
@pytest.mark.parametrize("chunk", [1, 5, 12])
def test_each_unit_changes_the_metric_by_what_it_is_read_for(levels, chunk):
    result = ablate_units(
        run, metric, IMAGES, layer="layer", levels=levels, chunk=chunk
    )
    expected = expected_changes(levels)
    np.testing.assert_allclose(result.changes, expected, atol=2e-5)
    np.testing.assert_allclose(result.effects, expected.mean(axis=1), atol=2e-5)
    np.testing.assert_allclose(result.levels, np.broadcast_to(levels, 12))
    np.testing.assert_allclose(result.unforced, metric(run(IMAGES, {})[0]), rtol=1e-6)
    assert result.effects[5] == pytest.approx(0, abs=1e-6)


def test_units_are_ranked_by_the_size_of_their_effect():
    result = ablate_units(run, metric, IMAGES, layer="layer", levels=5.0)
    assert set(result.order[:2]) == {2, 7} and result.order[-1] == 5
    sizes = np.abs(result.effects[result.order])
    assert (np.diff(sizes) <= 0).all()
    assert result.band == pytest.approx(
        tuple(np.quantile(result.effects, [0.05, 0.95]))
    )


def test_chosen_units_keep_their_numbers():
    result = ablate_units(run, metric, IMAGES, layer="layer", levels=5.0, units=[9, 2])
    expected = expected_changes(5.0)[[9, 2]]
    np.testing.assert_allclose(result.changes, expected, atol=2e-5)
    assert result.order.tolist() == [2, 9]


def test_on_minus_off_is_the_causal_effect():
    on, off = (
        ablate_units(run, metric, IMAGES, layer="layer", levels=level).effects
        for level in (3.0, 0.0)
    )
    np.testing.assert_allclose(on - off, 3 * READOUT, atol=1e-4)


def test_a_set_that_matters_leaves_the_band_of_random_sets():
    result = ablate_set(
        jax.random.key(0),
        run,
        metric,
        IMAGES,
        layer="layer",
        units=[7],
        levels=5.0,
        num_random=50,
    )
    expected = expected_changes(5.0).mean(axis=1)
    assert result.effect == pytest.approx(expected[7], abs=1e-4)
    # Every random set of one unit is one of the twelve.
    nearest = np.abs(result.random_effects[:, None] - expected[None]).min(axis=1)
    assert nearest.max() < 1e-4
    share = (np.abs(result.random_effects) >= abs(result.effect) - 1e-4).sum()
    assert result.p_value == (1 + share) / 51
    assert result.p_value < 0.25 and result.effect < result.band[0] + 1e-4


def test_a_set_of_no_matter_lies_in_the_band():
    result = ablate_set(
        jax.random.key(1), run, metric, IMAGES, layer="layer", units=[5, 0, 1]
    )
    assert result.band[0] <= result.effect <= result.band[1]
    assert result.p_value > 0.3


def test_random_sets_have_the_size_of_the_set():
    """With the metric "how many units are 7", the random effects count them."""
    counting = lambda images, edits: (  # noqa: E731
        jnp.sum(apply_edit(jnp.zeros((1, 2, 2, 9)), edits["l"], name="l") == 7.0)[None]
        / 4.0
        if edits
        else jnp.zeros(1),
        {"l": jnp.zeros((1, 2, 2, 9))},
    )
    options = {"layer": "l", "units": [1, 1, 4], "levels": 7.0, "num_random": 20}
    result = ablate_set(jax.random.key(2), counting, lambda y: y, IMAGES[:1], **options)
    assert result.effect == 2 and (result.random_effects == 2).all()


def test_the_same_key_draws_the_same_sets():
    draws = [
        ablate_set(
            jax.random.key(seed), run, metric, IMAGES, layer="layer", units=[1, 2]
        ).random_effects
        for seed in (3, 3, 4)
    ]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0] != draws[2]).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer": "lyaer"}, "layer: expected one of layer"),
        ({"units": [12]}, "units: expected some of 0 to 11, got"),
        ({"units": []}, "units: expected some of 0 to 11"),
        ({"levels": np.zeros(3)}, "levels: expected one number or 12"),
        ({"chunk": 0}, "chunk: expected a whole number of at least 1"),
    ],
)
def test_what_cannot_be_ablated_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        ablate_units(run, metric, IMAGES, **{"layer": "layer", **change})


@pytest.mark.parametrize("broken", ["the set", "random sets", "all"])
def test_a_metric_that_is_not_finite_has_no_p_value(broken):
    """NaN compares as false: counted, it would be the strongest evidence there is."""

    def fragile(output):
        value = output.mean(axis=(1, 2))
        if broken == "all":
            return value * jnp.nan
        # Alone of all units, 7 forced to 5 takes the output so low.
        return jnp.where(value < -20, jnp.nan, value)

    units = [5] if broken == "random sets" else [7]
    result = ablate_set(
        jax.random.key(0), run, fragile, IMAGES, layer="layer", units=units, levels=5.0
    )
    assert np.isnan(result.random_effects).any()
    assert np.isnan(result.effect) == (broken != "random sets")
    assert np.isnan(result.p_value)


@pytest.mark.parametrize(
    ("reduce", "shape"),
    [
        (lambda y: y, r"\(4, 5, 5\)"),
        (lambda y: y.mean(), r"\(\)"),
        (lambda y: y.mean(axis=(1, 2))[:2], r"\(2,\)"),
    ],
)
def test_a_metric_of_another_shape_is_refused(reduce, shape):
    """Pixels would be averaged as if they were pictures."""
    match = f"metric: expected one number for each of 4 pictures, got shape {shape}"
    with pytest.raises(ValueError, match=match):
        ablate_units(run, reduce, IMAGES, layer="layer")
    with pytest.raises(ValueError, match=match):
        ablate_set(jax.random.key(0), run, reduce, IMAGES, layer="layer", units=[1])
