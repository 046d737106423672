"""Arrays without elements leave a tree and come back; shapes keep their placement."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from stylejax.train import empty_leaves


def test_empty_arrays_come_back_where_they_were():
    params = {"w": jnp.ones((2, 3))}
    tree = {"pool": jnp.zeros((0, 4), jnp.bfloat16), "opt": optax.adam(1).init(params)}
    stored = empty_leaves.without_empty(tree)
    assert all(leaf.size for leaf in jax.tree.leaves(stored))
    back = empty_leaves.with_empty(stored, tree)
    assert jax.tree.structure(back) == jax.tree.structure(tree)
    assert back["pool"].shape == (0, 4) and back["pool"].dtype == jnp.bfloat16
    assert back["opt"][0].mu["w"] is tree["opt"][0].mu["w"]


def test_abstract_keeps_shape_type_and_sharding():
    mesh = jax.make_mesh((4,), ("data",), (jax.sharding.AxisType.Auto,))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    tree = {
        "sharded": jax.device_put(jnp.ones((8,)), sharding),
        "shape": jax.ShapeDtypeStruct((2,), jnp.int32),
        "numpy": np.zeros(3),
    }
    shapes = empty_leaves.abstract(tree)
    assert shapes["sharded"].sharding == sharding
    assert shapes["shape"].dtype == jnp.int32 and shapes["shape"].sharding is not None
    assert shapes["numpy"] is tree["numpy"]
