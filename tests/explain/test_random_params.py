"""Random parameters: what changes, what stays, and what they are drawn from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain.random_params import DRAWS, chosen_leaves, randomize_params

KEY = jax.random.key(3)
GENERATOR = np.random.default_rng(0)
PARAMS = {
    "block_1": {
        "kernel": GENERATOR.gamma(2, size=(5, 5, 16, 20)).astype(np.float32),
        "bias": GENERATOR.normal(3, 0.1, size=20).astype(np.float32),
    },
    "block_10": {"kernel": GENERATOR.normal(size=(3, 40)).astype(np.float32)},
    "count": np.arange(4, dtype=np.int32),
    "zeros": np.zeros(7, np.float32),
}


@pytest.fixture(scope="module", params=DRAWS)
def draw(request):
    return request.param


@pytest.fixture(scope="module")
def drawn(draw):
    """All parameters and a part of them, by one key."""

    @jax.jit
    def both(key):
        part = randomize_params(key, PARAMS, names=["block_1", "zeros"], draw=draw)
        return randomize_params(key, PARAMS, draw=draw), part

    return both(KEY)


@pytest.fixture(scope="module")
def new(drawn):
    return drawn[0]


def test_shapes_and_types_stay_and_numbers_change(new):
    assert jax.tree.structure(new) == jax.tree.structure(PARAMS)
    for before, after in zip(*map(jax.tree.leaves, (PARAMS, new)), strict=True):
        assert (before.shape, before.dtype) == (after.shape, after.dtype)
    for block in ("block_1", "block_10"):
        for name, before in PARAMS[block].items():
            assert np.mean(before == np.asarray(new[block][name])) < 0.2


def test_a_kernel_keeps_its_mean_and_its_deviation(new, draw):
    """Of the 8000 numbers of a gamma distribution; within five standard errors."""
    before, after = PARAMS["block_1"]["kernel"], np.asarray(new["block_1"]["kernel"])
    assert abs(after.mean() - before.mean()) < 5 * before.std() / 89
    assert abs(after.std() / before.std() - 1) < 5 / 126
    skewness = np.mean((after - after.mean()) ** 3) / after.std() ** 3
    assert (abs(skewness) < 0.15) == (draw == "normal")
    if draw == "permutation":
        np.testing.assert_array_equal(np.sort(after, None), np.sort(before, None))


def test_what_is_no_float_or_does_not_vary_stays(new):
    np.testing.assert_array_equal(new["count"], np.arange(4))
    np.testing.assert_array_equal(new["zeros"], 0)


def test_nothing_is_left_of_the_order(new):
    for name in ("kernel", "bias"):
        before, after = PARAMS["block_1"][name], np.asarray(new["block_1"][name])
        for order in (before.ravel(), np.arange(before.size)):
            found = np.corrcoef(order, after.ravel())[0, 1]
            assert abs(found) < 4 / np.sqrt(before.size)


def test_only_the_named_leaves_change_and_as_they_would_with_all(drawn):
    """Two stages of a cascade share what is random already."""
    new, part = drawn
    for name in ("kernel", "bias"):
        np.testing.assert_array_equal(part["block_1"][name], new["block_1"][name])
    unchanged = PARAMS["block_10"]["kernel"]
    np.testing.assert_array_equal(part["block_10"]["kernel"], unchanged)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (None, [1, 1, 1, 1, 1]),
        (["block_1"], [1, 1, 0, 0, 0]),
        (["block_1/"], [1, 1, 0, 0, 0]),
        ("block_10", [0, 0, 1, 0, 0]),
        (["block_1/bias", "zeros"], [1, 0, 0, 0, 1]),
        ([], [0, 0, 0, 0, 0]),
    ],
)
def test_names_are_paths_and_not_beginnings_of_words(names, expected):
    assert chosen_leaves(PARAMS, names) == [bool(v) for v in expected]


def test_several_draws_are_stacked_by_vmap():
    part = {"a": PARAMS["block_10"]["kernel"]}
    keys = jax.random.split(KEY, 3)
    found = jax.jit(jax.vmap(lambda k: randomize_params(k, part)))(keys)["a"]
    assert found.shape == (3, 3, 40)
    assert len(np.unique(found)) == found.size
    alone = randomize_params(keys[1], part)["a"]
    np.testing.assert_allclose(found[1], alone, rtol=1e-5, atol=1e-6)


def test_half_precision_is_measured_in_full():
    """The mean of 4096 numbers near 100, whose sum bfloat16 could not hold."""
    leaf = jnp.asarray(100 + GENERATOR.normal(size=(64, 64)), jnp.bfloat16)
    after = randomize_params(KEY, {"a": leaf})["a"]
    assert after.dtype == jnp.bfloat16
    assert np.asarray(after, np.float32).mean() == pytest.approx(100, abs=0.2)


def test_mistakes_end_in_one_line():
    with pytest.raises(ValueError, match="got 'block_2'.* there are block_1, block_10"):
        randomize_params(KEY, PARAMS, names=["block_1", "block_2"])
    with pytest.raises(ValueError, match="expected one of normal, permutation"):
        randomize_params(KEY, PARAMS, draw="uniform")
