"""The decoder of AdaIN: VGG from its input to relu4_1, the other way round.

Every pooling becomes a nearest-neighbour enlargement, every convolution one of the
opposite direction with reflection padding. A layer is named after the convolution of
the VGG that it mirrors: `conv4_1` comes first and `conv1_1` makes the picture.

Reference: Huang and Belongie 2017, https://arxiv.org/abs/1703.06868; with "vgg19" the
layers are those of the reference code.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from stylejax.checks import check_choice
from stylejax.models import vgg
from stylejax.nn.conv import Conv, he_init
from stylejax.nn.upsample import NearestConv


def layer_names(arch: str) -> tuple[str, ...]:
    """The decoder's layers in the order of the computation.

    Args:
      arch: the VGG that is mirrored, one of `stylejax.models.vgg.BLOCKS`.

    Returns:
      Names of convolutions: conv4_1, conv3_3, …, conv1_1.

    Raises:
      ValueError: unknown architecture.

    Example:
      >>> layer_names("vgg13")
      ('conv4_1', 'conv3_2', 'conv3_1', 'conv2_2', 'conv2_1', 'conv1_2', 'conv1_1')
    """
    names = vgg.layer_names(arch)
    encoder = names[: names.index("conv4_1") + 1]
    return tuple(name for name in reversed(encoder) if name.startswith("conv"))


def features_of(name: str, *, width: int) -> int:
    """The channels that leave a layer: those that enter the convolution it mirrors.

    Args:
      name: from `layer_names`.
      width: channels of the VGG's first block.

    Returns:
      Their number.

    Example:
      >>> features_of("conv3_1", width=64), features_of("conv1_1", width=64)
      (128, 3)
    """
    block, position = int(name[4]), int(name[6:])
    if name == "conv1_1":
        return 3
    entering = block if position > 1 else block - 1
    return width * vgg.MULTIPLES[entering - 1]


def enlarges(name: str, names: Sequence[str]) -> bool:
    """Whether a layer enlarges its map first: where the encoder halves it.

    Args:
      name: one of `names`.
      names: from `layer_names`.

    Returns:
      True between two blocks.

    Example:
      >>> names = layer_names("vgg11")
      >>> [name for name in names if enlarges(name, names)]
      ['conv3_2', 'conv2_1', 'conv1_1']
    """
    i = names.index(name)
    return i > 0 and name[:5] != names[i - 1][:5]


class AdaINDecoder(nn.Module):
    """Features of relu4_1, `b h w 8c`, to pictures `b 8h 8w 3`, unbounded.

    A `skip`, a map of a shallower tap, enters through a 1x1 convolution at the first
    layer of its size; the reference has none.

    Attributes:
      arch: the VGG that is mirrored.
      width: channels of its first block.
      padding_mode: reflect (the reference), zero or replicate.
      until: the last layer that is computed, for its map; "" for the picture.
      dtype: dtype of the computation.
    """

    arch: str = "vgg16"
    width: int = 64
    padding_mode: str = "reflect"
    until: str = ""
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, skip: jax.Array | None = None) -> jax.Array:
        check_choice(self.arch, choices=vgg.BLOCKS, name="arch")
        names = layer_names(self.arch)
        shared = {"dtype": self.dtype, "kernel_init": he_init}
        for name in names:
            features = features_of(name, width=self.width)
            if enlarges(name, names):
                x = NearestConv(features, self.padding_mode, name=name, **shared)(x)
            else:
                padding = {"padding": 1, "padding_mode": self.padding_mode}
                x = Conv(features, 3, name=name, **padding, **shared)(x)
            if skip is not None and x.shape[1:3] == skip.shape[1:3]:
                lateral = Conv(features, 1, name="skip", **shared)(skip)
                x, skip = x + lateral, None
            x = nn.relu(x) if name != "conv1_1" else x
            if name == self.until:
                break
        return x.astype(jnp.float32)
