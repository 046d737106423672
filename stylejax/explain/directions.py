"""Directions of a latent space: found from samples or from one point, and walked.

Principal directions say how latents vary, and nothing about what a network does with
them. Singular directions of a function's Jacobian say what changes its output most at
one point; they come from forward and reverse passes alone, the matrix is never made.
What a direction does to the picture is measured in `stylejax.explain.entanglement`.

All are pure and may be jitted. A function given to `jacobian_directions` is compiled
once if it is wrapped in `jax.jit`, for every call if it is not.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stylejax.checks import check_same_shape
from stylejax.explain.latent_arrays import float_array
from stylejax.metrics.perturbation import compiled
from stylejax.typing import Key

Decoder = Callable[[jax.Array], jax.Array]
"""One latent in, one picture `h w c` or `1 h w c` out."""

Latents = Float[Array, "n d"]
_Rows = Callable[[jax.Array], jax.Array]

# Near-equal entries swap places with rounding: any of this share of the largest counts.
_LARGE = 0.99


class PrincipalDirections(NamedTuple):
    """Orthonormal directions in which latents vary most, and by how much.

    Attributes:
      directions: `num d`, unit rows. The first of each row's entries that is within 1 %
        of its largest (by size) is positive, so that runs agree on the sign.
      deviations: `num`, standard deviation of the latents along each, falling.
      shares: `num`, share of the latents' whole variance along each, in [0, 1].
      mean: `d`, the latents' mean.
    """

    directions: Float[Array, "num d"]
    deviations: Float[Array, " num"]
    shares: Float[Array, " num"]
    mean: Float[Array, " d"]


class SingularDirections(NamedTuple):
    """The steps that change a function's output most, at one point.

    Attributes:
      inputs: `num *x`, orthonormal steps; signs as in `PrincipalDirections`.
      outputs: `num *y`, orthonormal; `J inputs[i] = values[i] outputs[i]`.
      values: `num`, size of the output's change per unit of step, falling.
      residuals: `num`, `|J inputs[i] - values[i] outputs[i]|`, what the power
        iterations have left, in the unit of `values`. Large: use more of them.
    """

    inputs: Float[Array, "num ..."]
    outputs: Float[Array, "num ..."]
    values: Float[Array, " num"]
    residuals: Float[Array, " num"]


def principal_directions(latents: Latents, *, num: int) -> PrincipalDirections:
    """The directions in which latents vary most, by exact singular values.

    Args:
      latents: `n d`, any unit.
      num: how many, at most `min(n - 1, d)`.

    Returns:
      `PrincipalDirections`, the largest first, float32 or wider.

    Raises:
      ValueError: wrong shape, or more directions than there are.

    Example:
      >>> x = jnp.array([[0.0, -2.0], [0.0, 2.0], [1.0, 0.0], [-1.0, 0.0]])
      >>> jnp.abs(principal_directions(x, num=1).directions).round(3).tolist()
      [[0.0, 1.0]]

    Reference: Härkönen et al., "GANSpace", 2020, for generators.
    """
    return _exact(_checked_latents(latents, num), num=num)


def randomized_principal_directions(
    key: Key,
    latents: Latents,
    *,
    num: int,
    num_power_iterations: int = 4,
    oversampling: int = 10,
) -> PrincipalDirections:
    """The directions in which latents vary most, by randomised singular values.

    For wide latents: costs products with `num + oversampling` vectors in place of a
    full decomposition. Exact where that number reaches the rank.

    Args:
      key: random key.
      latents: `n d`, any unit.
      num: how many, at most `min(n - 1, d)`.
      num_power_iterations: more of them where the variances fall slowly.
      oversampling: vectors beyond `num`.

    Returns:
      `PrincipalDirections`, float32 or wider; `shares` are of the exact whole variance.

    Raises:
      ValueError: wrong shape, or more directions than there are.

    Reference: Halko, Martinsson and Tropp, "Finding structure with randomness", 2011.
    """
    latents = _checked_latents(latents, num)
    num_probes = _num_probes(num, oversampling, most=min(latents.shape))
    return _randomized(
        key,
        latents,
        num=num,
        num_probes=num_probes,
        num_power_iterations=num_power_iterations,
    )


def jacobian_directions(
    key: Key,
    fn: Callable[[jax.Array], jax.Array],
    x: jax.Array,
    *,
    num: int,
    num_power_iterations: int = 4,
    oversampling: int = 10,
) -> SingularDirections:
    """The leading singular directions of a function's Jacobian, without the Jacobian.

    A randomised decomposition from `jax.linearize` and its transpose alone, at
    `2 num_power_iterations + 3` batches of `num + oversampling` passes. Exact where
    that number reaches the Jacobian's rank.

    Args:
      key: random key.
      fn: one array to one array: latent to picture, picture to picture, picture to
        code; any shapes.
      x: where it is linearised; float.
      num: how many, at most the size of `x` and of `fn(x)`.
      num_power_iterations: more of them where the singular values fall slowly.
      oversampling: probes beyond `num`.

    Returns:
      `SingularDirections`, the largest first, float32 or wider.

    Raises:
      ValueError: more directions than there are.
      TypeError: `x` is not float.

    Example:
      >>> scale = jnp.array([1.0, 3.0, 2.0])
      >>> found = jacobian_directions(
      ...     jax.random.key(0), lambda x: scale * x, jnp.ones(3), num=2
      ... )
      >>> [round(value, 3) for value in found.values.tolist()]
      [3.0, 2.0]

    Reference: Halko, Martinsson and Tropp, 2011; of generators Ramesh, Choi and LeCun,
      "A Spectral Regularizer for Unsupervised Disentanglement", 2018.
    """
    x = float_array(x, name="x")
    sizes = (np.prod(v.shape) for v in (x, jax.eval_shape(fn, x)))
    num_probes = _num_probes(num, oversampling, most=int(min(sizes)))

    decompose = compiled(
        _decompose,
        fn,
        num=num,
        num_probes=num_probes,
        num_power_iterations=num_power_iterations,
    )
    return decompose(key, x)


def walk(
    decode: Decoder,
    latent: jax.Array,
    direction: jax.Array,
    amounts: Float[Array, " a"],
) -> Float[Array, "a h w c"]:
    """The pictures along a direction: `decode(latent + amount * direction)`.

    Args:
      decode: one latent to one picture, `h w c` or `1 h w c`.
      latent: where the walk passes at amount 0; float.
      direction: a step, of the shape of `latent`.
      amounts: `a` numbers; of a unit direction, distances.

    Returns:
      `a h w c`, in the decoder's range.

    Raises:
      ValueError: a direction of another shape.
      TypeError: `latent` is not float.
    """
    check_same_shape(latent, direction, names=("latent", "direction"))
    latent, direction = float_array(latent, name="latent"), jnp.asarray(direction)

    def picture(amount: jax.Array) -> jax.Array:
        image = decode(latent + amount * direction)
        return image.reshape(image.shape[-3:])

    return jax.vmap(picture)(jnp.asarray(amounts, latent.dtype))


def _decompose(
    fn: Callable[[jax.Array], jax.Array],
    key: Key,
    x: jax.Array,
    *,
    num: int,
    num_probes: int,
    num_power_iterations: int,
) -> SingularDirections:
    out_shape = jax.eval_shape(fn, x).shape
    # There is no decomposition of narrower numbers.
    start = x.reshape(-1).astype(jnp.promote_types(x.dtype, jnp.float32))

    def flat(v: jax.Array) -> jax.Array:
        with jax.default_matmul_precision("highest"):
            out = fn(v.astype(x.dtype).reshape(x.shape)).reshape(-1)
        return out.astype(jnp.promote_types(out.dtype, jnp.float32))

    _, push = jax.linearize(flat, start)
    pull = jax.linear_transpose(push, start)
    apply, transposed = jax.vmap(push), jax.vmap(lambda u: pull(u)[0])
    probes = jax.random.normal(key, (num_probes, x.size), start.dtype)
    us, values, vs = _randomized_svd(probes, apply, transposed, num_power_iterations)
    us, values, vs = us[:num], values[:num], vs[:num]
    signs = _signs(vs)[:, None]
    return SingularDirections(
        inputs=(signs * vs).reshape(num, *x.shape),
        outputs=(signs * us).reshape(num, *out_shape),
        values=values,
        residuals=jnp.linalg.norm(apply(vs) - values[:, None] * us, axis=1),
    )


def _check_num(num: int, most: int) -> None:
    if not 1 <= num <= most:
        raise ValueError(f"num: expected 1 to {most} directions, got {num}")


def _num_probes(num: int, oversampling: int, *, most: int) -> int:
    _check_num(num, most)
    if oversampling < 0:
        raise ValueError(f"oversampling: expected at least 0, got {oversampling}")
    return min(num + oversampling, most)


def _checked_latents(latents: Latents, num: int) -> Latents:
    """In float32 or wider: there is no decomposition of narrower numbers."""
    latents = jnp.asarray(latents)
    if latents.ndim != 2:
        raise ValueError(
            f"latents: expected shape (n, d), got {latents.shape}; flatten each"
        )
    _check_num(num, min(latents.shape[0] - 1, latents.shape[1]))
    return latents.astype(jnp.promote_types(latents.dtype, jnp.float32))


@functools.partial(jax.jit, static_argnames="num")
def _exact(latents: Latents, *, num: int) -> PrincipalDirections:
    centered = latents - latents.mean(axis=0)[None]
    _, values, rows = jnp.linalg.svd(centered, full_matrices=False)
    return _principal(latents, values[:num], rows[:num])


@functools.partial(
    jax.jit, static_argnames=("num", "num_probes", "num_power_iterations")
)
def _randomized(
    key: Key, latents: Latents, *, num: int, num_probes: int, num_power_iterations: int
) -> PrincipalDirections:
    centered = latents - latents.mean(axis=0)[None]
    dot = functools.partial(jnp.matmul, precision="highest")
    _, values, rows = _randomized_svd(
        jax.random.normal(key, (num_probes, latents.shape[1]), latents.dtype),
        lambda v: dot(v, centered.T),
        lambda u: dot(u, centered),
        num_power_iterations,
    )
    return _principal(latents, values[:num], rows[:num])


def _principal(
    latents: Latents, values: jax.Array, rows: jax.Array
) -> PrincipalDirections:
    mean = latents.mean(axis=0)
    return PrincipalDirections(
        directions=_signs(rows)[:, None] * rows,
        deviations=values / jnp.sqrt(latents.shape[0] - 1),
        shares=values**2 / jnp.sum((latents - mean[None]) ** 2),
        mean=mean,
    )


def _signs(rows: Float[Array, "k d"]) -> Float[Array, " k"]:
    """1 or -1 for each row: the sign of the first of its entries that are large."""
    sizes = jnp.abs(rows)
    first = jnp.argmax(sizes >= _LARGE * sizes.max(axis=1, keepdims=True), axis=1)
    return jnp.where(jnp.take_along_axis(rows, first[:, None], 1)[:, 0] < 0, -1.0, 1.0)


def _randomized_svd(
    probes: jax.Array, apply: _Rows, transposed: _Rows, num_power_iterations: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Left vectors, values and right vectors, as rows, of a linear map of rows."""

    def orthonormal(rows: jax.Array) -> jax.Array:
        return jnp.linalg.qr(rows.T)[0].T

    def iterate(_: int, left: jax.Array) -> jax.Array:
        return orthonormal(apply(orthonormal(transposed(left))))

    left = orthonormal(apply(probes))
    left = jax.lax.fori_loop(0, num_power_iterations, iterate, left)
    # rows(left) J is small: its decomposition is that of J within the span of `left`.
    inner, values, right = jnp.linalg.svd(transposed(left), full_matrices=False)
    return jnp.matmul(inner.T, left, precision="highest"), values, right
