"""The state is a pytree whose leaves are all that a checkpoint must hold."""

import jax

from stylejax import trees
from stylejax.methods import cyclegan

CONFIG = cyclegan.CycleGANConfig(
    ngf=2, ndf=2, num_blocks=1, num_layers=1, image_size=8, pool_size=2, ema_decay=0.9
)


def state():
    return cyclegan.init(jax.random.key(0), CONFIG)


def test_every_part_has_named_leaves():
    parts = {name.split("/")[0] for name in trees.named_leaves(state())}
    assert parts == {
        "step",
        "generator_params",
        "discriminator_params",
        "generator_opt_state",
        "discriminator_opt_state",
        "pool_a",
        "pool_b",
        "ema_params",
        "skipped_in_a_row",
        "skipped_total",
    }


def test_no_key_is_stored():
    leaves = jax.tree.leaves(state())
    assert not any(jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) for x in leaves)


def test_it_flattens_and_comes_back():
    leaves, structure = jax.tree.flatten(state())
    again = jax.tree.unflatten(structure, leaves)
    assert trees.difference(state(), again) == ""
    assert type(again) is type(state())
