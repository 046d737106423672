"""A decoder of VGG features in closed form: each layer by least squares.

A mirrored decoder undoes an encoder whose maps are known at every depth. So no layer
has to be found by descent: the layer that mirrors `conv3_2` gets the weights that, from
the maps which the decoder's earlier layers made, best predict what entered `conv3_2`.
Layer by layer, each on the output of those before, this takes about as long as a
hundred training steps, and training begins with pictures instead of noise.

Ridge regression as in any textbook; that a decoder begins with it is ours.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from stylejax.checks import check_choice
from stylejax.losses.channel_scale import channel_means, scaled
from stylejax.models import vgg as vgg_model
from stylejax.models.adain_decoder import (
    AdaINDecoder,
    enlarges,
    features_of,
    layer_names,
)
from stylejax.nn.conv import pad
from stylejax.typing import Features, Image, Key, Params

POSITIONS = 1024
"""Positions of each picture and layer that are fitted to, at most; drawn at random."""
RIDGE = 1e-3
"""Added to the diagonal, as a share of the mean square of the inputs."""
STARTS = ("noise", "least_squares")


def is_wanted(start: str) -> bool:
    """Whether a configuration's `start` asks for fitted networks.

    Args:
      start: one of `STARTS`.

    Returns:
      True for "least_squares".

    Raises:
      ValueError: anything else.

    Example:
      >>> is_wanted("noise")
      False
    """
    check_choice(start, choices=STARTS, name="start")
    return start == "least_squares"


def mirrored_taps(arch: str) -> dict[str, str]:
    """What each layer of the decoder has to bring back.

    Args:
      arch: the VGG that is mirrored.

    Returns:
      The tap that enters the convolution of that name; "" for the picture itself.

    Example:
      >>> list(mirrored_taps("vgg11").items())[:3]
      [('conv4_1', 'pool3'), ('conv3_2', 'relu3_1'), ('conv3_1', 'pool2')]
    """
    names = vgg_model.layer_names(arch)
    before = dict(zip(names[1:], names, strict=False))
    return {name: before.get(name, "") for name in layer_names(arch)}


def fit(
    network: AdaINDecoder,
    feature_fn: Callable[[Sequence[str]], Callable[[Image], Features]],
    scales: Params,
    images: Image,
    *,
    skip: str = "",
    seed: int = 0,
) -> Params:
    """The parameters of a decoder that brings pictures back from their features.

    Args:
      network: the decoder.
      feature_fn: taps to the encoder, pictures `b h w 3` in [0, 1] to maps by tap.
      scales: what relu4_1 and `skip` are divided by; (c,) by tap.
      images: (n, h, w, 3) in [0, 1], h and w multiples of 8; some dozens of the
        training's crops.
      skip: the tap that enters through the decoder's lateral connection; "" for none.
      seed: of the positions that are drawn.

    Returns:
      Parameters of `network`. The maps inside it are in units of their channels' means.

    Raises:
      ValueError: pictures whose sides do not halve three times.
    """
    if any(side % 8 for side in np.shape(images)[1:3]):
        raise ValueError(
            f"image_size: a decoder is fitted on sides that are multiples of 8, got"
            f" {np.shape(images)[1:3]}; set another size or start=noise"
        )
    params: dict = {}
    for name, tap in mirrored_taps(network.arch).items():
        encode = feature_fn(
            tuple(dict.fromkeys(t for t in ("relu4_1", skip, tap) if t))
        )
        unit = channel_means(encode, images)[tap] if tap else jnp.ones(3)
        layer = _Layer(network, name, tap, skip)
        sums = jax.jit(functools.partial(layer.sums, encode))
        inputs, outputs = np.zeros((), np.float64), np.zeros((), np.float64)
        for i, image in enumerate(images):
            key = jax.random.fold_in(jax.random.key(seed), i)
            found = sums(params, scales, unit, image[None], key)
            inputs, outputs = (
                inputs + np.asarray(found[0]),
                outputs + np.asarray(found[1]),
            )
        params |= layer.params(_ridge(inputs, outputs))
    return params


def _ridge(inputs: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """The regression's weights, solved for in float64; the last row is the constant."""
    penalty = RIDGE * np.trace(inputs) / len(inputs) * np.ones(len(inputs))
    penalty[-1] = 0.0
    return np.linalg.solve(inputs + np.diag(penalty), outputs)


class _Layer(NamedTuple):
    """One layer that is fitted."""

    network: AdaINDecoder
    name: str
    tap: str
    skip: str

    def sums(
        self,
        encode: Callable[[Image], Features],
        params: Params,
        scales: Params,
        unit: jax.Array,
        image: Image,
        key: Key,
    ) -> tuple[jax.Array, jax.Array]:
        """One picture's part of the normal equations; see `fit`."""
        raw = encode(image)
        entering = [tap for tap in ("relu4_1", self.skip) if tap]
        maps = scaled({tap: raw[tap] for tap in entering}, scales)
        x = maps["relu4_1"]
        skip = maps[self.skip] if self.skip else None
        names = layer_names(self.network.arch)
        if self.name != names[0]:
            before = names[names.index(self.name) - 1]
            x = self.network.clone(until=before).apply({"params": params}, x, skip)
        if enlarges(self.name, names):
            x = jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
        h, w = x.shape[1:3]
        padded = pad(x, 1, mode=self.network.padding_mode)
        parts = [padded[:, i : i + h, j : j + w] for i in range(3) for j in range(3)]
        if self._takes_skip():
            parts.append(maps[self.skip])
        rows = jnp.concatenate([*parts, jnp.ones((1, h, w, 1))], axis=-1)
        goal = raw[self.tap] / unit[None, None, None] if self.tap else image
        drawn = jax.random.permutation(key, h * w)[:POSITIONS]
        rows = rows.reshape(h * w, -1)[drawn]
        goal = goal.reshape(h * w, -1)[drawn]
        product = functools.partial(jnp.matmul, rows.T, precision="highest")
        return product(rows), product(goal)

    def _takes_skip(self) -> bool:
        if not self.skip:
            return False
        # The first layer of the skip's size, as in the decoder.
        names = layer_names(self.network.arch)
        return self.name == next(n for n in names if n[4] == self.skip[4])

    def params(self, found: np.ndarray) -> dict[str, dict[str, jax.Array]]:
        """The layer's parameters, and the lateral connection's where it enters."""
        weights = jnp.asarray(found, jnp.float32)
        names, width = layer_names(self.network.arch), self.network.width
        place = names.index(self.name)
        channels = features_of(names[place - 1], width=width) if place else 8 * width
        kernel, lateral, bias = jnp.split(weights, [9 * channels, len(weights) - 1])
        kernel = kernel.reshape(3, 3, channels, -1)
        params = {self.name: {"kernel": kernel, "bias": bias[0]}}
        if len(lateral):
            none = jnp.zeros_like(bias[0])
            params["skip"] = {"kernel": lateral[None, None], "bias": none}
        return params
