"""Interventions on attention, on toy networks that use it, ignore it, or suffer it.

The toys attend to the patches of a picture by their first channel. In `used` the
attended values are what the target is made of; in `ignored` all values are equal, so
that the map is as sharp and means nothing; in `suffered` what is attended lowers the
target; in `placed` the values are those of the places, the same for all pictures.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain.attention import attention_map
from stylejax.explain.attention_agreement import rank_agreement, sign_violations
from stylejax.explain.attention_interventions import (
    intervene,
    permuted_attention,
    position_effects,
    shuffled_attention,
    uniform_attention,
    without_keys,
)

KEY = jax.random.key(0)
TOYS = {
    "used": lambda brightness: brightness,
    "ignored": jnp.ones_like,
    "suffered": lambda brightness: 1 - brightness,
    "placed": lambda brightness: jnp.broadcast_to(jnp.linspace(-1, 1, 16), (12, 16)),
}


def patches(images):
    """The mean of the first channel of each 2 x 2 patch: b 16."""
    cells = images[..., 0].reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4))
    return cells.reshape(-1, 16)


def toy_weights(images):
    """Two heads of one query, of different sharpness."""
    gains = jnp.array([6.0, 12.0])[None, :, None, None]
    return jax.nn.softmax(gains * patches(images)[:, None, None], axis=-1)


def run_toy(images, edit, *, values):
    weights = edit(toy_weights(images))
    return jnp.einsum("bnqk,bk->b", weights, values(patches(images))) / 2


@pytest.fixture(scope="module")
def images():
    return jax.random.uniform(jax.random.key(1), (12, 8, 8, 3))


@pytest.fixture(scope="module")
def effects(images):
    """Toy -> (effects of interventions, effects of positions `b 16`)."""
    runs = {k: functools.partial(run_toy, values=v) for k, v in TOYS.items()}
    return {
        name: (
            intervene(KEY, run, images, num_draws=4),
            np.asarray(position_effects(run, images, num_keys=16, chunk=5)),
        )
        for name, run in runs.items()
    }


@pytest.fixture(scope="module")
def attention(images):
    """What every toy shows, `b 16`: all three look the same."""
    return attention_map(toy_weights(images), size_hw=(4, 4)).reshape(12, 16)


# --- the three toys are told apart ---------------------------------------------------


INTERVENTIONS = ["uniform", "permuted", "shuffled"]


@pytest.mark.parametrize("name", INTERVENTIONS)
def test_a_target_made_of_attention_falls_without_it(name, effects):
    found = effects["used"][0][name]
    assert found.change_interval.high < -0.05
    assert found.change_interval.low < found.change < found.change_interval.high
    assert found.size_interval.low > 0.05


@pytest.mark.parametrize("name", INTERVENTIONS)
def test_a_target_that_ignores_attention_does_not_change(name, effects):
    """A sharp map, and none of it matters."""
    found = effects["ignored"][0][name]
    assert found.size < 1e-6
    assert found.size_interval.high < 1e-6


@pytest.mark.parametrize("name", INTERVENTIONS)
def test_a_target_that_suffers_attention_rises_without_it(name, effects):
    assert effects["suffered"][0][name].change_interval.low > 0.05


def test_only_attention_that_is_used_agrees_with_the_effects(attention, effects):
    found = {
        toy: rank_agreement(KEY, attention, positions, num_permutations=199)
        for toy, (_, positions) in effects.items()
    }
    assert found["used"].mean > 0.3 and found["used"].p_value == 1 / 200
    assert found["suffered"].mean < -0.3 and found["suffered"].p_value == 1 / 200
    assert not abs(found["ignored"].mean) > 0.2


def test_only_attention_that_is_suffered_violates_its_claim(attention, effects):
    found = {
        toy: sign_violations(attention, positions, top=2)
        for toy, (_, positions) in effects.items()
    }
    assert found["used"].share < 0.1 and found["used"].p_value < 1e-3
    assert found["used"].p_blind < 1e-3
    assert found["suffered"].share > 0.9 and found["suffered"].p_value < 1e-3
    assert found["suffered"].p_blind > 0.9
    assert (found["ignored"].decided, found["ignored"].undecided) == (0, 24)
    assert found["ignored"].p_value == 1


# --- effects by hand ----------------------------------------------------------------


def test_changes_are_with_the_edit_minus_without(images, effects):
    """Uniform attention gives the mean patch, in NumPy."""
    cells = np.asarray(patches(images), np.float64)
    before = np.einsum("bnqk,bk->b", np.asarray(toy_weights(images)), cells) / 2
    found = effects["used"][0]["uniform"]
    np.testing.assert_allclose(found.changes, cells.mean(axis=1) - before, atol=1e-5)
    np.testing.assert_allclose(found.sizes, np.abs(found.changes), atol=1e-12)
    assert found.change == pytest.approx(found.changes.mean())


def test_changes_of_both_signs_cancel_in_the_mean_and_not_in_the_size(effects):
    """Shuffled attention deals the same targets out to other pictures."""
    found = effects["placed"][0]["shuffled"]
    assert found.change == pytest.approx(0, abs=1e-6)
    assert found.change_interval.low < 0 < found.change_interval.high
    assert found.size_interval.low > 0.1
    assert (found.sizes >= np.abs(found.changes) - 1e-12).all()
    assert (found.sizes > np.abs(found.changes) + 1e-3).any()


def test_position_effects_are_the_target_minus_that_without_the_key(images, effects):
    cells = np.asarray(patches(images), np.float64)
    weights = np.asarray(toy_weights(images), np.float64)[:, :, 0]
    before = np.einsum("bnk,bk->b", weights, cells) / 2
    for position in (0, 7, 15):
        kept = weights * (np.arange(16) != position)
        kept /= kept.sum(axis=-1, keepdims=True)
        expected = before - np.einsum("bnk,bk->b", kept, cells) / 2
        np.testing.assert_allclose(effects["used"][1][:, position], expected, atol=1e-5)


# --- edits --------------------------------------------------------------------------


def random_weights(*shape):
    weights = np.random.default_rng(0).gamma(1.0, size=shape)
    return jnp.asarray(weights / weights.sum(axis=-1, keepdims=True), jnp.float32)


SHAPES = [(5, 2, 3, 4), (5, 3, 4)]


def flat(weights):
    """Each row, or the whole of each map."""
    return np.asarray(weights).reshape((-1, 4) if weights.ndim == 4 else (-1, 12))


@pytest.mark.parametrize("shape", SHAPES)
def test_uniform_attention_keeps_only_the_sums(shape):
    weights = random_weights(*shape)
    edited = flat(uniform_attention(weights))
    expected = flat(weights).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(
        edited, np.broadcast_to(expected, edited.shape), rtol=1e-6
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_permuted_attention_keeps_the_values_and_not_the_places(shape):
    weights = random_weights(*shape)
    before, after = flat(weights), flat(permuted_attention(KEY, weights))
    np.testing.assert_array_equal(np.sort(before), np.sort(after))
    ramp = jnp.arange(before.shape[1], dtype="float32")
    alike = jnp.broadcast_to(ramp, before.shape).reshape(shape)
    rows = {tuple(row) for row in flat(permuted_attention(KEY, alike))}
    assert len(rows) > 2  # each row is permuted in its own way


@pytest.mark.parametrize("shape", SHAPES)
def test_shuffled_attention_is_always_another_pictures(shape):
    weights = random_weights(*shape)
    shuffle = jax.jit(shuffled_attention)
    givers = set()
    for seed in range(20):
        edited = shuffle(jax.random.key(seed), weights)
        source = [
            next(j for j in range(5) if (edited[i] == weights[j]).all())
            for i in range(5)
        ]
        assert sorted(source) == list(range(5))
        assert all(i != j for i, j in enumerate(source))
        givers.add(tuple(source))
    assert len(givers) > 5


@pytest.mark.parametrize("shape", SHAPES)
def test_removed_keys_leave_the_sums_as_they_were(shape):
    weights = random_weights(*shape)
    removed = jnp.zeros(flat(weights).shape[1]).at[jnp.array([0, 2])].set(1)
    before, after = flat(weights), flat(without_keys(weights, removed))
    assert (after[:, [0, 2]] == 0).all()
    np.testing.assert_allclose(after.sum(axis=1), before.sum(axis=1), rtol=1e-5)
    kept = [1, 3]
    ratios = after[:, kept] / before[:, kept]
    np.testing.assert_allclose(ratios[:, 0], ratios[:, 1], rtol=1e-5)


def test_removing_all_there_is_leaves_zeros():
    weights = jnp.array([[[[1.0, 0.0]]]])
    edited = without_keys(weights, jnp.array([1.0, 0.0]))
    np.testing.assert_array_equal(edited, np.zeros((1, 1, 1, 2)))


# --- mistakes -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "edit", [uniform_attention, functools.partial(permuted_attention, KEY)]
)
def test_edits_refuse_what_is_no_attention(edit):
    with pytest.raises(ValueError, match="weights: expected"):
        edit(jnp.ones((3, 3)))


def test_one_picture_cannot_be_shuffled():
    with pytest.raises(ValueError, match="two pictures or more to shuffle, got 1"):
        shuffled_attention(KEY, jnp.ones((1, 2, 2)))


def test_a_target_must_be_one_number_for_each_picture(images):
    with pytest.raises(
        ValueError, match=r"run: expected one number .* \(12,\), got \(\)"
    ):
        intervene(KEY, lambda x, edit: x.mean(), images)
    with pytest.raises(ValueError, match="num_draws: expected a number above 0"):
        intervene(KEY, lambda x, edit: x.mean((1, 2, 3)), images, num_draws=0)
