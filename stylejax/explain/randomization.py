"""Does a map depend on the network? Its parameters are randomised and maps compared.

A map that stays as it was shows the picture, not what the network does with it. That is
measured by rank correlation of the maps before and after, with their signs and without.
How much of it the picture alone can bring about is said by a *reference*, a map made
from the input, such as `images - baselines`.

An explainer here is `explain_fn(params, image)`: any pytree and one picture `h w c` to
a map `h w c` or `h w`. It must be pure, since it is compiled: `average_gradient`, not
`integrated_gradients`.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from stylejax.checks import check_choice, check_image, check_positive
from stylejax.explain.map_comparison import (
    MapComparison,
    RandomizationCheck,
    Similarity,
)
from stylejax.explain.random_params import chosen_leaves, randomize_params
from stylejax.metrics.correlation import correlation
from stylejax.metrics.perturbation import compiled, map_in_chunks
from stylejax.typing import Image, Key

ExplainFn = Callable[[Any, Array], Array]
"""Parameters and one picture `h w c` to its map `h w c` or `h w`."""

Run = tuple[Key, Sequence[bool]]
"""A key, and for each leaf whether it is random."""

MODES = ("cascading", "independent")
"""Whether layers are randomised one after the other and stay so, or each alone."""


def randomization_check(
    key: Key,
    explain_fn: ExplainFn,
    params: Any,
    images: Image,
    *,
    reference: Array,
    multiplied: bool,
    layers: Sequence[str] = (),
    mode: str = "cascading",
    draw: str = "normal",
    num_draws: int = 5,
    mask: Any = None,
    chunk: int = 4,
    stack: int = 1,
) -> RandomizationCheck:
    """Maps of a network against those of the same network with random parameters.

    Args:
      key: random key of the parameters.
      explain_fn: parameters and one picture to its map; pure.
      params: the network's parameters, any pytree.
      images: pictures `b h w c`; several, since the verdict is about their mean.
      reference: a map of the input alone for each picture, `b` and the maps' shape:
        `images - baselines` for gradients and their products.
      multiplied: whether the maps are multiplied by `x - x'`. They then stay alike for
        that reason, and only what is above the reference counts.
      layers: paths as in `randomize_params`, output first: the stages before "all".
      mode: a name in `MODES`.
      draw: a name in `DRAWS`.
      num_draws: random networks, at least 1.
      mask: `h w` truth values, the pixels to compare: those that the target can see,
        since with any parameters the map is zero elsewhere. None is all.
      chunk: pictures explained at once.
      stack: networks explained at once, their parameters stacked; slower on CPUs.

    Returns:
      A `RandomizationCheck`.

    Raises:
      ValueError: a wrong shape, name or number.
      TypeError: pictures that are not float.

    Reference: Adebayo et al. 2018. The comparison with the input alone is ours.
    """
    check_positive(num_draws, name="num_draws")
    check_positive(stack, name="stack")
    images, reference = _checked(explain_fn, params, images, reference)
    index = _index(mask, images.shape[1:3])
    stages = _stages(params, layers, mode)
    keys = list(jax.random.split(key, num_draws))
    runs = [(k, flags) for flags in stages.values() for k in keys]
    maps = _maps_of(explain_fn, params, images, runs, draw, chunk, stack)
    before = next(maps)
    after = itertools.islice(maps, len(runs))
    likeness = [np.asarray(_likeness(before, m, index)) for m in after]
    found = np.reshape(likeness, (len(stages), num_draws, 2, -1))
    against = np.asarray(_likeness(before, reference, index))
    return _check(list(stages), found, against, multiplied)


def compare_maps(
    explain_fn: ExplainFn,
    params: Any,
    other_params: Any,
    images: Image,
    *,
    reference: Array,
    multiplied: bool,
    mask: Any = None,
    chunk: int = 4,
) -> RandomizationCheck:
    """Maps of a network against those of another set of its parameters.

    With parameters that were trained on shuffled pairs of content and style this is the
    data randomisation test: a map that shows what was learned must change.

    Args:
      explain_fn: parameters and one picture to its map; pure.
      params: the network's parameters, any pytree.
      other_params: another set, of the same structure.
      images: pictures `b h w c`.
      reference: as in `randomization_check`.
      multiplied: as in `randomization_check`.
      mask: as in `randomization_check`.
      chunk: pictures explained at once.

    Returns:
      A `RandomizationCheck` of one stage, "other", with one draw.

    Raises:
      ValueError: a wrong shape.
      TypeError: pictures that are not float.

    Reference: Adebayo et al. 2018.
    """
    images, reference = _checked(explain_fn, params, images, reference)
    index = _index(mask, images.shape[1:3])
    before, after = (
        next(_maps_of(explain_fn, p, images, [], "normal", chunk, 1))
        for p in (params, other_params)
    )
    found = np.asarray(_likeness(before, after, index))
    against = np.asarray(_likeness(before, reference, index))
    return _check(["other"], found[None, None], against, multiplied)


def _stages(params: Any, layers: Sequence[str], mode: str) -> Mapping[str, list[bool]]:
    """Which leaves are random at each stage; the last is all of them."""
    check_choice(mode, choices=MODES, name="mode")
    layers = [layers] if isinstance(layers, str) else list(layers)
    stages = {}
    for i, layer in enumerate(layers):
        random = layers[: i + 1] if mode == "cascading" else [layer]
        stages[layer] = chosen_leaves(params, random)
    return {**stages, "all": chosen_leaves(params, None)}


def _maps_of(
    explain_fn: ExplainFn,
    params: Any,
    images: Image,
    runs: Sequence[Run],
    draw: str,
    chunk: int,
    stack: int,
) -> Iterator[Array]:
    """The maps `b ...` of the network itself, then of each run, then some in excess."""
    # The first is of the same program, with nothing random, and so rounds alike.
    nothing = [False] * len(jax.tree.leaves(params))
    todo = [(runs[0][0] if runs else jax.random.key(0), nothing), *runs]
    explain = compiled(_random_maps, explain_fn, draw=draw, chunk=chunk)
    for start in range(0, len(todo), stack):
        block = todo[start : start + stack]
        keys, flags = zip(*block, *[block[-1]] * (stack - len(block)), strict=True)
        yield from explain(jnp.stack(keys), np.array(flags), params, images)


def _random_maps(
    explain_fn: ExplainFn,
    keys: Key,
    flags: Bool[Array, "s l"],
    params: Any,
    images: Image,
    *,
    draw: str,
    chunk: int,
) -> list[Array]:
    """The maps of several networks, their parameters stacked, random where flagged."""
    leaves, structure = jax.tree.flatten(params)

    def one(key: Key, flags: Bool[Array, " l"]) -> Array:
        drawn = jax.tree.leaves(randomize_params(key, params, draw=draw))
        mixed = [
            jnp.where(flag, new, old)
            for flag, new, old in zip(flags, drawn, leaves, strict=True)
        ]
        mixed = jax.tree.unflatten(structure, mixed)
        with jax.default_matmul_precision("highest"):
            return map_in_chunks(lambda x: explain_fn(mixed, x), images, chunk=chunk)

    # A vmap over one network would turn its convolutions into grouped ones.
    if len(keys) == 1:
        return [one(keys[0], flags[0])]
    return list(jax.vmap(one)(keys, flags))


@jax.jit
def _likeness(before: Array, after: Array, index: Any) -> Float[Array, "2 b"]:
    """Rank correlations with signs and without, for each picture."""
    maps = jnp.stack([before, after])
    if index is not None:
        maps = maps.reshape(*maps.shape[:2], -1, *maps.shape[4:])[:, :, index]
    first, second = jnp.stack([maps, jnp.abs(maps)], axis=1)
    return jax.vmap(jax.vmap(_spearman))(first, second)


def _spearman(x: Array, y: Array) -> Float[Array, ""]:
    return correlation(x, y, kind="spearman")


def _check(
    names: Sequence[str],
    found: Float[np.ndarray, "s d 2 b"],
    against: Float[np.ndarray, "2 b"],
    multiplied: bool,
) -> RandomizationCheck:
    *stages, reference = (
        MapComparison(name, Similarity(values[:, 0]), Similarity(values[:, 1]))
        for name, values in zip(
            [*names, "reference"],
            [*found, against[None]],
            strict=True,
        )
    )
    return RandomizationCheck(tuple(stages), reference, multiplied)


def _index(mask: Any, size_hw: tuple[int, ...]) -> np.ndarray | None:
    """Which of the pixels, row by row, are compared."""
    if mask is None:
        return None
    if np.shape(mask) != tuple(size_hw):
        raise ValueError(
            f"mask: expected shape {tuple(size_hw)}, as the pictures, got"
            f" {np.shape(mask)}"
        )
    inside = np.flatnonzero(np.asarray(mask))
    if len(inside) < 2:
        raise ValueError(f"mask: expected two pixels or more, got {len(inside)}")
    return inside


def _checked(
    explain_fn: ExplainFn, params: Any, images: Any, reference: Any
) -> tuple[Image, Array]:
    check_image(images, name="images", channels=None)
    images = jnp.asarray(images)
    picture = jax.ShapeDtypeStruct(images.shape[1:], images.dtype)
    out = jax.eval_shape(explain_fn, params, picture)
    shape = getattr(out, "shape", None)
    if shape not in (picture.shape, picture.shape[:2]):
        raise ValueError(
            f"explain_fn: expected a map of shape {picture.shape} or"
            f" {picture.shape[:2]} for one picture, got {shape}"
        )
    if jnp.shape(reference) != (len(images), *shape):
        raise ValueError(
            f"reference: expected a map of the input for each picture, shape"
            f" {(len(images), *shape)}, got {jnp.shape(reference)}"
        )
    return images, jnp.asarray(reference)
