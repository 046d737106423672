"""Named leaves, norms, selection and the diff of two trees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax import trees
from stylejax.train.image_pool import Decisions, init_pool

TREE = {"conv": {"kernel": jnp.array([3.0, 4.0]), "bias": jnp.array([12.0])}}


def test_named_leaves_covers_dictionaries_lists_tuples_and_dataclasses():
    tree = {"pool": init_pool(1, (1, 1, 1)), "pair": Decisions(1, 2), "list": [0]}
    names = ["list/0", "pair/swap", "pair/index", "pool/images", "pool/count"]
    assert list(trees.named_leaves(tree)) == names


def test_norms_by_hand():
    assert float(trees.norm(TREE)) == pytest.approx(13.0)
    norms = {name: float(x) for name, x in trees.norms(TREE).items()}
    assert norms == pytest.approx({"conv/bias": 12.0, "conv/kernel": 5.0})
    assert float(trees.norm({})) == 0.0


def test_norm_accumulates_in_float32():
    wide = jnp.full((4096,), 1.0, jnp.bfloat16)
    assert float(trees.norm([wide])) == 64.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_all_finite_sees_one_bad_number(bad):
    assert bool(jax.jit(trees.all_finite)(TREE))
    spoilt = TREE | {"more": jnp.array([0.0, bad])}
    assert not bool(jax.jit(trees.all_finite)(spoilt))


def test_all_finite_of_nothing():
    assert bool(trees.all_finite({}))


@pytest.mark.parametrize("predicate", [True, False])
def test_select_lets_no_nan_through(predicate):
    other = jax.tree.map(lambda x: x * jnp.nan, TREE)
    pair = (TREE, other) if predicate else (other, TREE)
    chosen = jax.jit(trees.select)(jnp.array(predicate), *pair)
    jax.tree.map(np.testing.assert_array_equal, chosen, TREE)


def test_difference_names_each_kind_and_counts_the_rest():
    expected = {"a": jnp.zeros(2), "b": jnp.zeros(3)} | {
        f"m{i}": jnp.zeros(1) for i in range(3)
    }
    got = {"a": jnp.zeros(2), "b": jnp.zeros(4), "x": jnp.zeros(1)}
    assert trees.difference(expected, got, limit=2).splitlines() == [
        "missing m0",
        "missing m1",
        "missing: 1 more",
        "unexpected x",
        "different b: expected (3,) float32, got (4,) float32",
    ]
    assert trees.difference(expected, expected) == ""
