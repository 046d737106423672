"""Concept activation vectors: from random activations to those of a concept.

The unit normal of a classifier that tells the two apart, or the line between their
means. What a vector is worth is tested in `stylejax.explain.concepts`: any two sets of
examples have one.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from stylejax.checks import check_choice, check_positive
from stylejax.explain.batched_map import batch_size, batched_map
from stylejax.explain.probe_arrays import checked_features
from stylejax.explain.probes import fit_path

METHODS = ("logistic", "ridge", "mean_difference")
"""How a concept's vector is found: the normal of a classifier, or between the means."""


class Pairs(NamedTuple):
    """Which set of the bank is set against which, a row for each vector."""

    positive: Int[Array, " v"] | np.ndarray
    negative: Int[Array, " v"] | np.ndarray


def concept_vector(
    concept_features: ArrayLike,
    random_features: ArrayLike,
    *,
    method: str = "logistic",
    l2: float = 1.0,
) -> Float[Array, " d"]:
    """The unit vector that points from random activations to those of a concept.

    Args:
      concept_features: `n d`, activations of the concept's examples.
      random_features: `m d`, of others.
      method: one of `METHODS`.
      l2: penalty of the classifier, on features divided by one number, their root mean
        square: the vector does not depend on their unit.

    Returns:
      `d`, a unit vector in the activations' own coordinates.

    Raises:
      ValueError: an unknown method, or shapes that do not fit.

    Example:
      >>> x = jnp.array([[3.0, 0.0], [5.0, 0.0]])
      >>> concept_vector(x, -x, method="mean_difference").tolist()
      [1.0, 0.0]

    Reference: Kim et al., "Interpretability Beyond Feature Attribution", 2018; the mean
      difference is the FastCAV of Schmalwasser et al., 2025.
    """
    check_choice(method, choices=METHODS, name="method")
    check_positive(l2, name="l2")
    positive = checked_features(concept_features, name="concept_features")
    negative = checked_features(random_features, name="random_features")
    if positive.shape[1] != negative.shape[1]:
        raise ValueError(
            "expected activations of one layer, got concept_features and"
            f" random_features of widths {positive.shape[1]} and {negative.shape[1]}"
        )
    return _vector(positive, negative, jnp.float32(l2), method=method)


def vectors_of_pairs(
    bank: Float[Array, "s m d"], pairs: Pairs, l2: float, *, method: str
) -> Float[Array, "v d"]:
    """The vectors of many pairs of sets, in one compiled call.

    Args:
      bank: `s m d`, sets of `m` examples.
      pairs: which sets.
      l2: as in `concept_vector`.
      method: one of `METHODS`.

    Returns:
      `v d`, unit vectors.
    """
    _, members, width = bank.shape
    bytes_each = 4 * (12 * members * width + 16 * members**2)
    batch = batch_size(len(pairs.positive), bytes_each=bytes_each)
    return _vectors(bank, pairs, jnp.float32(l2), method=method, batch=batch)


@functools.partial(jax.jit, static_argnames=("method", "batch"))
def _vectors(
    bank: jax.Array, pairs: Pairs, l2: jax.Array, *, method: str, batch: int
) -> jax.Array:
    def vector(pair: Pairs) -> jax.Array:
        sets = bank[pair.positive], bank[pair.negative]
        return _unit(_difference(*sets, l2, method))

    return batched_map(vector, jax.tree.map(jnp.asarray, pairs), batch=batch)


@functools.partial(jax.jit, static_argnames="method")
def _vector(
    positive: jax.Array, negative: jax.Array, l2: jax.Array, *, method: str
) -> jax.Array:
    return _unit(_difference(positive, negative, l2, method))


def _difference(
    positive: jax.Array, negative: jax.Array, l2: jax.Array, method: str
) -> jax.Array:
    if method == "mean_difference":
        return positive.mean(axis=0) - negative.mean(axis=0)
    features = jnp.concatenate([positive, negative])
    centered = features - features.mean(axis=0, keepdims=True)
    size = jnp.sqrt((centered**2).mean())
    centered = centered / jnp.where(size > 0, size, 1)
    labels = jnp.concatenate([jnp.ones(len(positive)), jnp.zeros(len(negative))])
    probe, _ = fit_path(
        centered,
        labels[:, None],
        jnp.ones_like(labels),
        l2[None],
        kind=method,
        standardize=False,
    )
    return probe.weights[0, :, 0]


def _unit(vector: jax.Array) -> jax.Array:
    length = jnp.linalg.norm(vector)
    return vector / jnp.where(length > 0, length, 1)
