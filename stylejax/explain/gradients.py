"""Gradients of a target at a picture, alone and averaged over draws.

A gradient says what a small change would do, not how much of the target the picture
made: its map is in the target's unit per unit of the picture, and the sum that comes
with it is the change it predicts from the baseline, `sum map (x - x')`. How wrong that
prediction is stands beside it, as with every method.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stylejax.checks import check_positive
from stylejax.explain.baselines import make_baseline
from stylejax.explain.cancellation import check_baseline
from stylejax.explain.completeness import Attribution, measure
from stylejax.explain.paths import checked_chunk
from stylejax.explain.pictures import (
    Picture,
    check_function,
    one_picture,
    scalar_at,
)
from stylejax.typing import Key, ScalarFn


def gradient(fn: ScalarFn, image: Any, *, baseline: Any = "blur") -> Attribution:
    """The gradient of the target at the picture.

    Args:
      fn: pictures `b h w c` to one number each, `b` (or a scalar); differentiable.
      image: one picture `h w c` or `1 h w c`, float.
      baseline: from where the predicted change is counted.

    Returns:
      An `Attribution`; `map` is `dF/dx`, `sum` is `sum dF/dx (x - x')`.

    Raises:
      ValueError: a wrong shape or name.
      TypeError: `image` is not float.

    Reference: Simonyan, Vedaldi and Zisserman, "Deep Inside Convolutional Networks",
      2013. Theirs takes the size of the gradient; ours keeps its sign.
    """
    picture, start = _prepared(fn, image, baseline)
    slope, ends = jax.jit(functools.partial(_gradient_and_ends, fn))(picture, start)
    total = float(_sum(slope * (picture - start)))
    return measure(
        slope.reshape(jnp.shape(image)),
        ends=_floats(ends),
        num_steps=1,
        method="gradient",
        total=total,
    )


def input_x_gradient(
    fn: ScalarFn, image: Any, *, baseline: Any = "blur"
) -> Attribution:
    """The gradient times the picture's distance from the baseline.

    `map_i = (x_i - x'_i) dF/dx_i(x)`: integrated gradients with one node, at the end of
    the path. From black it is the method as published.

    Args:
      fn: pictures `b h w c` to one number each, `b` (or a scalar); differentiable.
      image: one picture `h w c` or `1 h w c`, float.
      baseline: a name in `baselines.BASELINES` or a picture.

    Returns:
      An `Attribution`, complete for linear functions.

    Raises:
      ValueError: a wrong shape or name.
      TypeError: `image` is not float.

    Reference: Shrikumar et al., "Not Just a Black Box", 2016.
    """
    picture, start = _prepared(fn, image, baseline)
    slope, ends = jax.jit(functools.partial(_gradient_and_ends, fn))(picture, start)
    return measure(
        (slope * (picture - start)).reshape(jnp.shape(image)),
        ends=_floats(ends),
        num_steps=1,
        method="input_x_gradient",
    )


def smooth_gradient(
    key: Key,
    fn: ScalarFn,
    image: Any,
    *,
    baseline: Any = "blur",
    num_samples: int = 32,
    noise: float = 0.1,
    chunk: int | None = None,
) -> Attribution:
    """The gradient averaged over the picture with noise.

    Args:
      key: random key.
      fn: pictures `b h w c` to one number each, `b` (or a scalar); differentiable.
      image: one picture `h w c` or `1 h w c`, float.
      baseline: from where the predicted change is counted.
      num_samples: draws, one gradient each.
      noise: standard deviation, as a share of the picture's range (largest less
        smallest value).
      chunk: draws differentiated at once, which decides the memory.

    Returns:
      An `Attribution`; `map` is the mean gradient, `error_map` one standard error
      (None for one draw).

    Raises:
      ValueError: a wrong shape, name or number.
      TypeError: `image` is not float.

    Reference: Smilkov et al., "SmoothGrad: Removing Noise by Adding Noise", 2017.
    """
    check_positive(noise, name="noise")
    picture, start = _prepared(fn, image, baseline)
    size = checked_chunk(chunk, shape=picture.shape, num_steps=num_samples)
    sigma = noise * (picture.max() - picture.min())

    def draw(key: Key, _: jax.Array) -> Picture:
        point = picture + sigma * jax.random.normal(key, picture.shape)
        return jax.grad(functools.partial(scalar_at, fn))(point)

    slope, error = _averaged(key, draw, picture, num_samples=num_samples, size=size)
    _, ends = jax.jit(functools.partial(_gradient_and_ends, fn))(picture, start)
    return measure(
        slope.reshape(jnp.shape(image)),
        ends=_floats(ends),
        num_steps=num_samples,
        method="smooth_gradient",
        total=float(_sum(slope * (picture - start))),
        error_map=None if error is None else error.reshape(jnp.shape(image)),
        error_kind="" if error is None else "sampling",
    )


def expected_gradients(
    key: Key,
    fn: ScalarFn,
    image: Any,
    *,
    baselines: Float[Array, "m h w c"],
    num_samples: int = 128,
    chunk: int | None = None,
    allow_constant_baseline: bool = False,
) -> Attribution:
    """Integrated gradients averaged over baselines from the data.

    Each draw takes a baseline and a point of its straight path. Baselines take turns,
    and the points of each are stratified, so that the average settles sooner than with
    independent draws.

    Args:
      key: random key.
      fn: pictures `b h w c` to one number each, `b` (or a scalar); differentiable.
      image: one picture `h w c` or `1 h w c`, float.
      baselines: pictures of the data.
      num_samples: draws, one gradient each; at least one for each baseline.
      chunk: draws differentiated at once, which decides the memory.
      allow_constant_baseline: explain even where a constant baseline is meaningless.

    Returns:
      An `Attribution`; `target_baseline` is the mean over the baselines, `error_map`
      one standard error over draws, None for one draw.

    Raises:
      ValueError: a wrong shape or number; a constant baseline that a normalisation
        layer cancels.
      TypeError: `image` is not float.

    Reference: Erion et al., "Improving Performance of Deep Learning Models with
      Axiomatic Attribution Priors and Expected Gradients", 2021. Ours stratifies.
    """
    picture = one_picture(image)
    check_function(fn, picture)
    baselines = jnp.asarray(baselines, picture.dtype)
    if baselines.ndim != 4 or baselines.shape[1:] != picture.shape:
        raise ValueError(
            f"baselines: expected pictures of shape (m, {picture.shape[0]},"
            f" {picture.shape[1]}, {picture.shape[2]}), got {baselines.shape}"
        )
    if num_samples < len(baselines):
        raise ValueError(
            f"num_samples: expected at least {len(baselines)}, one for each baseline,"
            f" got {num_samples}"
        )
    for start in baselines:
        at = functools.partial(scalar_at, fn)
        check_baseline(at, start, picture, allow=allow_constant_baseline)
    rounds = num_samples // len(baselines)
    num_samples = rounds * len(baselines)
    size = checked_chunk(chunk, shape=picture.shape, num_steps=num_samples)

    def draw(key: Key, index: jax.Array) -> Picture:
        start = baselines[index % len(baselines)]
        alpha = (index // len(baselines) + jax.random.uniform(key)) / rounds
        point = start + alpha * (picture - start)
        slope = jax.grad(functools.partial(scalar_at, fn))(point)
        return slope * (picture - start)

    values, error = _averaged(key, draw, picture, num_samples=num_samples, size=size)
    value_at = functools.partial(scalar_at, fn)
    at_baselines = jax.lax.map(value_at, baselines, batch_size=size).mean()
    return measure(
        values.reshape(jnp.shape(image)),
        ends=(float(value_at(picture)), float(at_baselines)),
        num_steps=num_samples,
        method="expected_gradients",
        error_map=None if error is None else error.reshape(jnp.shape(image)),
        error_kind="" if error is None else "sampling",
    )


def _averaged(
    key: Key,
    draw: Callable[[Key, jax.Array], Picture],
    picture: Picture,
    *,
    num_samples: int,
    size: int,
) -> tuple[Picture, Picture | None]:
    """Mean of draws and its standard error, in chunks of `size`.

    Chunks are merged by their own means (Chan et al. 1979): squares about 0 would
    cancel where the mean is large.
    """
    if num_samples < 1:
        raise ValueError(f"num_samples: expected at least 1, got {num_samples}")
    keys = jax.random.split(key, num_samples)

    @jax.jit
    def merge(mean: Picture, spread: Picture, index: jax.Array) -> tuple:
        chosen = jnp.minimum(index, num_samples - 1)
        values = jax.vmap(draw)(keys[chosen], chosen)
        # The last chunk is filled up with draws of weight zero.
        weights = (index < num_samples).astype(picture.dtype)[:, None, None, None]
        before, count = index[0], weights.sum()
        own = (weights * values).sum(axis=0) / count
        off, share = own - mean, count / (before + count)
        spread += (weights * (values - own[None]) ** 2).sum(axis=0)
        return mean + share * off, spread + share * before * off**2

    mean, spread = jnp.zeros_like(picture), jnp.zeros_like(picture)
    # A loop on the host: see `StraightPath`.
    for begin in range(0, num_samples, size):
        mean, spread = merge(mean, spread, jnp.arange(begin, begin + size))
    if num_samples == 1:
        return mean, None
    return mean, jnp.sqrt(spread / num_samples / (num_samples - 1))


def _prepared(fn: ScalarFn, image: Any, baseline: Any) -> tuple[Picture, Picture]:
    picture = one_picture(image)
    check_function(fn, picture)
    return picture, make_baseline(baseline, image=picture)


def _gradient_and_ends(
    fn: ScalarFn, picture: Picture, start: Picture
) -> tuple[Picture, tuple[jax.Array, jax.Array]]:
    end, slope = jax.value_and_grad(functools.partial(scalar_at, fn))(picture)
    return slope, (end, scalar_at(fn, start))


def _sum(values: jax.Array) -> np.floating:
    return np.asarray(values, np.float64).sum()


def _floats(ends: tuple[jax.Array, jax.Array]) -> tuple[float, float]:
    return float(ends[0]), float(ends[1])
