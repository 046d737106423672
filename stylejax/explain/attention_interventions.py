"""Interventions on attention: what a target does once the weights are other ones.

A network is given as `run(images, edit)`: the target, one number for each picture, with
`edit` (weights to weights) applied wherever the network has computed its weights. The
edits are of attention `b heads queries keys`, whose rows sum to 1, or of maps `b h w`.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stylejax.checks import check_positive
from stylejax.explain.attention import Weights, check_weights
from stylejax.metrics.perturbation import compiled, map_in_chunks
from stylejax.metrics.pixel import Interval, bootstrap_interval
from stylejax.typing import Image, Key

AttentionEdit = Callable[[jax.Array], jax.Array]
AttentionRun = Callable[[jax.Array, AttentionEdit], jax.Array]
"""Pictures and an edit of the weights in, one number for each picture out. Compiled
here; in a `jax.jit` of its own the edit, a function, would have to be static."""


class InterventionEffect(NamedTuple):
    """What an intervention on attention does to a target, picture by picture.

    Attributes:
      changes: `b`, target with the edit minus target without, mean over the draws.
      sizes: `b`, mean over the draws of the absolute value of that difference.
      change: mean of `changes`.
      change_interval: bootstrap interval of it; paired, as each picture is its own
        control.
      size: mean of `sizes`.
      size_interval: bootstrap interval of it.
    """

    changes: np.ndarray
    sizes: np.ndarray
    change: float
    change_interval: Interval
    size: float
    size_interval: Interval


def uniform_attention(weights: Weights) -> Weights:
    """The same attention everywhere: each row, or map, is replaced by its mean.

    Args:
      weights: `b heads queries keys`, or maps `b h w`.

    Returns:
      The same shape and row sums.

    Raises:
      ValueError: a wrong rank.
    """
    check_weights(weights)
    axes = -1 if weights.ndim == 4 else (1, 2)
    return jnp.broadcast_to(weights.mean(axis=axes, keepdims=True), weights.shape)


def permuted_attention(key: Key, weights: Weights) -> Weights:
    """The same amounts of attention at other places: each row, or map, is permuted.

    Args:
      key: random key.
      weights: `b heads queries keys`, or maps `b h w`.

    Returns:
      The same shape, with the same values in each row in another order.

    Raises:
      ValueError: a wrong rank.

    Reference: Jain and Wallace, "Attention is not Explanation", 2019.
    """
    rows = _rows(weights)
    moved = jax.random.permutation(key, rows, axis=-1, independent=True)
    return moved.reshape(weights.shape)


def shuffled_attention(key: Key, weights: Weights) -> Weights:
    """Each picture with the attention of another one: places stay likely, not right.

    Args:
      key: random key.
      weights: `b heads queries keys`, or maps `b h w`; at least two pictures.

    Returns:
      The same shape; no picture keeps its own.

    Raises:
      ValueError: a wrong rank, or one picture alone.
    """
    check_weights(weights)
    num = weights.shape[0]
    if num < 2:
        raise ValueError("weights: expected two pictures or more to shuffle, got 1")
    order = jax.random.permutation(key, num)
    return weights[jnp.zeros(num, int).at[order].set(jnp.roll(order, 1))]


def without_keys(weights: Weights, removed: Float[Array, " keys"]) -> Weights:
    """Attention with some keys removed, the rest scaled up to the former row sums.

    Args:
      weights: `b heads queries keys`, or maps `b h w`.
      removed: one number for each key (or pixel, row by row): 1 removes, 0 keeps.

    Returns:
      The same shape; zeros where nothing is left to scale.

    Raises:
      ValueError: a wrong rank.
    """
    rows = _rows(weights)
    kept = rows * (1 - removed).reshape((1,) * (rows.ndim - 1) + (-1,))
    left = kept.sum(axis=-1, keepdims=True)
    scale = rows.sum(axis=-1, keepdims=True) / jnp.where(left == 0, 1, left)
    return (kept * scale).reshape(weights.shape)


def intervene(
    key: Key,
    run: AttentionRun,
    images: Image,
    *,
    num_draws: int = 8,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, InterventionEffect]:
    """What uniform, permuted and shuffled attention do to a target.

    Where all changes are zero the target does not depend on the attention, whatever its
    map shows. A target that falls needs the attention where it is; one that rises is
    held down by it.

    Args:
      key: random key.
      run: pictures and an edit of the weights to one number for each picture. It must
        run the pictures of a batch side by side, since shuffling takes one's for the
        other.
      images: `b h w c`; two or more, and ten or more for the intervals to mean much.
      num_draws: of the permuted and of the shuffled attention.
      level: coverage of the intervals, in (0, 1).
      seed: of the bootstrap.

    Returns:
      `{"uniform": …, "permuted": …, "shuffled": …}`.

    Raises:
      ValueError: no draws, one picture alone, or a target that is not one number each.

    Reference: uniform and permuted attention after Jain and Wallace 2019; they look at
      classes, we at any target.
    """
    check_positive(num_draws, name="num_draws")
    out = jax.eval_shape(lambda x: run(x, lambda w: w), images).shape
    if out != images.shape[:1]:
        raise ValueError(
            f"run: expected one number for each picture, {images.shape[:1]}, got {out}"
        )
    keys = jax.random.split(key, (2, num_draws))
    results = compiled(_targets, run)(jnp.asarray(images), keys)
    before, *after = (np.asarray(v, np.float64) for v in results)
    names = ("uniform", "permuted", "shuffled")
    return {
        name: _effect(targets - before[None], level=level, seed=seed)
        for name, targets in zip(names, after, strict=True)
    }


def position_effects(
    run: AttentionRun, images: Image, *, num_keys: int, chunk: int = 8
) -> Float[Array, "b keys"]:
    """What each key position adds to a target: the target minus that without the key.

    Args:
      run: as in `intervene`.
      images: `b h w c`.
      num_keys: keys, or pixels of an attention map.
      chunk: keys removed at once, side by side, which decides the memory.

    Returns:
      `b keys`, in the target's unit; negative where attending lowers the target.
    """
    effects = compiled(_position_effects, run, chunk=chunk)
    return effects(jnp.asarray(images), jnp.eye(num_keys)).T


def _position_effects(
    run: AttentionRun, images: jax.Array, removals: jax.Array, *, chunk: int
) -> jax.Array:
    with jax.default_matmul_precision("highest"):
        before = run(images, lambda w: w)
        return map_in_chunks(
            lambda removed: before - run(images, lambda w: without_keys(w, removed)),
            removals,
            chunk=chunk,
        )


def _targets(
    run: AttentionRun, images: jax.Array, keys: jax.Array
) -> tuple[jax.Array, ...]:
    """As is `b`, then `draws b` with uniform (one), permuted and shuffled attention."""

    def drawn(edit: Callable, keys: jax.Array) -> jax.Array:
        return jax.lax.map(lambda k: run(images, functools.partial(edit, k)), keys)

    with jax.default_matmul_precision("highest"):
        return (
            run(images, lambda w: w),
            run(images, uniform_attention)[None],
            drawn(permuted_attention, keys[0]),
            drawn(shuffled_attention, keys[1]),
        )


def _effect(differences: np.ndarray, *, level: float, seed: int) -> InterventionEffect:
    changes, sizes = differences.mean(axis=0), np.abs(differences).mean(axis=0)
    interval = functools.partial(bootstrap_interval, seed=seed, level=level)
    return InterventionEffect(
        changes=changes,
        sizes=sizes,
        change=float(changes.mean()),
        change_interval=interval(changes),
        size=float(sizes.mean()),
        size_interval=interval(sizes),
    )


def _rows(weights: Weights) -> jax.Array:
    """What sums to one along the last axis."""
    check_weights(weights)
    return weights if weights.ndim == 4 else weights.reshape(weights.shape[0], -1)
