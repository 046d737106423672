"""Attention in tiles against NumPy, and its rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.nn import attention


@pytest.fixture
def arrays(generator):
    sizes = {"queries": (2, 11, 4), "keys": (2, 7, 4), "values": (2, 7, 3)}
    return {name: jnp.float32(generator.normal(size=s)) for name, s in sizes.items()}


def by_hand(queries, keys, values, scale=1.0):
    products = scale * np.asarray(queries, np.float64) @ np.swapaxes(keys, 1, 2)
    rows = np.exp(products - products.max(-1, keepdims=True))
    rows /= rows.sum(-1, keepdims=True)
    return rows, rows @ np.asarray(values, np.float64)


@pytest.mark.parametrize("tile", [3, 4, 11, 64])
def test_tiles_give_what_the_whole_matrix_gives(arrays, tile):
    found = attention.attend(**arrays, tile=tile, scale=0.7)
    _, expected = by_hand(**arrays, scale=0.7)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)

    def loss(arrays, tile):
        return jnp.sum(jnp.square(attention.attend(**arrays, tile=tile)))

    for x, y in zip(
        jax.tree.leaves(jax.grad(loss)(arrays, tile)),
        jax.tree.leaves(jax.grad(loss)(arrays, 64)),
        strict=True,
    ):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)


def test_rows_sum_to_one_and_make_the_output(arrays):
    rows = attention.weights(arrays["queries"], arrays["keys"])
    expected, mixed = by_hand(**arrays)
    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(rows.sum(-1), np.ones((2, 11)), rtol=1e-6)
    found = attention.attend(**arrays)
    np.testing.assert_allclose(found, mixed, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        np.asarray(rows) @ np.asarray(arrays["values"]), found, rtol=1e-4, atol=1e-5
    )


def test_several_values_are_mixed_alike(arrays):
    values = {"a": arrays["values"], "b": 2 * arrays["values"]}
    found = attention.attend(arrays["queries"], arrays["keys"], values, tile=4)
    np.testing.assert_allclose(found["b"], 2 * found["a"], rtol=1e-5)


def test_positions_are_even_and_few_enough():
    assert attention.spaced((3, 5), at_most=15).tolist() == list(range(15))
    found = np.asarray(attention.spaced((16, 24), at_most=50))
    assert len(found) <= 50
    assert len(found) == len({*found.tolist()})
    assert found.max() < 16 * 24
    with pytest.raises(ValueError, match="at_most: expected at least 1"):
        attention.spaced((2, 2), at_most=0)
