"""Curved paths of attribution, along which completeness holds as well.

Integrated gradients add up along *any* path from a baseline to the picture; the
straight one passes through pictures that look like a double exposure. A `Curve` maps
0 to the baseline and 1 to the picture, `alpha -> h w c`, and is differentiable. What is
here: blur (detail comes in from coarse to fine), statistics (the layout stays, and each
channel's mean and deviation move: the path of style transfer), and guided (pixels the
function cares least about move first).
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

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
from stylejax.explain.quadrature import (
    coarser_weights,
    node_blocks,
    nodes_and_weights,
)
from stylejax.typing import ScalarFn

Curve = Callable[[jax.Array], Picture]
"""`alpha` in [0, 1] to a picture `h w c`; 0 gives the baseline, 1 the picture."""

# Of a channel's deviation: below, a flat channel has no layout to rescale.
_EPS = 1e-5


def blur_curve(image: Picture, *, sigma: float) -> Curve:
    """The path along which a picture comes into focus.

    The blur of standard deviation `sigma (1 - alpha)`: heat flow with reflecting
    borders, so that a flat picture stays flat.

    Args:
      image: the end of the path, `h w c`.
      sigma: standard deviation at its start, in pixels.

    Returns:
      A `Curve`.

    Reference: Xu, Venugopalan and Sundararajan, "Attribution in Scale and Space", 2020;
      Gu and Dong, "Interpreting Super-Resolution Networks with Local Attribution Maps",
      2021. Ours has reflecting borders and is differentiated exactly.
    """
    height, width = image.shape[:2]
    # Exact on the grid: the cosine waves with even borders are the modes of the blur.
    down, right = (np.pi * np.arange(n) / n for n in (height, width))
    squared = (down[:, None] ** 2 + right[None] ** 2)[..., None].astype(np.float32)
    waves = _cosines(height), _cosines(width)
    spectrum = _transformed(image, *waves)

    def at(alpha: jax.Array) -> Picture:
        width_now = sigma * (1 - alpha)
        faded = spectrum * jnp.exp(-0.5 * squared * width_now**2)
        return _transformed(faded, waves[0].T, waves[1].T)

    return at


def statistics_curve(image: Picture, baseline: Picture) -> Curve:
    """The path along which only each channel's mean and deviation move.

    `(image - m(image)) / s(image) * s_alpha + m_alpha`, with `m_alpha` and `s_alpha`
    straight from the baseline's to the image's: adaptive instance normalisation. It
    starts from the picture in the baseline's statistics, not from the baseline. For
    pictures and feature maps `h w c` alike.

    Args:
      image: the end of the path, `h w c`.
      baseline: whose statistics it starts from, `h' w' c`.

    Returns:
      A `Curve`.

    Reference: Huang and Belongie, "Arbitrary Style Transfer in Real-time with Adaptive
      Instance Normalization", 2017, for the statistics; the path is ours.
    """
    mean, deviation = _moments(image)
    mean_from, deviation_from = _moments(baseline)
    layout = (image - mean) / deviation

    def at(alpha: jax.Array) -> Picture:
        deviation_now = (1 - alpha) * deviation_from + alpha * deviation
        return layout * deviation_now + (1 - alpha) * mean_from + alpha * mean

    return at


def curve_gradients(
    fn: ScalarFn,
    curve: Curve,
    *,
    num_steps: int = 32,
    rule: str = "gauss_legendre",
    chunk: int | None = None,
) -> Attribution:
    """Integrated gradients along a curve, with their completeness error.

    `map_i = sum_k w_k dF/dx_i(c(alpha_k)) dc_i/dalpha(alpha_k)`, which for the exact
    integral sums to `F(c(1)) - F(c(0))`.

    Args:
      fn: pictures `b h w c` to one number each, `b` (or a scalar); differentiable.
      curve: the path, such as `blur_curve(image, sigma=4)`.
      num_steps: nodes of the rule.
      rule: a name in `quadrature.RULES`.
      chunk: points differentiated at once, which decides the memory.

    Returns:
      An `Attribution`, its map of the shape of `curve(1)`.

    Raises:
      ValueError: a wrong rule or number, or a function that gives no single number.

    Example:
      >>> total = lambda x: x.sum(axis=(1, 2, 3))
      >>> curve = statistics_curve(jnp.array([[[2.0], [0.0]]]), jnp.zeros((1, 2, 1)))
      >>> round(curve_gradients(total, curve, num_steps=4).sum, 4)
      2.0
    """
    nodes, fine = nodes_and_weights(rule, num_steps=num_steps)
    coarse = coarser_weights(rule, num_steps=num_steps)
    end = curve(jnp.float32(1))
    check_function(fn, end)
    size = checked_chunk(chunk, shape=end.shape, num_steps=num_steps)
    weights = np.stack([fine, fine if coarse is None else coarse], axis=1)
    value_at = functools.partial(scalar_at, fn)

    @jax.vmap
    def contribution(alpha: jax.Array, shares: jax.Array) -> jax.Array:
        point, speed = jax.jvp(curve, (alpha,), (jnp.ones_like(alpha),))
        amounts = jax.grad(value_at)(point) * speed
        return shares[:, None, None, None] * amounts[None]

    # A loop on the host: see `StraightPath`.
    add = jax.jit(lambda total, *block: total + contribution(*block).sum(axis=0))
    total = jnp.zeros((2, *end.shape))
    for block in node_blocks(nodes, weights, size=size):
        total = add(total, *block)
    fine_map, coarse_map = total
    ends = jax.jit(
        lambda: jax.lax.map(lambda a: value_at(curve(a)), jnp.array([1.0, 0.0]))
    )()
    return measure(
        fine_map,
        ends=(float(ends[0]), float(ends[1])),
        num_steps=num_steps,
        method="curve_gradients",
        error_map=None if coarse is None else jnp.abs(fine_map - coarse_map),
        error_kind="rule",
    )


def guided_gradients(
    fn: ScalarFn,
    image: Any,
    *,
    baseline: Any = "blur",
    num_steps: int = 200,
    max_distance: float = 0.02,
    allow_constant_baseline: bool = False,
) -> Attribution:
    """Integrated gradients along the path that avoids what the function reacts to.

    At each step the values with the smallest derivatives move first, each at most
    `max_distance` of its whole way ahead of the straight line, and none further behind
    it, until the step's share of the distance is spent.

    Args:
      fn: pictures `b h w c` to one number each, `b` (or a scalar); differentiable.
      image: one picture `h w c` or `1 h w c`, float.
      baseline: where the path starts: a name in `baselines.BASELINES` or a picture.
      num_steps: steps, one gradient each, one after the other.
      max_distance: how far from the straight path, as a share of it.
      allow_constant_baseline: explain even where a constant baseline is meaningless.

    Returns:
      An `Attribution`. Its gradients are those at the start of each step, so that it
      adds up only as `1 / num_steps`; there is no error map.

    Raises:
      ValueError: a wrong shape, name or number; a constant baseline that a
        normalisation layer cancels.
      TypeError: `image` is not float.

    Reference: Kapishnikov et al., "Guided Integrated Gradients: An Adaptive Path Method
      for Removing Noise", 2021. Theirs moves batches below a quantile, ours moves
      values in the order of their derivatives.
    """
    if num_steps < 1 or not 0 < max_distance <= 1:
        raise ValueError(
            "guided gradients: expected num_steps of at least 1 and max_distance in"
            f" (0, 1], got {num_steps} and {max_distance}"
        )
    picture = one_picture(image)
    check_function(fn, picture)
    start = make_baseline(baseline, image=picture)
    at = functools.partial(scalar_at, fn)
    check_baseline(at, start, picture, allow=allow_constant_baseline)
    step = jax.jit(functools.partial(_guided_step, fn))
    place = jnp.zeros(picture.size, picture.dtype)
    total = jnp.zeros_like(picture)
    # A loop on the host: see `StraightPath`.
    for i in range(num_steps):
        alpha = jnp.float32((i + 1) / num_steps)
        place, amounts = step(picture, start, place, alpha, jnp.float32(max_distance))
        total = total + amounts
    value_at = jax.jit(functools.partial(scalar_at, fn))
    return measure(
        total.reshape(jnp.shape(image)),
        ends=(float(value_at(picture)), float(value_at(start))),
        num_steps=num_steps,
        method="guided_gradients",
    )


def _guided_step(
    fn: ScalarFn,
    picture: Picture,
    start: Picture,
    place: Float[Array, " n"],
    alpha: jax.Array,
    max_distance: jax.Array,
) -> tuple[Float[Array, " n"], Picture]:
    """Where each value is next, in [0, 1] of its way, and what that contributed."""
    way = jnp.abs(picture - start).reshape(-1)
    point = start + place.reshape(picture.shape) * (picture - start)
    gradient = jax.grad(functools.partial(scalar_at, fn))(point)
    least = jnp.maximum(place, jnp.maximum(alpha - max_distance, 0))
    most = jnp.maximum(least, jnp.minimum(alpha + max_distance, 1))
    order = jnp.argsort(jnp.abs(gradient.reshape(-1)))
    room = ((most - least) * way)[order]
    budget = way.sum() * alpha - (least * way).sum()
    spent = jnp.clip(budget - (jnp.cumsum(room) - room), 0, room)
    ahead = jnp.zeros_like(way).at[order].set(spent)
    moved = least + jnp.where(way > 0, ahead / jnp.where(way > 0, way, 1), 0)
    # The last step arrives, whatever was rounded on the way.
    moved = jnp.where(alpha >= 1, 1.0, moved)
    amounts = gradient * (moved - place).reshape(picture.shape) * (picture - start)
    return moved, amounts


def _moments(x: Picture) -> tuple[Float[Array, "1 1 c"], Float[Array, "1 1 c"]]:
    mean = x.mean(axis=(0, 1), keepdims=True)
    return mean, jnp.sqrt(x.var(axis=(0, 1), keepdims=True) + _EPS)


def _cosines(n: int) -> np.ndarray:
    """The orthonormal cosine waves of `n` pixels, one a row (the DCT-II)."""
    place, wave = np.arange(n) + 0.5, np.arange(n)[:, None]
    scale: Any = np.where(wave == 0, np.sqrt(1 / n), np.sqrt(2 / n))
    return (scale * np.cos(np.pi * wave * place / n)).astype(np.float32)


def _transformed(image: Picture, down: np.ndarray, right: np.ndarray) -> Picture:
    return jnp.einsum("ih,jw,hwc->ijc", down, right, image, precision="highest")
