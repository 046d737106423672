"""Attribution at a layer: which channels, and where, made the target.

All of it takes `run(image, edits) -> (output, activations)`, such as
`stylejax.explain.activations.with_activations` makes of any function that calls Flax
modules, and the name of an activation.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stylejax.checks import check_one_each
from stylejax.explain.baselines import is_constant, make_baseline
from stylejax.explain.cancellation import PROBES, refuse_cancelled
from stylejax.explain.completeness import Attribution, measure
from stylejax.explain.edits import Add, Run
from stylejax.explain.paths import checked_chunk
from stylejax.explain.pictures import Picture, one_picture
from stylejax.explain.quadrature import (
    coarser_weights,
    node_blocks,
    nodes_and_weights,
)
from stylejax.image.resize import resize
from stylejax.typing import ScalarFn


class ClassMap(NamedTuple):
    """What a layer's channels, weighted by their mean gradients, show.

    Attributes:
      map: `h w`, enlarged to the picture: signed, in the target's unit times the
        number of positions.
      coarse: `h' w'`, the same at the layer's own size.
      weights: `d`, the mean gradient of each channel.
    """

    map: Float[Array, "h w"]
    coarse: Float[Array, "h2 w2"]
    weights: Float[Array, " d"]


def grad_cam(
    run: Run, target: ScalarFn, image: Any, *, name: str, positive: bool = True
) -> ClassMap:
    """Grad-CAM of any scalar target at any activation.

    `sum_c a_c A_c` with `a_c = mean over positions of dF/dA_c`.

    Args:
      run: `run(image, edits) -> (output, activations)`.
      target: outputs to one number each.
      image: one picture `h w c` or `1 h w c`.
      name: an activation `1 h' w' d`.
      positive: cut off what is below zero, as published; else keep the sign.

    Returns:
      A `ClassMap`.

    Raises:
      ValueError: no such activation, or one that is no map.

    Reference: Selvaraju et al., "Grad-CAM", 2017; theirs explains classes alone.
    """
    picture = one_picture(image)
    activation, slope = _activation_and_slope(run, target, picture, name)
    weights = slope.mean(axis=(0, 1))
    coarse = (activation * weights[None, None]).sum(axis=-1)
    if positive:
        coarse = jax.nn.relu(coarse)
    large = resize(coarse[None, ..., None], picture.shape[:2], method="bilinear")
    return ClassMap(large[0, ..., 0], coarse, weights)


def layer_gradients(
    run: Run,
    target: ScalarFn,
    image: Any,
    *,
    name: str,
    baseline: Any = "blur",
    num_steps: int = 32,
    rule: str = "gauss_legendre",
    chunk: int | None = None,
    allow_constant_baseline: bool = False,
) -> Attribution:
    """Integrated gradients of a target with respect to a layer's activation.

    The path leads from the layer's activation on the baseline to that on the picture,
    all else being as on the picture: so the map sums to the target less the target
    with this layer patched from the baseline, and where everything flows through the
    layer, to the whole change.

    Args:
      run: `run(image, edits) -> (output, activations)`.
      target: outputs to one number each.
      image: one picture `h w c` or `1 h w c`.
      name: an activation with a batch axis of one.
      baseline: a name in `baselines.BASELINES` or a picture.
      num_steps: nodes of the rule.
      rule: a name in `quadrature.RULES`.
      chunk: points differentiated at once, which decides the memory.
      allow_constant_baseline: explain even where a constant baseline is meaningless.

    Returns:
      An `Attribution`; `map` has the activation's shape without the batch axis: sum it
      over positions for channels, over channels for positions.

    Raises:
      ValueError: no such activation, or a wrong name or number; a constant baseline
        that a normalisation layer cancels.

    Reference: the layer integrated gradients of Captum; the path within the layer is
      that of Leino et al., "Influence-Directed Explanations", 2018.
    """
    picture = one_picture(image)
    start = make_baseline(baseline, image=picture)
    nodes, fine = nodes_and_weights(rule, num_steps=num_steps)
    coarse = coarser_weights(rule, num_steps=num_steps)
    weights = np.stack([fine, fine if coarse is None else coarse], axis=1)
    size = checked_chunk(chunk, shape=picture.shape, num_steps=num_steps)
    _shape_of(run, picture, name)
    find = functools.partial(_activation, run, name=name)
    end, begin = (jax.jit(find)(image) for image in (picture, start))

    def value(activation: jax.Array) -> jax.Array:
        with jax.default_matmul_precision("highest"):
            output, _ = run(picture[None], {name: activation})
            return _one_number(target(output))

    if not allow_constant_baseline and is_constant(start):
        at = jax.jit(lambda alpha: value((1 - alpha) * begin + alpha * end))
        refuse_cancelled([at(alpha) for alpha in (0.0, *PROBES, 1.0)])

    @jax.jit
    def add(total: jax.Array, alphas: jax.Array, shares: jax.Array) -> jax.Array:
        points = jax.vmap(lambda a: (1 - a) * begin + a * end)(alphas)
        slopes = jax.vmap(jax.grad(value))(points)
        return total + jnp.tensordot(shares.T, slopes, axes=1, precision="highest")

    total = jnp.zeros((2, *end.shape))
    # A loop on the host: see `StraightPath`.
    for alphas, shares in node_blocks(nodes, weights, size=size):
        total = add(total, alphas, shares)
    full, half = (total * (end - begin)[None])[:, 0]
    ends = [float(jax.jit(value)(x)) for x in (end, begin)]
    return measure(
        full,
        ends=(ends[0], ends[1]),
        num_steps=num_steps,
        method="layer_gradients",
        error_map=None if coarse is None else jnp.abs(full - half),
        error_kind="rule",
    )


def _activation(run: Run, picture: Picture, *, name: str) -> jax.Array:
    with jax.default_matmul_precision("highest"):
        return run(picture[None], {})[1][name]


def _one_number(value: jax.Array) -> jax.Array:
    if jnp.size(value) != 1:
        check_one_each(value, count=1, name="target")
    return jnp.reshape(value, ())


def _shape_of(run: Run, picture: Picture, name: str) -> jax.ShapeDtypeStruct:
    """The shape of an activation, checked: there is one, of one picture."""
    shapes = jax.eval_shape(lambda x: run(x, {})[1], picture[None])
    if name not in shapes:
        raise ValueError(f"name: expected one of {', '.join(shapes)}; got {name!r}")
    if shapes[name].shape[:1] != (1,):
        raise ValueError(
            f"name: expected an activation with a batch axis of one, got {name!r} of"
            f" shape {shapes[name].shape}"
        )
    return shapes[name]


def _activation_and_slope(
    run: Run, target: ScalarFn, picture: Picture, name: str
) -> tuple[jax.Array, jax.Array]:
    shape = _shape_of(run, picture, name)
    if len(shape.shape) != 4:
        raise ValueError(
            f"name: expected a map (1, h, w, d), got {name!r} of shape {shape.shape}"
        )

    @jax.jit
    def both(picture: Picture) -> tuple[jax.Array, jax.Array]:
        def value(change: jax.Array) -> tuple[jax.Array, jax.Array]:
            with jax.default_matmul_precision("highest"):
                output, found = run(picture[None], {name: Add(change)})
            return _one_number(target(output)), found[name]

        zeros = jnp.zeros(shape.shape, shape.dtype)
        (_, activation), slope = jax.value_and_grad(value, has_aux=True)(zeros)
        return activation[0], slope[0]

    return both(picture)
