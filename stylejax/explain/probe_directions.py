"""Is what a probe reads also used? Moving activations along it, and taking it away.

That a factor can be read off activations does not mean that a network reads it there.
So the activations are moved along the probe's normal and decoded: the factor must
change, by more than it does along random directions of the same length. And where the
activations lose what they have along the normal, the factor must change as well.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from stylejax.explain.batched_map import batched_map
from stylejax.typing import Key, ScalarFn

Decoder = Callable[[jax.Array], jax.Array]
"""One latent in, one picture `h w c` or `1 h w c` out."""

LEVEL = 0.05
"""The share of random directions that may do as much as one that is said to act."""

# A direction shorter than this share of itself after projection is rounding.
_RANK = 1e-5


@dataclasses.dataclass(frozen=True, eq=False)
class DirectionEffect:
    """What a direction does to a factor of the decoded pictures, beside random ones.

    Attributes:
      steps: `s` distances along the unit direction, in the latents' unit.
      curves: `n s`, the factor of each latent moved so far.
      slope: mean over the latents of the least squares slope, factor per distance.
      spearman: mean over the latents of the rank correlation of step and factor, where
        a constant factor counts as 0.
      random_slopes: `r`, the slopes along random directions of the same length.
      z: `slope` in standard deviations of these from their mean.
      percentile: share of these that are smaller in size, in per cent.
      p_value: `(1 + those at least as large in size) / (1 + r)`.
      removed: mean absolute change of the factor where the latents are projected onto
        the hyperplane through `center`; NaN for one latent and no center.
      random_removed: `r`, the same for random directions.
      p_removed: as `p_value`, for `removed`.
    """

    steps: np.ndarray
    curves: np.ndarray
    slope: float
    spearman: float
    random_slopes: np.ndarray
    z: float
    percentile: float
    p_value: float
    removed: float
    random_removed: np.ndarray
    p_removed: float

    @property
    def curve(self) -> np.ndarray:
        """The factor against the step, `s`: the mean over the latents."""
        return self.curves.mean(axis=0)

    @property
    def acts(self) -> bool:
        """Whether few enough random directions change the factor as much."""
        return self.p_value <= LEVEL

    def summary(self) -> str:
        """One line for people.

        Returns:
          Text without a line break.
        """
        verdict = "changes" if self.acts else "does not change"
        return (
            f"moving along it {verdict} the factor: slope {self.slope:.3g}, Spearman"
            f" {self.spearman:.2f}, z {self.z:.1f} and p {self.p_value:.2g} against"
            f" {len(self.random_slopes)} random directions; projecting it out changes"
            f" the factor by {self.removed:.3g}, p {self.p_removed:.2g}"
        )


def direction_effect(
    key: Key,
    read_out: ScalarFn,
    decode: Decoder,
    latents: jax.Array,
    direction: jax.Array,
    steps: ArrayLike,
    *,
    center: jax.Array | None = None,
    num_random: int = 100,
    chunk: int = 8,
) -> DirectionEffect:
    """What moving along a direction, and projecting it out, does to a factor.

    The direction is one of the latents' own coordinates, such as `Probe.normals[0]`
    (which is not standardised), and is made a unit long.

    Args:
      key: of the random directions, uniform on the sphere.
      read_out: pictures `b h w c` to the factor of each, `b`, measured and not probed:
        a hue, a `Target`.
      decode: one latent `*d` to one picture, `h w c` or `1 h w c`, or to another array
        that `read_out` takes with a leading batch axis.
      latents: `n *d`, where the walks start.
      direction: `*d`, not zero.
      steps: `s` distances, at least two, such as -3 … 3 standard deviations of the
        latents along the direction.
      center: `*d`, where the projection puts the latents' part along the direction; by
        default the latents' mean.
      num_random: random directions to compare with: p is at least `1 / (1 + num)`.
      chunk: walks decoded at once, which alone decides the memory.

    Returns:
      A `DirectionEffect`, on the host.

    Raises:
      ValueError: a direction of another shape, or zero; fewer than two steps.

    Example:
      >>> effect = direction_effect(
      ...     jax.random.key(0), lambda x: x[:, 0], lambda z: 2 * z, jnp.eye(3),
      ...     jnp.array([1.0, 0.0, 0.0]), [-1, 0, 1])
      >>> round(effect.slope, 4), effect.acts
      (2.0, True)

    Reference: Shen et al., "Interpreting the Latent Space of GANs", 2020, move along
      normals; Ravfogel et al., "Null It Out", 2020, project them out.
    """
    latents = jnp.asarray(latents)
    distances = np.unique(np.asarray(steps, np.float32))
    if distances.size < 2 or not np.isfinite(distances).all():
        raise ValueError("steps: expected at least two different finite distances")
    directions = _directions(key, latents.shape[1:], direction, num_random)
    middle = latents.mean(axis=0) if center is None else jnp.asarray(center)
    walks = _walks(read_out, decode, latents, directions, distances, middle, chunk)
    factors = np.asarray(walks, np.float64)
    moved, projected, still = factors[..., :-2], factors[..., -2], factors[..., -1]
    slopes = _slopes(distances, moved).mean(axis=1)
    removed = np.abs(projected - still).mean(axis=1)
    if center is None and len(latents) == 1:
        removed = np.full_like(removed, np.nan)
    spread = slopes[1:].std(ddof=1) if num_random > 1 else np.nan
    return DirectionEffect(
        steps=distances,
        curves=moved[0],
        slope=float(slopes[0]),
        spearman=float(np.mean([_spearman(distances, row) for row in moved[0]])),
        random_slopes=slopes[1:],
        z=float((slopes[0] - slopes[1:].mean()) / spread) if spread > 0 else np.nan,
        percentile=float(100 * (np.abs(slopes[1:]) < abs(slopes[0])).mean()),
        p_value=_rarity(slopes),
        removed=float(removed[0]),
        random_removed=removed[1:],
        p_removed=_rarity(removed),
    )


def project_out(
    features: Float[Array, "n d"],
    directions: Float[Array, "*k d"],
    *,
    center: Float[Array, " d"] | None = None,
) -> Float[Array, "n d"]:
    """The features without what they have along some directions.

    `x - U U' (x - center)` with `U` an orthonormal basis of the directions. No linear
    probe along them can tell the results apart.

    Args:
      features: `n d`.
      directions: `d`, or `k d` rows; of any length, and they may depend on each other.
      center: `d`, the value that is left along the directions; by default 0.

    Returns:
      `n d`.

    Example:
      >>> project_out(jnp.array([[3.0, 4.0]]), jnp.array([2.0, 0.0])).tolist()
      [[0.0, 4.0]]

    Reference: Ravfogel et al., "Null It Out: Guarding Protected Attributes by Iterative
      Nullspace Projection", 2020: one step of it, for all directions given.
    """
    features = jnp.asarray(features)
    start = jnp.zeros_like(features[0]) if center is None else jnp.asarray(center)
    with jax.default_matmul_precision("highest"):
        return _projected(features, jnp.atleast_2d(directions), start)


def conditional_direction(
    primary: Float[Array, " d"], conditions: Float[Array, "*k d"]
) -> Float[Array, " d"]:
    """The part of a direction along which other probes do not change, a unit long.

    Args:
      primary: `d`, the normal of the factor to change.
      conditions: `d`, or `k d` rows: normals of the factors to keep. They need be
        neither unit vectors nor orthogonal.

    Returns:
      `d`: orthogonal to all conditions.

    Raises:
      ValueError: nothing is left, because the conditions span the direction.

    Example:
      >>> x, y = jnp.array([3.0, 1.0]), jnp.array([0.0, 2.0])
      >>> conditional_direction(x, y).tolist()
      [1.0, 0.0]

    Reference: Shen et al., "Interpreting the Latent Space of GANs", 2020, with one
      or two conditions; ours takes any number.
    """
    left = project_out(jnp.asarray(primary)[None], conditions)[0]
    length = float(jnp.linalg.norm(left))
    if not length > _RANK * float(jnp.linalg.norm(primary)):
        raise ValueError(
            "conditions: expected ones that leave something of the direction, got ones"
            " that span it: the factors cannot be told apart by these probes"
        )
    # Again, for what rounding left along the conditions of a nearly spanned direction.
    left = project_out(left[None] / length, conditions)[0]
    return left / jnp.linalg.norm(left)


@jax.jit
def _projected(features: Array, directions: Array, center: Array) -> Array:
    length = jnp.linalg.norm(directions, axis=1, keepdims=True)
    units = directions / jnp.where(length > 0, length, 1)
    _, values, basis = jnp.linalg.svd(units, full_matrices=False)
    # Directions that depend on others span nothing of their own.
    basis = jnp.where((values > _RANK)[:, None], basis, 0)
    return features - (features - center[None]) @ basis.T @ basis


def _directions(
    key: Key, shape: tuple[int, ...], direction: jax.Array, num_random: int
) -> jax.Array:
    """The direction and the random ones, `1 + r *d`, each a unit long."""
    row = np.asarray(direction, np.float32)
    if row.shape != shape:
        raise ValueError(
            f"direction: expected the shape of a latent, {shape}, got {row.shape}"
        )
    if num_random < 1:
        raise ValueError(f"num_random: expected at least 1, got {num_random}")
    if not np.isfinite(row).all() or not row.any():
        raise ValueError("direction: expected finite values that are not all 0")
    drawn = np.asarray(jax.random.normal(key, (num_random, *shape)))
    rows = np.concatenate([row[None], drawn]).reshape(1 + num_random, -1)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return jnp.asarray(rows.reshape(-1, *shape))


def _walks(
    read_out: ScalarFn,
    decode: Decoder,
    latents: jax.Array,
    directions: jax.Array,
    distances: np.ndarray,
    center: jax.Array,
    chunk: int,
) -> jax.Array:
    """Factors `1 + r, n, s + 2`: along the steps, projected, and where it stands."""
    # A plain function may close over what has changed: as in `stylejax.explain.paths`.
    fixed = all(isinstance(fn, jax.stages.Wrapped) for fn in (read_out, decode))
    walk = (_compiled_once if fixed else _compiled)(read_out, decode, chunk)
    with jax.default_matmul_precision("highest"):
        return walk(latents, directions, jnp.asarray(distances), center)


def _compiled(read_out: ScalarFn, decode: Decoder, chunk: int) -> Callable[..., Array]:
    def picture(latent: jax.Array) -> jax.Array:
        out = decode(latent)
        return out.reshape(out.shape[-3:])

    @jax.jit
    def walks(
        latents: jax.Array,
        directions: jax.Array,
        distances: jax.Array,
        center: jax.Array,
    ) -> jax.Array:
        def walk(pair: tuple[jax.Array, jax.Array]) -> jax.Array:
            latent, unit = latents[pair[0]], directions[pair[1]]
            along = jnp.vdot(latent - center, unit)
            amounts = jnp.append(distances, jnp.stack([-along, 0 * along]))
            moved = latent[None] + jnp.tensordot(amounts, unit, axes=0)
            return read_out(jax.vmap(picture)(moved))

        n, r = len(latents), len(directions)
        pairs = (jnp.tile(jnp.arange(n), r), jnp.repeat(jnp.arange(r), n))
        return batched_map(walk, pairs, batch=chunk).reshape(r, n, -1)

    return walks


# Few, because each keeps alive the parameters its functions close over.
_compiled_once = functools.lru_cache(maxsize=4)(_compiled)


def _slopes(steps: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Least squares slopes over the last axis."""
    centered = steps.astype(np.float64) - steps.mean(dtype=np.float64)
    return (factors - factors[..., :1]) @ centered / (centered**2).sum()


def _spearman(steps: np.ndarray, factors: np.ndarray) -> float:
    ranks = rankdata(factors)
    if np.ptp(ranks) == 0:
        return 0.0
    return float(np.corrcoef(rankdata(steps), ranks)[0, 1])


def _rarity(values: np.ndarray) -> float:
    """How rare the first is in size: the share of all that are as large, itself in."""
    sizes = np.abs(values)
    if np.isnan(sizes[0]):
        return float("nan")
    # But for rounding: directions that do exactly nothing are as large as each other.
    as_large = sizes[1:] >= sizes[0] * (1 - 1e-6)
    return float((1 + as_large.sum()) / len(sizes))
