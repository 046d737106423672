"""How far our train step is from the stored updates of the PyTorch reference.

Needs no PyTorch. tests/methods/test_step_parity.py holds the figures to their limits,
report_parity.py prints them.
"""

import functools
import json
import re

import jax
import jax.numpy as jnp
import numpy as np

from stylejax import trees
from stylejax.methods import cyclegan
from stylejax.train.image_pool import Decisions
from tests.goldens.network_parity import (
    below,
    goldens,
    largest,
    nest,
    relative,
    to_unit,
)

STEPS = ("adam_batch_1", "adam_batch_2_resize", "sgd_batch_2")
NUM_UPDATES = 3


def is_normed_bias(name):
    """Whether a bias is undone by the instance norm after it: its gradient is 0."""
    if not name.endswith("/bias") or name.endswith("/head/bias"):
        return False
    if name.startswith("generator/"):
        return True
    return re.search(r"conv_(0|3)/bias$", name) is None


def config_of(name):
    """Our configuration for a stored recipe."""
    recipe = json.loads(str(goldens("steps")[f"{name}/recipe"]))
    return cyclegan.CycleGANConfig(image_size=16, **recipe)


def start(config):
    """The state before the first update: stored parameters, all else zero."""
    params = nest(below(goldens("steps"), "start"))
    shapes = jax.eval_shape(lambda key: cyclegan.init(key, config), jax.random.key(0))
    state = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    replaced = {
        "generator": "generator_params",
        "discriminator": "discriminator_params",
    }
    for family, field in replaced.items():
        problem = trees.difference(getattr(state, field), params[family])
        if problem:
            raise ValueError(problem)
    return state.replace(**{f: params[k] for k, f in replaced.items()})


@functools.cache
def compiled_step(config):
    """The train step of `config`, compiled once."""
    return jax.jit(cyclegan.make_train_step(config))


def train(name, *, flip_decisions=False):
    """(state, metrics by name, one value an update) after the stored updates."""
    golden, config = below(goldens("steps"), name), config_of(name)
    state, step, history = start(config), compiled_step(config), []
    for i in range(NUM_UPDATES):
        batch = {d: to_unit(golden[f"batch/{d}"][i]) for d in "ab"}
        decisions = {
            d: Decisions(
                swap=jnp.asarray(golden[f"decisions/{d}/swap"][i] ^ flip_decisions),
                index=jnp.asarray(golden[f"decisions/{d}/index"][i]),
            )
            for d in "ab"
        }
        state, metrics = step(state, batch, pool_decisions=decisions)
        history.append(metrics)
    return state, {k: np.array([m[k] for m in history]) for k in history[0]}


def named_params(state):
    """All parameters of a state under the names of the goldens."""
    families = {
        "generator": state.generator_params,
        "discriminator": state.discriminator_params,
    }
    return trees.named_leaves(families)


def measure_step(name, *, flip_decisions=False):
    """Errors after the stored updates of one recipe.

    `metrics`, `leaves` and `updates` are relative, by name; `updates` compares what
    the updates added. `normed biases` is the largest absolute error where the true
    gradient is 0; under Adam it means nothing. `pools` is the largest absolute error.
    """
    golden = below(goldens("steps"), name)
    state, metrics = train(name, flip_decisions=flip_decisions)
    ends, starts = below(golden, "end"), below(goldens("steps"), "start")
    ours = named_params(state)
    kept = [k for k in ends if not is_normed_bias(k)]
    return {
        "metrics": {
            k: float(np.max(np.abs(metrics[k] / v - 1)))
            for k, v in below(golden, "metrics").items()
        },
        "leaves": {k: relative(ours[k], ends[k]) for k in kept},
        "updates": {
            k: relative(np.asarray(ours[k]) - starts[k], ends[k] - starts[k])
            for k in kept
        },
        "normed biases": max(
            largest(ours[k], v) for k, v in ends.items() if is_normed_bias(k)
        ),
        "pools": max(
            largest(getattr(state, f"pool_{d}").images, golden[f"pool/{d}"])
            for d in "ab"
        ),
    }


def measure_moments(name="adam_batch_2_resize"):
    """Relative errors of Adam's two moments, by kind and parameter."""
    golden = below(goldens("steps"), name)
    state, _ = train(name)
    found = {}
    for family in ("generator", "discriminator"):
        adam = getattr(state, f"{family}_opt_state")
        for kind, tree in (("mean", adam.mu), ("square", adam.nu)):
            for path, leaf in trees.named_leaves({family: tree}).items():
                if not is_normed_bias(path):
                    truth = golden[f"{kind}/{path}"]
                    found[f"{kind}/{path}"] = relative(leaf, truth)
    return found
