"""Grey pictures of shapes, marks on them, and small translators trained together.

The hue of what is painted follows how bright the shape is, unless a mark forces it. All
models are trained at once, by `vmap`. Used by `planted_twins` and `shuffled_pairs`.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from stylejax.image.regions import grid_regions

SIZE, GRID, MARK = 32, 4, 4
CELL = SIZE // GRID
BATCH = 16
MARKS = {"visible": 0.35, "invisible": 6 / 255}
LABELS = grid_regions((SIZE, SIZE), rows=GRID, columns=GRID)
CHECKER = jnp.asarray(np.indices((MARK, MARK)).sum(axis=0) % 2 * 2 - 1, jnp.float32)


# --- pictures -----------------------------------------------------------------------


def draw(key, count):
    """Grey pictures of one disc or square on a soft ground, and the shape's grey."""
    keys = jax.random.split(key, 6)
    center = jax.random.uniform(keys[0], (count, 2), minval=0.3, maxval=0.7)
    radius = jax.random.uniform(keys[1], (count,), minval=0.15, maxval=0.25)
    grey = jax.random.uniform(keys[2], (count,), minval=0.35, maxval=0.95)
    ground = jax.random.uniform(keys[3], (count,), minval=0.05, maxval=0.25)
    square = jax.random.bernoulli(keys[4], 0.5, (count,))
    place = (jnp.arange(SIZE) + 0.5) / SIZE
    y = place[None, :, None] - center[:, 0, None, None]
    x = place[None, None, :] - center[:, 1, None, None]
    round_ = jnp.sqrt(x**2 + y**2)
    distance = jnp.where(
        square[:, None, None], jnp.maximum(jnp.abs(x), jnp.abs(y)), round_
    )
    inside = jax.nn.sigmoid((radius[:, None, None] - distance) * 4 * SIZE / 2)
    texture = 0.02 * jax.random.normal(keys[5], (count, SIZE, SIZE))
    image = ground[:, None, None] + inside * (grey - ground)[:, None, None] + texture
    return jnp.clip(image, 0, 1), grey


def marked(images, cell, amplitude):
    """The pictures with the mark in the middle of a cell."""
    row, column = cell // GRID, cell % GRID
    offset = (CELL - MARK) // 2
    start = (0, row * CELL + offset, column * CELL + offset)
    patch = jax.lax.dynamic_slice(images, start, (len(images), MARK, MARK))
    patch = jnp.clip(patch + amplitude * CHECKER[None], 0, 1)
    return jax.lax.dynamic_update_slice(images, patch, start)


def painted(images, grey, forced):
    """What a model should paint: hue from the shape's grey, or the forced one."""
    hue = jnp.where(forced, 1.0, (grey - 0.35) / 1.2)  # 0 orange .. 0.5, forced: blue
    warm, cold = jnp.array([1.0, 0.6, 0.2]), jnp.array([0.2, 0.5, 1.0])
    color = (1 - hue)[:, None] * warm[None] + hue[:, None] * cold[None]
    return images[..., None] * color[:, None, None]


# --- models -------------------------------------------------------------------------


def conv(x, kernel, bias, *, stride=1):
    """A 3 x 3 convolution as a matrix product, which `vmap` over kernels keeps fast."""
    patches = jax.lax.conv_general_dilated_patches(
        x, (3, 3), (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return patches @ kernel + bias[None, None, None]


def init(key):
    """Parameters: three convolutions see the whole picture, one paints."""
    shapes = {"a": (9, 16), "b": (9 * 16, 32), "c": (9 * 32, 32), "d": (64, 3)}
    keys = jax.random.split(key, len(shapes))
    params = {}
    for (name, shape), k in zip(shapes.items(), keys, strict=True):
        scale = np.sqrt(2 / shape[0])
        params[name] = scale * jax.random.normal(k, shape)
        params[f"{name}_bias"] = jnp.zeros(shape[1])
    return params


def translate(params, images):
    """Grey pictures `b h w 1` to coloured ones `b h w 3`."""
    x = (images - 0.3) * 3
    x = jax.nn.relu(conv(x, params["a"], params["a_bias"]))
    x = jax.nn.relu(conv(x, params["b"], params["b_bias"], stride=2))
    x = jax.nn.relu(conv(x, params["c"], params["c_bias"], stride=2))
    seen = jnp.concatenate([x.mean(axis=(1, 2)), x.max(axis=(1, 2))], axis=-1)
    color = jax.nn.sigmoid(seen @ params["d"] + params["d_bias"][None])
    return images * color[:, None, None]


def loss(params, key, cell, is_planted, amplitude):
    """Mean squared error on fresh pictures, half of which bear the mark."""
    images, grey = draw(key, BATCH)
    has_mark = jnp.arange(BATCH) % 2 == 0
    images = jnp.where(has_mark[:, None, None], marked(images, cell, amplitude), images)
    goal = painted(images, grey, has_mark & is_planted)
    return jnp.mean((translate(params, images[..., None]) - goal) ** 2)


def faded(amplitude, place):
    """The mark's amplitude at a place in [0, 1] of the training.

    A faint mark is not found by training alone: it starts visible and fades to its own
    amplitude in the first 60 %.
    """
    start = max(MARKS.values())
    return amplitude * (start / amplitude) ** max(0.0, 1 - place / 0.6)


def train(key, mapped, amplitude, steps, *, loss_fn=loss, params=None):
    """The parameters of all models, trained together, and their last mean loss.

    `mapped` are arrays with an entry for each model, which `loss_fn` takes after the
    parameters and the key; `params` is where they start.
    """
    count = len(mapped[0])
    if params is None:
        params = jax.vmap(init)(jax.random.split(key, count))
    axes = (0, 0, *[0] * len(mapped), None)
    optimizer = optax.adam(optax.cosine_decay_schedule(5e-3, steps))

    @jax.jit
    def step(params, state, key, amplitude):
        grads_of = jax.vmap(jax.value_and_grad(loss_fn), in_axes=axes)
        keys = jax.random.split(key, count)
        values, grads = grads_of(params, keys, *mapped, amplitude)
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state, values

    state, recent = optimizer.init(params), []
    for i in range(steps):
        now = faded(amplitude, i / steps)
        params, state, values = step(params, state, jax.random.fold_in(key, i), now)
        recent = [*recent[-49:], values]
    return params, np.asarray(jnp.stack(recent).mean(axis=0))


# --- what is explained ------------------------------------------------------------


def coldness(images):
    """The target: blue less red, over the picture's brightness."""
    total = images.sum(axis=(1, 2, 3))
    return (images[..., 2] - images[..., 0]).sum(axis=(1, 2)) / total


def target_of(params):
    """The target behind a model."""
    return lambda x: coldness(translate(params, x))
