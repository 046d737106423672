"""VGG 11, 13, 16 and 19, with or without batch norm: feature maps by their usual names.

A tap is named by kind, block and position: `conv3_2` (before the nonlinearity),
`norm3_2` (batch norm variants), `relu4_1`, and `pool2`, what leaves block 2. A network
is no deeper than the deepest tap that is asked for.

Reference: Simonyan and Zisserman 2014, https://arxiv.org/abs/1409.1556; classifier
layers are left out. Pictures come in preprocessed: see `stylejax.pretrained.vgg`.
"""

import re
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from stylejax.checks import check_choice
from stylejax.nn.conv import PADDING_MODES, Conv
from stylejax.nn.pool import max_pool2d
from stylejax.typing import Features

BLOCKS = {
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
"""Convolutions in each of the five blocks."""

POOLINGS = ("max", "average")
NORM_EPSILON = 1e-5
MULTIPLES = (1, 2, 4, 8, 8)
"""Channels of each block in units of the first block's."""


def layer_names(arch: str, *, batch_norm: bool = False) -> tuple[str, ...]:
    """Returns the taps of an architecture in the order of the computation.

    Args:
      arch: one of `BLOCKS`.
      batch_norm: a norm stands between each convolution and its ReLU.

    Returns:
      Names: conv1_1, relu1_1, …, pool1, conv2_1, …

    Raises:
      ValueError: unknown architecture.

    Example:
      >>> layer_names("vgg11")[:5]
      ('conv1_1', 'relu1_1', 'pool1', 'conv2_1', 'relu2_1')
    """
    check_choice(arch, choices=BLOCKS, name="arch")
    kinds = ("conv", "norm", "relu") if batch_norm else ("conv", "relu")
    names: list[str] = []
    for block, count in enumerate(BLOCKS[arch], start=1):
        for position in range(1, count + 1):
            names += [f"{kind}{block}_{position}" for kind in kinds]
        names.append(f"pool{block}")
    return tuple(names)


def check_taps(taps: Sequence[str], *, arch: str, batch_norm: bool = False) -> None:
    """Returns nothing; refuses what is no tap of the architecture.

    Args:
      taps: names of feature maps.
      arch: one of `BLOCKS`.
      batch_norm: as in `layer_names`.

    Raises:
      ValueError: no taps, or a name that the architecture does not have.
    """
    known = layer_names(arch, batch_norm=batch_norm)
    if isinstance(taps, str) or not taps:
        raise ValueError(f"taps: expected a list of names like relu4_1, got {taps!r}")
    for tap in taps:
        if tap not in known:
            kind = re.sub(r"\d.*", "", str(tap))
            near = [name for name in known if kind and name.startswith(kind)]
            listed = ", ".join(near or known)
            raise ValueError(f"taps: {arch} has no {tap!r}; it has {listed}")


class VGG(nn.Module):
    """Preprocessed pictures `b h w 3` to a dictionary of feature maps by tap.

    Attributes:
      taps: names of the maps to return, see `layer_names`.
      arch: one of `BLOCKS`.
      batch_norm: with norms, which use their running statistics (collection
        `batch_stats`).
      padding_mode: zero (the published networks), reflect or replicate.
      pooling: max (the published networks) or average; an odd row or column is dropped.
      width: channels of the first block; 64 in the published networks.
      dtype: dtype of the computation.
    """

    taps: Sequence[str]
    arch: str = "vgg16"
    batch_norm: bool = False
    padding_mode: str = "zero"
    pooling: str = "max"
    width: int = 64
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> Features:
        check_taps(self.taps, arch=self.arch, batch_norm=self.batch_norm)
        check_choice(self.pooling, choices=POOLINGS, name="pooling")
        check_choice(self.padding_mode, choices=PADDING_MODES, name="padding_mode")
        names = layer_names(self.arch, batch_norm=self.batch_norm)
        deepest = max(names.index(tap) for tap in self.taps)

        maps, y = {}, x.astype(self.dtype)
        for name in names[: deepest + 1]:
            y = self._layer(name, y)
            maps[name] = y
        return {tap: maps[tap] for tap in self.taps}

    def _layer(self, name: str, x: jax.Array) -> jax.Array:
        if name.startswith("conv"):
            features = self.width * MULTIPLES[int(name[4]) - 1]
            padding = {"padding": 1, "padding_mode": self.padding_mode}
            return Conv(features, 3, **padding, dtype=self.dtype, name=name)(x)
        if name.startswith("norm"):
            return nn.BatchNorm(
                use_running_average=True,
                epsilon=NORM_EPSILON,
                dtype=self.dtype,
                name=name,
            )(x)
        if name.startswith("relu"):
            return nn.relu(x)
        if min(x.shape[1:3]) < 2:
            raise ValueError(
                f"{name}: nothing is left to halve in a map of {x.shape[1:3]}; use"
                " larger pictures or taps that lie less deep"
            )
        if self.pooling == "max":
            return max_pool2d(x)
        return nn.avg_pool(x, (2, 2), strides=(2, 2))
