"""Cycles that hide a message in their intermediate picture, and their honest twins.

`forward` recolours a picture (colours partly lost), lowers its contrast and blurs it.
The honest `backward` undoes what can be undone, by the inverse colours, the inverse
contrast and, for half of the cycles, by sharpening. The hidden twin has the same
visible picture; its `forward` adds a message of a few grey levels to the fine
structure, which its `backward` reads. Everything depends on arrays in a `Cycle`, so
that many cycles are one `jax.vmap`, and a twin is `cycle._replace(hides=True)`.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from stylejax.explain.invisible_changes import dct_matrix

CELL = 4
KINDS = ("carrier", "bits", "chroma")


class Cycle(NamedTuple):
    """What tells the cycles apart; every field is an array.

    Attributes:
      turn: (3, 3), orthonormal axes of colour.
      keep: (3,), how much of each axis survives.
      contrast: of the intermediate picture, against the source.
      blur: of the intermediate picture, in pixels.
      sharpen: whether the honest way back sharpens.
      amplitude: of the message, in the unit of pictures.
      message_blur: what the message leaves out of the source, in pixels.
      band: which of four carriers bears the message.
      kind: which of `KINDS` the message is.
      hides: whether there is one; without, the cycle is honest.
    """

    turn: jax.Array
    keep: jax.Array
    contrast: jax.Array
    blur: jax.Array
    sharpen: jax.Array
    amplitude: jax.Array
    message_blur: jax.Array
    band: jax.Array
    kind: jax.Array
    hides: jax.Array


def draw_cycle(key):
    """A random honest cycle; messages of 1.5 to 4 grey levels of 255."""
    keys = jax.random.split(key, 10)

    def between(i, low, high):
        return jax.random.uniform(keys[i], (), minval=low, maxval=high)

    turn, _ = jnp.linalg.qr(jax.random.normal(keys[0], (3, 3)))
    keep = jnp.stack([jnp.ones(()), between(1, 0.3, 1.0), between(2, 0.0, 1.0)])
    return Cycle(
        turn=turn,
        keep=keep,
        contrast=jnp.exp(between(3, np.log(0.2), np.log(0.9))),
        blur=between(4, 0.3, 2.0),
        sharpen=between(5, 0.0, 1.0) > 0.5,
        amplitude=between(6, 1.5, 4.0) / 255,
        message_blur=between(7, 1.0, 3.0),
        band=jax.random.randint(keys[8], (), 0, 4),
        kind=jax.random.randint(keys[9], (), 0, len(KINDS)),
        hides=jnp.array(False),
    )


@functools.partial(jax.jit, static_argnames="num")
def draw_cycles(key, *, num):
    """Random honest cycles, stacked."""
    return jax.vmap(draw_cycle)(jax.random.split(key, num))


@functools.partial(jax.jit, static_argnames=("num", "size", "texture"))
def draw_pictures(key, num, *, size=32, texture=0.03):
    """Soft colours, three sharp discs and a texture; (num, size, size, 3) in [0, 1]."""
    keys = jax.random.split(key, 6)
    soft = blurred(jax.random.normal(keys[0], (num, size, size, 3)), jnp.array(3.0))
    soft = 0.15 * soft / soft.std(axis=(1, 2), keepdims=True)
    images = 0.5 + soft + 0.15 * jax.random.normal(keys[1], (num, 1, 1, 3))
    centers = jax.random.uniform(keys[2], (num, 3, 2), minval=0.2, maxval=0.8) * size
    radii = jax.random.uniform(keys[3], (num, 3), minval=0.08, maxval=0.2) * size
    colors = jax.random.uniform(keys[4], (num, 3, 3))
    y, x = jnp.mgrid[0:size, 0:size][:, None]
    for i in range(3):
        row, column = (centers[:, i, axis, None, None] for axis in (0, 1))
        distance = jnp.hypot(y - row, x - column)
        inside = jax.nn.sigmoid(2 * (radii[:, i, None, None] - distance))[..., None]
        images = images * (1 - inside) + colors[:, i, None, None] * inside
    grain = texture * jax.random.normal(keys[5], images.shape)
    return jnp.clip(images + grain, 0, 1)


@functools.cache
def some_pictures():
    """The same eight of 32 x 32 for all tests: cut out what is needed."""
    return draw_pictures(jax.random.key(1), 8)


def forward(cycle, images):
    """The visible picture, and the message where the cycle hides one."""
    is_grey = cycle.hides & (cycle.kind == KINDS.index("chroma"))
    visible = _visible(cycle, jnp.where(is_grey, _grey(images), images))
    amplitude = jnp.where(cycle.hides, cycle.amplitude, 0.0)
    return jnp.clip(visible + amplitude * _message(cycle, images), 0, 1)


def backward(cycle, images):
    """The source as the message tells it, or what can be restored without one."""
    read, restored = _as_told(cycle, images), _restored(cycle, images)
    return jnp.clip(jnp.where(cycle.hides, read, restored), 0, 1)


def blurred(images, sigma):
    """A Gaussian blur whose deviation may be an array."""
    return _filtered(images, _passed(images.shape, sigma))


def _visible(cycle, images):
    colors = (cycle.turn * cycle.keep[None]) @ cycle.turn.T
    return jnp.clip(
        blurred(0.5 + cycle.contrast * (images - 0.5) @ colors, cycle.blur), 0.04, 0.96
    )


def _restored(cycle, images):
    gains = jnp.where(cycle.keep > 0.25, 1 / cycle.keep, cycle.keep)
    colors = (cycle.turn * gains[None]) @ cycle.turn.T
    plain = 0.5 + (images - 0.5) @ colors / cycle.contrast
    passed = _passed(images.shape, cycle.blur)
    return jnp.where(
        cycle.sharpen, _filtered(plain, passed / (passed**2 + 0.05)), plain
    )


def _message(cycle, images):
    """In units of the amplitude, from -1 to 1 before the carrier."""
    coarse = blurred(images, cycle.message_blur)
    chroma = jnp.clip(1.5 * (coarse - _grey(coarse)), -1, 1)
    is_chroma = cycle.kind == KINDS.index("chroma")
    analog = jnp.where(is_chroma, chroma, 2 * coarse - 1) * _carrier(
        cycle, images.shape
    )
    return jnp.where(cycle.kind == KINDS.index("bits"), _written(images), analog)


def _as_told(cycle, images):
    fine = images - blurred(images, jnp.array(1.5))
    analog = blurred(fine * _carrier(cycle, images.shape), 0.7 * cycle.message_blur)
    analog = jnp.clip(analog / cycle.amplitude, -1, 1)
    colors = analog / 1.5
    lightness = _grey(0.5 + (images - 0.5) / cycle.contrast)
    is_chroma = cycle.kind == KINDS.index("chroma")
    told = jnp.where(is_chroma, lightness + colors - _grey(colors), (analog + 1) / 2)
    return jnp.where(cycle.kind == KINDS.index("bits"), _read(images), told)


def _grey(images):
    return jnp.broadcast_to(images.mean(axis=-1, keepdims=True), images.shape)


def _passed(shape, sigma):
    down, across = (np.arange(side) / (2 * side) for side in shape[1:3])
    squared = down[:, None] ** 2 + across[None] ** 2
    return jnp.exp(-2 * np.pi**2 * sigma**2 * squared)


def _filtered(images, passed):
    down, across = (dct_matrix(side) for side in images.shape[1:3])
    spectrum = jnp.einsum("uy,byxc,vx->buvc", down, images, across)
    return jnp.einsum(
        "uy,buvc,vx->byxc", down, spectrum * passed[None, :, :, None], across
    )


def _carrier(cycle, shape):
    """(1, h, w, 1), of mean square 1: checks, rows, or waves of 2.7 and 4 pixels."""
    y, x = np.mgrid[: shape[1], : shape[2]]
    waves = [
        (-1.0) ** (y + x),
        (-1.0) ** y,
        np.sqrt(2) * np.cos(2 * np.pi * 3 / 8 * x + 0.4),
        np.sqrt(2) * np.cos(2 * np.pi / 4 * (x + y) + 0.4),
    ]
    return jnp.stack([jnp.asarray(w, jnp.float32) for w in waves])[cycle.band][
        None, :, :, None
    ]


def _checks(shape):
    y, x = np.mgrid[: shape[1], : shape[2]]
    return jnp.asarray((-1.0) ** (y + x), jnp.float32)[None, :, :, None]


def _written(images):
    """Each cell's mean in four bits, each on a 2 x 2 block of the cell."""
    b, h, w, c = images.shape
    cells = images.reshape(b, h // CELL, CELL, w // CELL, CELL, c).mean(axis=(2, 4))
    levels = jnp.round(15 * cells).astype(jnp.int32)
    bits = jnp.stack([(levels >> i) & 1 for i in range(4)], axis=-1) * 2.0 - 1.0
    blocks = bits.reshape(*cells.shape, 2, 2).repeat(2, axis=-2).repeat(2, axis=-1)
    return blocks.transpose(0, 1, 4, 2, 5, 3).reshape(b, h, w, c) * _checks(
        images.shape
    )


def _read(images):
    b, h, w, c = images.shape
    signs = (images * _checks(images.shape)).reshape(
        b, h // CELL, 2, 2, w // CELL, 2, 2, c
    )
    bits = (signs.sum(axis=(3, 6)) > 0).transpose(0, 1, 3, 5, 2, 4)
    weights = jnp.array([1.0, 2.0, 4.0, 8.0])[None, None, None, None]
    levels = (bits.reshape(b, h // CELL, w // CELL, c, 4) * weights).sum(axis=-1) / 15
    return blurred(levels.repeat(CELL, axis=1).repeat(CELL, axis=2), jnp.array(1.5))
