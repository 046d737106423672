"""CycleGANs so small that a dozen train together on one core, by `vmap` over models.

Pictures are 32 x 32. Networks see them as 16 x 16 cells of 2 x 2 pixels; convolutions
are matrix products, which stay fast under `vmap` over kernels and on CPUs. Training is
least-squares GAN with a cycle loss both ways and averaged weights; what differs between
models is an array, their `case`.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

CELLS = 16
DECAY = 0.99


def boxes(key, count, colors):
    """(count, 32, 32, 3) a box on a darker ground, nowhere brighter than its colour.

    `colors` (count, 2, 3) multiplies the grey of the ground, 0.1 to 0.3, and of the
    box, 0.4 to 0.6.
    """
    keys = jax.random.split(key, 4)
    low, high = jnp.array([[0.1, 0.4]]), jnp.array([[0.3, 0.6]])
    greys = low + jax.random.uniform(keys[0], (count, 2)) * (high - low)
    center = jax.random.uniform(keys[1], (count, 2), minval=8.0, maxval=24.0)
    half = jax.random.uniform(keys[2], (count, 2), minval=3.0, maxval=8.0)
    off = jnp.abs(jnp.arange(2 * CELLS)[None, None] + 0.5 - center[..., None])
    inside = jax.nn.sigmoid(4 * (half[..., None] - off))
    inside = (inside[:, 0, :, None] * inside[:, 1, None, :])[..., None]
    ground, box = jnp.split((greys[..., None] * colors)[:, :, None, None], 2, axis=1)
    image = ground[:, 0] + inside * (box - ground)[:, 0]
    grain = 0.01 * jax.random.normal(keys[3], image.shape)
    return jnp.clip(image + grain, 0, 1)


def conv(x, layer, *, stride=1):
    """A 3 x 3 convolution with zeros around: for each row of kernels a product."""
    kernel, bias = layer
    channels, (height, width) = x.shape[-1], x.shape[1:3]
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    total = bias[None, None, None]
    for i, part in enumerate(jnp.split(kernel, [3 * channels, 6 * channels])):
        rows = [
            padded[:, i : i + height : stride, j : j + width : stride] for j in range(3)
        ]
        total = total + jnp.concatenate(rows, axis=-1) @ part
    return total


def cells(images):
    """Pictures `b 32 32 3` to `b 16 16 12`."""
    b = len(images)
    x = images.reshape(b, CELLS, 2, CELLS, 2, 3).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(b, CELLS, CELLS, 12)


def pixels(x):
    """Cells `b 16 16 12` back to pictures `b 32 32 3`."""
    x = x.reshape(len(x), CELLS, CELLS, 2, 2, 3).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(len(x), 2 * CELLS, 2 * CELLS, 3)


def init_layers(key, shapes):
    """A (kernel, bias) for each name."""
    keys = jax.random.split(key, len(shapes))
    return {
        name: (
            np.sqrt(2 / shape[0]) * jax.random.normal(k, shape),
            jnp.zeros(shape[1]),
        )
        for (name, shape), k in zip(shapes.items(), keys, strict=True)
    }


def init_generator(key, *, width=24):
    """Two convolutions, one glance at the whole picture, and one that paints."""
    shapes = {
        "first": (9 * 12, width),
        "second": (9 * width, width),
        "whole": (2 * width, width),
        "paint": (9 * (width + 12), 12),
    }
    # Smooth at first: sums of slow waves, one map for each channel.
    waves = np.cos(np.pi * np.outer(np.arange(CELLS) + 0.5, np.arange(4)) / CELLS)
    waves = jnp.asarray(waves, jnp.float32)
    sizes = jax.random.normal(jax.random.fold_in(key, 1), (4, 4, width)) / 8
    place = jnp.einsum("ik,klc,jl->ijc", waves, sizes, waves)
    return init_layers(key, shapes) | {"place": place}


def generate(params, images):
    """Translations of pictures `b 32 32 3`, in [0, 1]."""
    seen = 4 * cells(images) - 2
    x = jax.nn.leaky_relu(conv(seen, params["first"]))
    kernel, bias = params["whole"]
    pooled = jnp.concatenate([x.mean(axis=(1, 2)), x.max(axis=(1, 2))], axis=-1)
    whole = (pooled @ kernel + bias[None])[:, None, None]
    x = jax.nn.leaky_relu(conv(x, params["second"]) + whole + params["place"][None])
    x = conv(jnp.concatenate([x, seen], axis=-1), params["paint"])
    return pixels(jax.nn.sigmoid(x))


def init_discriminator(key, *, width=24):
    """Scores of patches, and one of the whole picture."""
    shapes = {
        "first": (9 * 12, width),
        "second": (9 * width, 2 * width),
        "patch": (2 * width, 1),
        "whole": (16 * 2 * width, 1),
    }
    return init_layers(key, shapes) | {"place": jnp.zeros((4, 4, 2 * width))}


def discriminate(params, images):
    """Scores `b n`: n patches, and the whole picture, which counts as much as they."""
    x = jax.nn.leaky_relu(conv(4 * cells(images) - 2, params["first"], stride=2), 0.2)
    x = conv(x, params["second"], stride=2) + params["place"][None]
    x = jax.nn.leaky_relu(x, 0.2)
    kernel, bias = params["patch"]
    patches = (x @ kernel + bias[None, None, None])[..., 0].reshape(len(x), -1)
    kernel, bias = params["whole"]
    whole = x.reshape(len(x), -1) @ kernel + bias[None]
    return patches, whole


def squares(scores, goal):
    """Mean squared distance of patch scores and whole scores to 0 or 1."""
    return sum(jnp.mean(jnp.square(s - goal)) for s in scores) / 2


def init_cycle(key, *, both=True):
    """Two generators, a discriminator of B and, for a game both ways, one of A."""
    keys = jax.random.split(key, 4)
    params = {
        "forward": init_generator(keys[0]),
        "backward": init_generator(keys[1]),
        "judge_b": init_discriminator(keys[2]),
    }
    return params | ({"judge_a": init_discriminator(keys[3])} if both else {})


def adversarial(judge, real, fake):
    """What a generator and its discriminator each add to the loss."""
    frozen = jax.lax.stop_gradient(judge)
    fooled = squares(discriminate(frozen, fake), 1)
    both = jnp.concatenate([real, jax.lax.stop_gradient(fake)])
    patches, whole = discriminate(judge, both)
    told = [s[: len(real)] for s in (patches, whole)]
    caught = [s[len(real) :] for s in (patches, whole)]
    return fooled + squares(told, 1) + squares(caught, 0)


def absolute(x, y):
    """Mean absolute difference."""
    return jnp.mean(jnp.abs(x - y))


def cycle_loss(params, real_a, real_b, *, weight, between=None, difference=absolute):
    """The loss of both players: each discriminator moves by its own share alone.

    `between` is what happens to the translation before its way back; `difference`
    compares the cycle's end with its start in A.
    """
    fake_b = generate(params["forward"], real_a)
    passed = between(fake_b) if between else fake_b
    cycle = difference(generate(params["backward"], passed), real_a)
    games = adversarial(params["judge_b"], real_b, fake_b)
    if "judge_a" in params:
        fake_a = generate(params["backward"], real_b)
        cycle += absolute(generate(params["forward"], fake_a), real_b)
        games += adversarial(params["judge_a"], real_a, fake_a)
    return games + weight * cycle


def train(key, cases, *, loss, steps, rate=2e-3, both=True):
    """Averaged parameters of all models, trained together.

    Args:
      key: of everything random; each model has its own.
      cases: pytree of arrays (models, ...), what differs between the models.
      loss: of `(params, key, case)`.
      steps: how many.
      rate: of Adam, falling to nothing over the last half.
      both: whether the game is played both ways.

    Returns:
      As `init_cycle`, with a leading axis of models; the losses of the last 50 steps.
    """
    count = len(jax.tree.leaves(cases)[0])
    first = jax.random.split(jax.random.fold_in(key, 0), count)
    params = jax.vmap(functools.partial(init_cycle, both=both))(first)
    half = steps // 2
    schedule = optax.join_schedules(
        [optax.constant_schedule(rate), optax.linear_schedule(rate, 0, steps - half)],
        [half],
    )
    optimizer = optax.adam(schedule, b1=0.5)

    @functools.partial(jax.jit, donate_argnums=(0, 1, 2))
    def step(params, state, average, key, warm):
        keys = jax.random.split(key, count)
        values, grads = jax.vmap(jax.value_and_grad(loss))(params, keys, cases)
        updates, state = optimizer.update(grads, state, params)
        params = optax.apply_updates(params, updates)
        average = optax.incremental_update(params, average, warm)
        return params, state, average, values

    state, recent = optimizer.init(params), []
    average = jax.tree.map(jnp.copy, params)
    for i in range(1, steps + 1):
        warm = max(1 - DECAY, 1 / i)
        draw = jax.random.fold_in(key, i)
        params, state, average, values = step(params, state, average, draw, warm)
        recent = [*recent[-49:], values]
    return average, np.asarray(jnp.stack(recent).mean(axis=0))
