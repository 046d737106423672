"""Whether what is called important has an effect, and one of the sign that it claims.

Two tests of numbers over regions (or positions) of pictures, `b k`: by rank, and by
sign. Attention is never negative, so all it can claim is that a place *raises* the
target; where removing the place raises it instead, that claim is violated, however
high the attention. Regions must be few and large for a permutation to mean something:
neighbouring pixels of smooth maps are no independent observations.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import rankdata
from jaxtyping import Array, Float
from scipy import special

from stylejax.checks import check_same_shape
from stylejax.explain.paired import sign_test
from stylejax.metrics.correlation import correlation
from stylejax.metrics.perturbation import map_in_chunks
from stylejax.typing import Key

# Permutations that tie with the data, but for rounding, count as reaching it.
_TIE = 1e-5


class RankAgreement(NamedTuple):
    """How far two maps order the regions of pictures alike.

    Attributes:
      correlations: `b`, Spearman's, in [-1, 1]; NaN where a map of a picture is flat.
      mean: of those that are defined; NaN if none is.
      p_value: chance of a mean of this size, of either sign, if the regions of one map
        were permuted within each picture; NaN with the mean.
      num_permutations: what `p_value` was counted from.
    """

    correlations: np.ndarray
    mean: float
    p_value: float
    num_permutations: int


class SignViolations(NamedTuple):
    """How often the sign of an effect contradicts the importance that was stated.

    Attributes:
      share: of the decided regions, those whose effect has the other sign; NaN if none
        is decided.
      violations: how many.
      decided: regions that were looked at and have an effect.
      undecided: regions that were looked at and have none.
      p_value: chance of so uneven a split, either way, if signs were fair coins.
      blind_share: the share that the same signs would have on regions drawn blindly in
        the same pictures; a `share` no lower has no merit of its own.
      p_blind: chance of so few violations at `blind_share`.
    """

    share: float
    violations: int
    decided: int
    undecided: int
    p_value: float
    blind_share: float
    p_blind: float


def rank_agreement(
    key: Key,
    importance: Float[Array, "b k"],
    effects: Float[Array, "b k"],
    *,
    num_permutations: int = 4_999,
    chunk: int = 256,
) -> RankAgreement:
    """Spearman's correlation of two maps over regions, and a permutation test of it.

    Args:
      key: random key.
      importance: `b k`, such as attention by region.
      effects: `b k`, such as an attribution summed by region, or what removing each
        region takes away.
      num_permutations: drawn, of the regions within each picture.
      chunk: permutations at once, which decides the memory.

    Returns:
      `RankAgreement`; the p-value is at least `1 / (1 + num_permutations)`.

    Raises:
      ValueError: different shapes, or fewer than three regions.

    Reference: Spearman 1904; a permutation test because the regions of a few pictures
      are too few for its normal limit.
    """
    importance, effects = _regions(importance, effects)
    if importance.shape[1] < 3:
        raise ValueError(
            f"importance: expected three regions or more, got {importance.shape[1]}"
        )
    correlations, reached = _permuted(
        key, importance, effects, num_permutations=num_permutations, chunk=chunk
    )
    correlations = np.asarray(correlations, np.float64)
    defined = correlations[~np.isnan(correlations)]
    p_value = (1 + int(reached)) / (1 + num_permutations)
    return RankAgreement(
        correlations=correlations,
        mean=float(defined.mean()) if defined.size else float("nan"),
        p_value=p_value if defined.size else float("nan"),
        num_permutations=num_permutations,
    )


def sign_violations(
    importance: Float[Array, "b k"],
    effects: Float[Array, "b k"],
    *,
    top: int = 1,
    tolerance: float = 1e-6,
) -> SignViolations:
    """How often the most important regions have an effect of the other sign.

    Args:
      importance: `b k`; signed, or attention, which claims a positive effect.
      effects: `b k`, the target minus the target without the region (occluded, or its
        key removed).
      top: regions looked at in each picture, those of the largest `|importance|`.
      tolerance: effects no larger, in the target's unit, count as none: rounding alone
        has a sign too.

    Returns:
      `SignViolations`. No claim is made by an importance of 0.

    Raises:
      ValueError: different shapes, numbers that are not finite, or more regions than
        there are.

    Example:
      >>> found = sign_violations(jnp.array([[0.7, 0.3]]), jnp.array([[-1.0, 2.0]]))
      >>> found.share, found.blind_share
      (1.0, 0.5)

    Reference: Liu et al., "Rethinking Attention-Model Explainability through
      Faithfulness Violation Test", 2022. They look at the top feature alone and at
      class probabilities; the comparison with blindly drawn regions is ours.
    """
    stated, measured = map(np.asarray, _regions(importance, effects))
    if not (np.isfinite(stated).all() and np.isfinite(measured).all()):
        raise ValueError("expected finite importance and effects, got NaN or infinity")
    num_regions = stated.shape[1]
    if not 1 <= top <= num_regions:
        raise ValueError(f"top: expected 1 to {num_regions} regions, got {top}")
    if not tolerance >= 0:
        raise ValueError(f"tolerance: expected at least 0, got {tolerance}")
    signs = np.where(np.abs(measured) <= tolerance, 0, np.sign(measured))
    chosen = np.argsort(-np.abs(stated), axis=1, kind="stable")[:, :top]
    claims = np.sign(np.take_along_axis(stated, chosen, axis=1))
    found = np.take_along_axis(signs, chosen, axis=1)
    decided = (claims != 0) & (found != 0)
    violations, num = int((claims * found < 0).sum()), int(decided.sum())
    blind = _blind_share(claims, signs, decided) if num else float("nan")
    return SignViolations(
        share=violations / num if num else float("nan"),
        violations=violations,
        decided=num,
        undecided=int((claims != 0).sum()) - num,
        p_value=sign_test(violations, num - violations),
        blind_share=blind,
        p_blind=float(special.bdtr(violations, num, blind)) if num else 1.0,
    )


def _blind_share(claims: np.ndarray, signs: np.ndarray, decided: np.ndarray) -> float:
    """How often the claims would be violated by effects drawn from the same picture."""
    counts = (signs != 0).sum(axis=1, keepdims=True)
    negative = (signs < 0).sum(axis=1, keepdims=True) / np.maximum(counts, 1)
    return float(np.where(claims > 0, negative, 1 - negative)[decided].mean())


@functools.partial(jax.jit, static_argnames=("num_permutations", "chunk"))
def _permuted(
    key: Key,
    importance: jax.Array,
    effects: jax.Array,
    *,
    num_permutations: int,
    chunk: int,
) -> tuple[jax.Array, jax.Array]:
    """Each picture's correlation, and how many permutations reach their mean."""
    ranks, others = (jax.vmap(rankdata)(v) for v in (importance, effects))
    pearson = jax.vmap(functools.partial(correlation, kind="pearson"))
    correlations = pearson(ranks, others)

    def reaches(key: Key) -> jax.Array:
        moved = jax.random.permutation(key, ranks, axis=1, independent=True)
        return jnp.abs(jnp.nanmean(pearson(moved, others))) >= reach - _TIE

    reach = jnp.abs(jnp.nanmean(correlations))
    keys = jax.random.split(key, num_permutations)
    return correlations, map_in_chunks(reaches, keys, chunk=chunk).sum()


def _regions(
    importance: Float[Array, "b k"], effects: Float[Array, "b k"]
) -> tuple[jax.Array, jax.Array]:
    check_same_shape(importance, effects, names=("importance", "effects"))
    if jnp.ndim(importance) != 2:
        raise ValueError(
            "importance: expected shape (pictures, regions), got"
            f" {jnp.shape(importance)}; one picture is x[None]"
        )
    return jnp.asarray(importance), jnp.asarray(effects)
