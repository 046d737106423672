"""What each direction of a latent space does to each factor of the pictures.

The effect of direction i on factor j is a slope, measured on decoded pictures and
stated in spreads of that factor over the data, so that factors of any unit compare.
How clean the matrix is says little without the same directions turned at random beside
it: see `entanglement_band`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stylejax.checks import check_positive
from stylejax.explain.directions import Decoder, Latents, walk
from stylejax.explain.latent_arrays import checked_factors, checked_walks
from stylejax.metrics.perturbation import map_in_chunks
from stylejax.metrics.pixel import Interval
from stylejax.typing import Key

FactorsFn = Callable[[jax.Array], jax.Array]
"""Pictures `b h w c` in, `m` measured factors of each out: `b m`."""

# A factor that varies by no more than this share of itself does so by rounding.
_ROUNDING = 1e-6
# A draw that ties with the directions themselves, but for rounding, has reached them.
_TIE = 1e-6


class DCIScores(NamedTuple):
    """How nearly each direction has one factor, and each factor one direction.

    Attributes:
      disentanglement: mean of `per_direction`, weighted by the size of the rows.
      completeness: mean of `per_factor`, weighted by the size of the columns.
      per_direction: `k`, 1 if a direction moves one factor, 0 if all of them alike.
      per_factor: `m`, 1 if a factor is moved by one direction, 0 if by all alike.
    """

    disentanglement: float
    completeness: float
    per_direction: np.ndarray
    per_factor: np.ndarray


class Entanglement(NamedTuple):
    """What each of `k` directions does to each of `m` factors.

    Attributes:
      matrix: `k m`, `sizes` with each row divided by its sum: the share of direction
        i's effect that falls on factor j. A row of zeros is a direction without effect.
      effects: `k m`, mean signed slope, in spreads of the factor per unit of amount.
      sizes: `k m`, mean absolute value of the same slopes.
      spreads: `m`, standard deviation of each factor over the latents.
      scores: `dci_scores` of `sizes`.
    """

    matrix: np.ndarray
    effects: np.ndarray
    sizes: np.ndarray
    spreads: np.ndarray
    scores: DCIScores


class EntanglementBand(NamedTuple):
    """The scores of the same directions turned at random.

    Attributes:
      disentanglement: the interval that holds `level` of the draws.
      completeness: likewise.
      p_disentanglement: how rare the score of the directions themselves is among the
        draws: `(1 + draws that reach it) / (1 + draws)`.
      p_completeness: likewise.
    """

    disentanglement: Interval
    completeness: Interval
    p_disentanglement: float
    p_completeness: float


def factor_slopes(
    factors_fn: FactorsFn,
    decode: Decoder,
    latents: Latents,
    directions: Float[Array, "k d"],
    amounts: Float[Array, " a"],
    *,
    chunk: int = 8,
) -> Float[Array, "n k m"]:
    """The slope of every factor along every direction from every latent.

    Least squares over the amounts, with an intercept. Pure.

    Args:
      factors_fn: pictures `b h w c` to factors `b m`.
      decode: one latent `d` to one picture, `h w c` or `1 h w c`.
      latents: `n d`, where the walks start.
      directions: `k d`.
      amounts: at least two different numbers; each walk decodes as many pictures.
      chunk: walks at once, which alone decides the memory.

    Returns:
      `n k m`, in the factor's unit per unit of amount.

    Raises:
      ValueError: directions of another width than the latents, amounts that do not
        differ, or factors of another shape.
      TypeError: latents that are not floats.
    """
    latents, directions, amounts = checked_walks(latents, directions, amounts)
    centered = amounts - amounts.mean()
    weights = centered / jnp.sum(centered**2)

    def slope(pair: tuple[jax.Array, jax.Array]) -> jax.Array:
        with jax.default_matmul_precision("highest"):
            pictures = walk(decode, latents[pair[0]], directions[pair[1]], amounts)
            factors = checked_factors(factors_fn, pictures)
        # The first is taken away before the sum: a large constant would be rounded.
        return jnp.einsum(
            "a,am->m", weights, factors - factors[:1], precision="highest"
        )

    n, k = latents.shape[0], directions.shape[0]
    pairs = (jnp.repeat(jnp.arange(n), k), jnp.tile(jnp.arange(k), n))
    return map_in_chunks(slope, pairs, chunk=chunk).reshape(n, k, -1)


def entanglement(
    factors_fn: FactorsFn,
    decode: Decoder,
    latents: Latents,
    directions: Float[Array, "k d"],
    amounts: Float[Array, " a"],
    *,
    chunk: int = 8,
) -> Entanglement:
    """The effect of each direction on each factor, and how cleanly they pair up.

    Args:
      factors_fn: pictures `b h w c` to factors `b m`, such as hue and stroke width.
      decode: one latent `d` to one picture, `h w c` or `1 h w c`.
      latents: `n d`, a sample of the data; at least two.
      directions: `k d`, of the length that one unit of amount is to mean.
      amounts: at least two different numbers, such as -1, 0, 1.
      chunk: walks at once, which alone decides the memory.

    Returns:
      `Entanglement`, NumPy float64.

    Raises:
      ValueError: wrong shapes, amounts that do not differ, or a factor that is the same
        for all latents.
      TypeError: latents that are not floats.

    Reference: Eastwood and Williams 2018, with slopes for predictors' importances.
    """
    slopes, spreads = _measure(factors_fn, decode, latents, directions, amounts, chunk)
    sizes = np.abs(slopes).mean(axis=0) / spreads
    return Entanglement(
        matrix=_shares(sizes, axis=1),
        effects=slopes.mean(axis=0) / spreads,
        sizes=sizes,
        spreads=spreads,
        scores=dci_scores(sizes),
    )


def dci_scores(sizes: Float[np.ndarray, "k m"]) -> DCIScores:
    """Disentanglement and completeness of a matrix of effects.

    With `P_ij = R_ij / sum_j R_ij`, direction i scores
    `D_i = 1 + sum_j P_ij log P_ij / log m`, and the whole `sum_i w_i D_i` with
    `w_i = sum_j R_ij / sum_ij R_ij`. Completeness is the same of the columns, with
    `log k`. A direction without effect scores 0 and has no weight.

    Args:
      sizes: `R`, `k m`, not negative: size of direction i's effect on factor j.

    Returns:
      `DCIScores`, all in [0, 1].

    Raises:
      ValueError: no matrix, or negative or not finite numbers.

    Example:
      >>> dci_scores(np.array([[2.0, 0.0], [1.0, 1.0]])).disentanglement
      0.5

    Reference: Eastwood and Williams, "A Framework for the Quantitative Evaluation of
      Disentangled Representations", 2018; both means weighted as by Locatello et al.
      2019. A single factor (direction) leaves nothing to tell apart and scores 1.
    """
    sizes = np.asarray(sizes, np.float64)
    if sizes.ndim != 2 or not np.isfinite(sizes).all() or (sizes < 0).any():
        raise ValueError(
            "sizes: expected a matrix (directions, factors) of finite numbers of at"
            f" least 0, got shape {sizes.shape}; take absolute values"
        )
    per_direction, per_factor = _concentration(sizes, 1), _concentration(sizes, 0)
    return DCIScores(
        disentanglement=float(per_direction @ _shares(sizes.sum(axis=1), axis=0)),
        completeness=float(per_factor @ _shares(sizes.sum(axis=0), axis=0)),
        per_direction=per_direction,
        per_factor=per_factor,
    )


def random_turn(key: Key, directions: Float[Array, "k d"]) -> Float[Array, "k d"]:
    """The same directions turned together at random in the whole space.

    Lengths and mutual angles stay: nothing but the orientation is random.

    Args:
      key: random key.
      directions: `k d`.

    Returns:
      `k d`, with the same inner products, uniformly distributed.

    Reference: Mezzadri, "How to generate random matrices from the classical compact
      groups", 2007, for the signs that make the frame uniform.
    """
    directions = jnp.asarray(directions)
    _, upper = jnp.linalg.qr(directions.T)
    frame = jax.random.normal(key, (directions.shape[1], upper.shape[0]))
    q, r = jnp.linalg.qr(frame.astype(directions.dtype))
    frame = q * jnp.sign(jnp.diagonal(r))[None]
    return jnp.matmul(upper.T, frame.T, precision="highest")


def entanglement_band(
    key: Key,
    factors_fn: FactorsFn,
    decode: Decoder,
    latents: Latents,
    directions: Float[Array, "k d"],
    amounts: Float[Array, " a"],
    *,
    num_draws: int = 20,
    level: float = 0.9,
    chunk: int = 8,
) -> EntanglementBand:
    """Where the scores of `entanglement` lie for directions turned at random.

    Args:
      key: random key.
      factors_fn: as in `entanglement`, and so the next five.
      decode: one latent to one picture.
      latents: `n d`.
      directions: `k d`; each draw is a `random_turn` of them.
      amounts: where each walk stops.
      num_draws: each costs as much as `entanglement` itself.
      level: share of the draws inside the intervals, in (0, 1).
      chunk: walks at once.

    Returns:
      `EntanglementBand`: intervals, and how rare the directions' own scores are.

    Raises:
      ValueError: as `entanglement`; no draws, or a level outside (0, 1).

    Reference: Härkönen et al. 2020 keep random directions beside theirs as well.
    """
    check_positive(num_draws, name="num_draws")
    if not 0 < level < 1:
        raise ValueError(f"level: expected a number between 0 and 1, got {level}")
    latents, directions, amounts = checked_walks(latents, directions, amounts)
    keys = jax.random.split(key, num_draws)
    turned = jax.vmap(random_turn, in_axes=(0, None))(keys, directions)
    sets = jnp.concatenate([directions[None], turned]).reshape(-1, directions.shape[1])
    slopes, spreads = _measure(factors_fn, decode, latents, sets, amounts, chunk)
    sizes = np.abs(slopes).mean(axis=0) / spreads
    scores = [dci_scores(s) for s in sizes.reshape(num_draws + 1, -1, len(spreads))]
    disentanglement, completeness = np.array([s[:2] for s in scores]).T
    return EntanglementBand(
        disentanglement=_band(disentanglement[1:], level),
        completeness=_band(completeness[1:], level),
        p_disentanglement=_rarity(disentanglement),
        p_completeness=_rarity(completeness),
    )


def _band(draws: np.ndarray, level: float) -> Interval:
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def _rarity(scores: np.ndarray) -> float:
    """The share of scores, the first one included, that reach the first one."""
    return float(np.mean(scores >= scores[0] - _TIE))


def _measure(
    factors_fn: FactorsFn,
    decode: Decoder,
    latents: Latents,
    directions: jax.Array,
    amounts: jax.Array,
    chunk: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Slopes `n k m` and the factors' spreads `m`, on the host."""
    latents, directions, amounts = checked_walks(latents, directions, amounts)

    @jax.jit
    def measure(latents: Latents, directions: jax.Array, amounts: jax.Array):
        def factors(latent: jax.Array) -> jax.Array:
            pictures = walk(decode, latent, latent, jnp.zeros(1))
            return checked_factors(factors_fn, pictures)[0]

        with jax.default_matmul_precision("highest"):
            here = map_in_chunks(factors, latents, chunk=chunk)
        return here, factor_slopes(
            factors_fn, decode, latents, directions, amounts, chunk=chunk
        )

    values = measure(latents, directions, amounts)
    here, slopes = (np.asarray(v, np.float64) for v in values)
    spreads = here.std(axis=0)
    flat = np.flatnonzero(spreads <= _ROUNDING * np.abs(here).max(axis=0))
    if len(flat):
        raise ValueError(
            "factors_fn: expected factors that differ between the latents, got the"
            f" same value of factor {flat[0]} for all {len(here)}; give more latents"
            " or leave it out"
        )
    return slopes, spreads


def _shares(sizes: np.ndarray, *, axis: int) -> np.ndarray:
    total = sizes.sum(axis=axis, keepdims=True)
    return sizes / np.where(total > 0, total, 1)


def _concentration(sizes: np.ndarray, axis: int) -> np.ndarray:
    """1 minus the entropy along an axis, in units of the largest there can be."""
    shares = _shares(sizes, axis=axis)
    logs = np.log(np.where(shares > 0, shares, 1))
    most = np.log(max(sizes.shape[axis], 2))
    scores = 1 + np.sum(shares * logs, axis=axis) / most
    return np.where(sizes.sum(axis=axis) > 0, np.clip(scores, 0, 1), 0.0)
