"""Does a target rise with a concept? Concept activation vectors, tested against chance.

A concept is a set of examples. Its vector points from the activations of random
examples to those of the concept, and the derivative of a target along it says whether
the target rises with the concept. Any set of examples has such a vector, so the test
is whether the concept's does more than vectors of random sets do.

The published test counts the share of positive derivatives (TCAV), and compares its
values over runs with the same concept set against many random sets. These values
share the concept set and are no independent sample, so that a random "concept" is
called significant much too often. Here a whole set is one draw: a concept's mean over
its runs is compared with the same mean of each random set in its place.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from stylejax.checks import check_choice, check_positive
from stylejax.explain.concept_vectors import METHODS, Pairs, vectors_of_pairs
from stylejax.explain.probe_arrays import checked_features

TESTS = ("t", "permutation")
"""Against the random sets: a normal distribution of their scores, or their ranks."""

# Permutations that are drawn where there are more.
_RESAMPLES = 9999

DerivativeFn = Callable[[jax.Array], jax.Array]
"""A direction `d` in, the target's derivative along it for each example, `n`, out."""


@dataclasses.dataclass(frozen=True)
class ConceptScore:
    """How a target changes along a concept's vector, beside those of random sets.

    Attributes:
      name: of the concept.
      derivative: mean derivative of the target along the unit vector, over examples and
        runs: the smooth score, in the target's unit per unit of activation.
      tcav: mean share of the examples with a positive derivative, in [0, 1].
      random_derivatives: mean and standard deviation of `derivative` over random sets.
      random_tcav: mean and standard deviation of `tcav` over random sets.
      p_value: of `derivative`, two-sided, times the number of concepts (Bonferroni).
      p_tcav: of `tcav`, likewise. Where the target is nearly linear all examples agree
        on the sign, so that every vector scores 0 or 1 and nothing can be significant.
      agreement: mean cosine between the vectors of different runs.
      num_runs: vectors for each set, each against another random set.
      num_sets: sets of the concept.
      num_random_sets: sets that stood in for the concept.
      num_concepts: concepts tested together.
      test: one of `TESTS`.
      level: below which a p-value is significant.
    """

    name: str
    derivative: float
    tcav: float
    random_derivatives: tuple[float, float]
    random_tcav: tuple[float, float]
    p_value: float
    p_tcav: float
    agreement: float
    num_runs: int
    num_sets: int
    num_random_sets: int
    num_concepts: int
    test: str
    level: float

    @property
    def significant(self) -> bool:
        """Whether the target changes along the concept more than along random sets."""
        return self.p_value <= self.level

    def summary(self) -> str:
        """One line for people.

        Returns:
          Text without a line break.
        """
        verdict = "significant" if self.significant else "not significant"
        return (
            f"{self.name}: derivative {self.derivative:.3g} (random sets"
            f" {self.random_derivatives[0]:.3g} ± {self.random_derivatives[1]:.3g}),"
            f" p {self.p_value:.2g}, {verdict} at {self.level:g}; TCAV {self.tcav:.2f}"
            f" (random {self.random_tcav[0]:.2f} ± {self.random_tcav[1]:.2f}), p"
            f" {self.p_tcav:.2g}; {self.test} test of {self.num_sets} set(s) against"
            f" {self.num_random_sets} random sets, {self.num_runs} runs each, corrected"
            f" for {self.num_concepts} concept(s)"
        )


def concept_test(
    derivatives: ArrayLike | DerivativeFn,
    concepts: Mapping[str, ArrayLike],
    random_sets: ArrayLike,
    *,
    method: str = "logistic",
    num_runs: int = 10,
    test: str = "t",
    l2: float = 1.0,
    level: float = 0.05,
    seed: int = 0,
) -> dict[str, ConceptScore]:
    """Which concepts a target changes with, against random sets in their place.

    Every set, of a concept or random, gets `num_runs` vectors, each against another
    random set. The means of a concept's sets over their runs are compared with those of
    the random sets, two-sided.

    Args:
      derivatives: `n d`, the target's gradient with respect to the activations of each
        explained example; or a function from a direction to the `n` derivatives along
        it (`jax.jvp`), where gradients are too large to keep.
      concepts: by name, activations `m d` of one set, or `s m d` of several disjoint
        ones.
      random_sets: `r m d`: `r` disjoint sets of as many random examples as a concept
        has, `r` above `num_runs` and at least 10. Publications use 500 and more.
      method: one of `METHODS`.
      num_runs: vectors for each set.
      test: `"t"` takes the random sets' scores as normal. `"permutation"` does not, but
        its smallest p-value is `1 / (r + 1)` for one set, before the correction.
      l2: as in `concept_vector`.
      level: of significance, after the Bonferroni correction.
      seed: of the permutations, where there are too many to take all.

    Returns:
      A `ConceptScore` for each concept, by name.

    Raises:
      ValueError: sets of different sizes (a vector from more examples is less noisy,
        and could not be compared), too few random sets, or an unknown name.

    Reference: Kim et al. 2018. They test the runs of one concept set as if they were
      independent; ours takes a set as one draw, and the mean derivative as the score.
    """
    check_choice(method, choices=METHODS, name="method")
    check_choice(test, choices=TESTS, name="test")
    check_positive(l2, name="l2")
    bank, counts = _bank(concepts, random_sets, num_runs)
    num_random, num_sets = counts[-1], sum(counts)
    partners = _partners(num_sets - num_random, num_random, num_runs)
    vectors = vectors_of_pairs(jnp.asarray(bank), partners, l2, method=method)
    along = _along(derivatives, vectors)

    smooth = along.mean(axis=-1).reshape(num_sets, num_runs).mean(axis=1)
    shares = (along > 0).mean(axis=-1).reshape(num_sets, num_runs).mean(axis=1)
    agreement = _agreement(np.asarray(vectors).reshape(num_sets, num_runs, -1))
    *parts, random_part = np.split(np.arange(num_sets), np.cumsum(counts)[:-1])
    scores = {}
    for name, members in zip(concepts, parts, strict=True):
        p_values = [
            min(1.0, len(concepts) * _p_value(s[members], s[random_part], test, seed))
            for s in (smooth, shares)
        ]
        scores[name] = ConceptScore(
            name=name,
            derivative=float(smooth[members].mean()),
            tcav=float(shares[members].mean()),
            random_derivatives=_moments(smooth[random_part]),
            random_tcav=_moments(shares[random_part]),
            p_value=p_values[0],
            p_tcav=p_values[1],
            agreement=float(agreement[members].mean()),
            num_runs=num_runs,
            num_sets=len(members),
            num_random_sets=num_random,
            num_concepts=len(concepts),
            test=test,
            level=level,
        )
    return scores


