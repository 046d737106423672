"""Beginning a training from parameters that exist, instead of from noise.

Unlike a resume this starts a new run: step 0, fresh optimisers and pools, and settings
of its own (learning rates, losses, size), as long as the networks are the same.
"""

import os
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import jax.tree_util

from stylejax import api, stylizers, trees
from stylejax.methods import FIXED, METHODS
from stylejax.models import resnet_generator
from stylejax.train import checkpoint
from stylejax.train.state import StylizerState


def warm_start(
    state: Any, source: str | os.PathLike, *, method: str = "cyclegan"
) -> Any:
    """Returns the first state of a run whose networks begin as `source` has them.

    Args:
        state: a fresh state; says which networks are wanted.
        source: a shipped name or .safetensors file (generators alone: discriminators
            begin from noise), or the folder of a training (discriminators as well).
        method: of the new run, a key of `stylejax.methods.TRAINED`.

    Returns:
        A state like the one given. Generators and their moving average both begin with
        what `stylejax.load` would translate with; skips that only the new run's have
        begin closed, which changes nothing at first.

    Raises:
        FileNotFoundError: there is no such model.
        ValueError: its networks have other sizes; the first difference is named.
    """
    if method in stylizers.PAINTERS:
        return _stylizer(state, source)
    if isinstance(state, StylizerState):  # one optimiser: a translator without judges
        wanted = METHODS[method].generator_params(state, use_ema=False)
        found = _like(wanted, api.load(source).params, source)
        params = {**state.params, **found}
        return state.replace(
            params=params, ema_params=params if state.ema_params else {}
        )
    found = _with_skips(state.generator_params, api.load(source).params)
    generators = _like(state.generator_params, found, source)
    state = state.replace(generator_params=generators)
    if state.ema_params:
        state = state.replace(ema_params=generators)
    if Path(source).expanduser().is_dir():
        found = checkpoint.restore_params(source, names=("discriminator_params",))
        judges = found["discriminator_params"]
        judges = _like(state.discriminator_params, judges, source)
        state = state.replace(discriminator_params=judges)
    return state


def _stylizer(state: StylizerState, source: str | os.PathLike) -> StylizerState:
    """The state with the networks that paint; what only trains begins from noise."""
    given = stylizers.load(source)
    method = stylizers.PAINTERS[given.method]
    if given.method in FIXED:  # it may know fewer styles than the new run
        return method.with_painting_params(state, given.params)
    found = _like(method.painting_params(state), given.params, source)
    return method.with_painting_params(state, found)


def _with_skips(wanted: Any, found: Any) -> Any:
    """`found`, with the closed skips of `wanted` where it has none at all."""
    return {
        direction: {
            name: leaf
            for name, leaf in wanted[direction].items()
            if resnet_generator.is_skip(name)
        }
        | dict(params)
        for direction, params in found.items()
        if direction in wanted
    }


def _like(wanted: Any, found: Any, source: str | os.PathLike) -> Any:
    difference = trees.difference(wanted, found, limit=1)
    if difference:
        raise ValueError(
            f"init_from: expected networks of this config in {str(source)!r}, got"
            f" {difference.splitlines()[0]}; use the settings it was trained with"
        )
    return jax.tree_util.tree_map(lambda w, f: jnp.asarray(f, w.dtype), wanted, found)
