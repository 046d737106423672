"""Several batches in one pass are what they are one by one."""

import jax
import jax.numpy as jnp
import numpy as np

from stylejax.train.batching import apply_together


def test_each_batch_comes_back_to_its_place():
    batches = [jnp.arange(6.0).reshape(3, 2) + 10 * i for i in range(3)]
    seen = []

    def fn(x):
        seen.append(x.shape)
        return x[:, :1] * jnp.array([[1.0, 2.0, 3.0]])

    found = apply_together(fn, batches)
    assert seen == [(9, 2)]
    for y, x in zip(found, batches, strict=True):
        np.testing.assert_array_equal(y, fn(x))


def test_one_batch_passes_as_it_is():
    x = jnp.ones((2, 3))
    (y,) = apply_together(lambda x: (x,)[0], [x])
    assert y is x


def test_batches_of_different_sizes_go_one_by_one():
    found = apply_together(lambda x: 2 * x, [jnp.ones((2, 3)), jnp.ones((5, 3))])
    assert [y.shape for y in found] == [(2, 3), (5, 3)]


def test_a_sharded_batch_moves_nowhere():
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:2]), ("data",))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    batches = [jax.device_put(jnp.ones((4, 8)) * i, sharding) for i in (1, 2)]
    fn = jax.jit(lambda *batches: apply_together(lambda x: 2 * x, batches))
    text = fn.lower(*batches).compile().as_text()
    assert not any(word in text for word in ("all-gather", "all-to-all", "permute("))
    np.testing.assert_array_equal(fn(*batches)[1], 4.0)


def test_maps_by_name_go_in_and_come_out():
    batches = [{"a": jnp.full((2, 3), i), "b": jnp.full((2, 1), i)} for i in (1.0, 2.0)]
    seen = []

    def fn(maps):
        seen.append(maps["a"].shape)
        return {"sum": maps["a"] + maps["b"], "b": maps["b"]}

    found = apply_together(fn, batches)
    assert seen == [(4, 3)]
    for i, maps in enumerate(found, start=1):
        np.testing.assert_array_equal(maps["sum"], np.full((2, 3), 2.0 * i))
        assert maps["b"].shape == (2, 1)