def _bank(
    concepts: Mapping[str, ArrayLike], random_sets: ArrayLike, num_runs: int
) -> tuple[np.ndarray, list[int]]:
    """All sets, `sets m d`, random ones last, and how many belong to each name."""
    randoms = np.asarray(random_sets, np.float32)
    if num_runs < 1:
        raise ValueError(f"num_runs: expected at least 1, got {num_runs}")
    least = max(10, num_runs + 1)
    if randoms.ndim != 3 or len(randoms) < least:
        raise ValueError(
            f"random_sets: expected (r, m, d) with at least {least} sets for"
            f" {num_runs} runs, got shape {randoms.shape}"
        )
    if not concepts:
        raise ValueError("concepts: expected at least one, got none")
    parts = []
    for name, features in concepts.items():
        sets = np.asarray(features, np.float32)
        sets = sets[None] if sets.ndim == 2 else sets
        if sets.ndim != 3 or sets.shape[1:] != randoms.shape[1:] or not len(sets):
            raise ValueError(
                f"concept {name!r}: expected {randoms.shape[1]} examples of"
                f" {randoms.shape[2]} activations, as each random set has, got shape"
                f" {np.shape(features)}; draw random sets of the same size"
            )
        parts.append(sets)
    bank = np.concatenate([*parts, randoms])
    if not np.isfinite(bank).all():
        raise ValueError("activations: expected finite values, got NaN or infinity")
    return bank, [*map(len, parts), len(randoms)]


def _partners(num_concept: int, num_random: int, num_runs: int) -> Pairs:
    """Each set against `num_runs` random sets, a random one against those after it."""
    first = np.concatenate(
        [num_runs * np.arange(num_concept), np.arange(num_random) + 1]
    )
    negative = (first[:, None] + np.arange(num_runs)[None]) % num_random
    positive = np.repeat(np.arange(num_concept + num_random), num_runs)
    return Pairs(positive, num_concept + negative.reshape(-1))


def _along(derivatives: ArrayLike | DerivativeFn, vectors: jax.Array) -> np.ndarray:
    """The target's derivatives along each vector, float64 `vectors n`."""
    if callable(derivatives):
        along = jax.jit(lambda rows: jax.lax.map(derivatives, rows))(vectors)
        return np.asarray(along, np.float64).reshape(len(vectors), -1)
    gradients = checked_features(derivatives, name="derivatives")
    if gradients.shape[1] != vectors.shape[1]:
        raise ValueError(
            f"derivatives: expected gradients of {vectors.shape[1]} activations, got"
            f" {gradients.shape[1]}"
        )
    return np.asarray(vectors, np.float64) @ gradients.T.astype(np.float64)


def _agreement(vectors: np.ndarray) -> np.ndarray:
    """Mean cosine between different unit vectors of each set: from the sum's length."""
    runs = vectors.shape[1]
    if runs == 1:
        return np.full(len(vectors), np.nan)
    squared = (vectors.sum(axis=1, dtype=np.float64) ** 2).sum(axis=-1)
    return (squared - runs) / (runs * (runs - 1))


def _moments(values: np.ndarray) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1))


def _p_value(
    scores: np.ndarray, random_scores: np.ndarray, test: str, seed: int
) -> float:
    """Two-sided: whether a concept's sets are further draws of the random ones."""
    mean, std = _moments(random_scores)
    gap, count = scores.mean() - mean, len(random_scores)
    if gap == 0:
        return 1.0
    if test == "t" and std > 0:
        # The spread is that of the random sets alone: a single set has none of its own.
        t = gap / (std * np.sqrt(1 / len(scores) + 1 / count))
        return float(2 * stats.t.sf(abs(t), count - 1))
    return _permutation_p(scores, random_scores, seed)


def _permutation_p(scores: np.ndarray, random_scores: np.ndarray, seed: int) -> float:
    """The share of choices of as many sets whose mean is as far from that of all."""
    pooled = np.concatenate([scores, random_scores])
    pooled = pooled - pooled.mean()
    size = len(scores)
    if math.comb(len(pooled), size) <= _RESAMPLES:
        choices = np.array(list(itertools.combinations(range(len(pooled)), size)))
    else:
        drawn = np.random.default_rng(seed).random((_RESAMPLES, len(pooled)))
        others = drawn.argsort(axis=1)[:, :size]
        choices = np.concatenate([np.arange(size)[None], others])
    far = np.abs(pooled[choices].mean(axis=1))
    # But for rounding: choices of equal scores are as far as each other.
    return float((far >= far[0] * (1 - 1e-9)).mean())
