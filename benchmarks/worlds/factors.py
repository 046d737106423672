"""The shapes world through a network whose latent carries planted factors.

Pictures of domain A become a latent of 13 numbers, and the latent a drawing of the
content alone: the ink of the objects. Training asks for orthogonal directions, drawn at
random, that carry shape, x, y, scale, count and hue. Used by `shape_factors`.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from stylejax.data import shapes

SIZE, WIDTH, BATCH, STYLES = 32, 512, 64, 3
CONTENT, MOVED = ("shape", "x", "y", "scale", "count"), ("x", "y", "scale")
STYLE = ("hue", "frequency", "orientation", "texture")
ABSENT = ("absent number", "absent class")
MEASURED = ("x", "y", "size", "layout")
LATENT = len(MOVED) + 1 + len(shapes.SHAPES) + len(shapes.COUNTS)
GOAL, PLANT, SPREAD, WALKS = 0.9, 0.1, 3.0, 32
# Half a step of the renderer's finite differences: a quarter of a pixel.
HALF = 0.25 / SIZE


# --- pictures -----------------------------------------------------------------------


def draw(split, count, styles):
    """Pictures of domain A, their contents and styles, the drawings, the labels."""
    world = shapes.ShapesWorld(size=SIZE)
    contents = [world.content(i // styles, split=split) for i in range(count)]
    painted = [world.style(i, domain="a", split=split) for i in range(count)]
    pairs = list(zip(contents, painted, strict=True))
    labels = {name: np.array([getattr(c, name) for c in contents]) for name in CONTENT}
    labels |= {name: np.array([getattr(s, name) for s in painted]) for name in STYLE}
    return {
        "images": np.stack([shapes.render(c, s, size=SIZE) for c, s in pairs]),
        "ink": np.stack([shapes.object_mask(c, size=SIZE) for c in contents]),
        "pairs": pairs,
        "scene": np.arange(count) // styles,
        "labels": {
            name: v.astype(np.float32) if v.dtype.kind == "f" else v
            for name, v in labels.items()
        },
    }


def absent_labels(scene, seed):
    """A number and one of three classes for each content, which no picture shows."""
    rng = np.random.default_rng([seed, 99])
    numbers = rng.uniform(size=scene.max() + 1).astype(np.float32)
    classes = rng.integers(3, size=scene.max() + 1)
    return dict(zip(ABSENT, (numbers[scene], classes[scene]), strict=True))


def measured(pictures):
    """Of drawings `b h w 1`: centroid, root of the area, and the layout, `b 4`.

    The layout is the mean squared distance of the ink from its centroid, over its area:
    it depends on shape and count alone.
    """
    ink = jnp.clip((pictures[..., 0] - 0.1) / 0.8, 0, 1)
    place = (jnp.arange(SIZE) + 0.5) / SIZE
    total = ink.sum(axis=(1, 2)) + 1e-6
    x = (ink * place[None, None]).sum(axis=(1, 2)) / total
    y = (ink * place[None, :, None]).sum(axis=(1, 2)) / total
    off = (place[None, None] - x[:, None, None]) ** 2
    off += (place[None, :, None] - y[:, None, None]) ** 2
    area = total / SIZE**2
    layout = (ink * off).sum(axis=(1, 2)) / total / area
    return jnp.stack([x, y, jnp.sqrt(area), layout], axis=1)


# --- the network --------------------------------------------------------------------


def conv(x, kernel, bias, *, width):
    """A convolution of stride 2 as slices and a matrix product."""
    side, pad = x.shape[1] // 2, width - 2
    edge = (pad // 2, pad - pad // 2)
    x = jnp.pad(x, ((0, 0), edge, edge, (0, 0)))
    ends = [(i, i + 2 * side - 1) for i in range(width)]
    parts = [x[:, a:b:2, c:d:2] for a, b in ends for c, d in ends]
    return jnp.concatenate(parts, axis=-1) @ kernel + bias[None, None, None]


def init(key):
    """Parameters: three convolutions and a linear map; three linear maps."""
    sizes = {"a": (48, 32), "b": (288, 64), "c": (576, 128), "latent": (2048, LATENT)}
    sizes |= {"d": (LATENT, WIDTH), "e": (WIDTH, WIDTH), "ink": (WIDTH, SIZE**2)}
    params = {}
    for (name, shape), k in zip(
        sizes.items(), jax.random.split(key, len(sizes)), strict=True
    ):
        gain = 1 if name in {"latent", "ink"} else 2
        params[name] = np.sqrt(gain / shape[0]) * jax.random.normal(k, shape)
        params[f"{name}_bias"] = jnp.zeros(shape[1])
    return params


def dense(params, name, x):
    """One linear map."""
    return x @ params[name] + params[f"{name}_bias"][None]


def encode(params, images):
    """Pictures `b h w 3` to latents `b d`."""
    x = 2 * images - 1
    for name, width in (("a", 4), ("b", 3), ("c", 3)):
        x = jax.nn.relu(conv(x, params[name], params[f"{name}_bias"], width=width))
    return dense(params, "latent", x.reshape(len(x), -1))


def logits(params, latents):
    """Latents `b d` to the log-odds of ink, `b h*w`."""
    x = jax.nn.relu(dense(params, "d", latents))
    return dense(params, "ink", jax.nn.relu(dense(params, "e", x))) - 2


def decode(params, latents):
    """Latents `b d` to drawings `b h w 1`."""
    return jax.nn.sigmoid(logits(params, latents)).reshape(-1, SIZE, SIZE, 1)


def planted_directions(seed):
    """Orthonormal rows: x, y, scale, hue, one for each shape, one for each count."""
    rng = np.random.default_rng([seed, 7])
    return np.linalg.qr(rng.normal(size=(LATENT, LATENT)))[0].astype(np.float32)


def planted_latents(labels, seed):
    """What latents are to be: standard numbers, and twice the indicators of classes."""
    numbers = np.stack([labels[n] for n in (*MOVED, "hue")], axis=1)
    numbers = (numbers - numbers.mean(axis=0)) / numbers.std(axis=0)
    shape = labels["shape"][:, None] == np.array(shapes.SHAPES)[None]
    count = labels["count"][:, None] == np.array(shapes.COUNTS)[None]
    classes = 2 * np.concatenate([shape, count], axis=1)
    columns = np.concatenate([numbers, classes], axis=1).astype(np.float32)
    return SPREAD * columns @ planted_directions(seed)


def loss(params, images, ink, goals, plant):
    """Cross-entropy of the drawing, and `plant` times what the latents are wrong by."""
    latents = encode(params, images)
    drawn = logits(params, latents)
    drawing = optax.sigmoid_binary_cross_entropy(drawn, ink.reshape(drawn.shape)).mean()
    wrong = ((latents - goals) ** 2).sum(axis=1).mean() / SPREAD**2
    return drawing + plant * wrong / 6


def train(seed, data, steps, plant):
    """The parameters after so many steps, and the mean loss of the last fifty."""
    goals = planted_latents(data["labels"], seed)
    optimizer = optax.adam(optax.cosine_decay_schedule(2e-3, steps))

    @jax.jit
    def step(params, state, *batch):
        value, grads = jax.value_and_grad(loss)(params, *batch, plant)
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state, value

    params = init(jax.random.key(seed))
    state, recent, rng = optimizer.init(params), [], np.random.default_rng(seed)
    for _ in range(steps):
        i = rng.integers(len(data["images"]), size=BATCH)
        batch = data["images"][i], data["ink"][i], goals[i]
        params, state, value = step(params, state, *batch)
        recent = [*recent[-49:], value]
    return params, float(jnp.stack(recent).mean())


def latents_of(params, images):
    """The latents of many pictures, on the host."""
    run = jax.jit(encode)
    parts = [images[i : i + 200] for i in range(0, len(images), 200)]
    return np.concatenate([np.asarray(run(params, part)) for part in parts])
