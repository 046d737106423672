"""Generators and discriminators of image translation, by name.

Every translation method builds its networks here, so one name means one network.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from stylejax.checks import check_choice
from stylejax.models.patch_discriminator import PatchDiscriminator, PixelDiscriminator
from stylejax.models.resnet_generator import ResNetGenerator
from stylejax.models.unet_generator import UNetGenerator
from stylejax.nn.conv import KERNEL_STD
from stylejax.typing import Key, Params

GENERATORS = ("resnet", "unet")
DISCRIMINATORS = ("patch", "pixel")
DTYPES = ("float32", "bfloat16")


def num_halvings(kind: str, *, image_size: int) -> int:
    """Returns how often a generator halves the sides of a picture by default.

    Args:
      kind: one of `GENERATORS`.
      image_size: side of the training pictures in pixels.

    Returns:
      2 for "resnet"; for "unet" as often as the training size allows.

    Raises:
      ValueError: unknown kind.

    Example:
      >>> num_halvings("unet", image_size=256)
      8
    """
    check_choice(kind, choices=GENERATORS, name="generator")
    return 2 if kind == "resnet" else image_size.bit_length() - 1


def make_generator(
    kind: str,
    *,
    ngf: int,
    num_blocks: int,
    num_downs: int,
    upsample: str = "transpose",
    dtype: str = "float32",
    remat: bool = False,
    skips: bool = False,
) -> nn.Module:
    """Returns the generator module of that name.

    Args:
      kind: one of `GENERATORS`.
      ngf: channels after the first convolution.
      num_blocks: residual blocks, for "resnet".
      num_downs: halvings of the sides.
      upsample: "transpose" or "resize", for "resnet".
      dtype: dtype of the computation.
      remat: recompute residual blocks in the backward pass, for "resnet".
      skips: encoder maps and the picture reach the decoder, for "resnet".

    Returns:
      Flax module from and to pictures `b h w 3` in [-1, 1].

    Raises:
      ValueError: unknown kind or dtype.
    """
    check_choice(kind, choices=GENERATORS, name="generator")
    check_choice(dtype, choices=DTYPES, name="dtype")
    number = jnp.dtype(dtype)
    if kind == "unet":
        return UNetGenerator(ngf, num_downs, dtype=number)
    return ResNetGenerator(
        ngf,
        num_blocks,
        num_downs,
        upsample,
        dtype=number,
        remat=remat,
        skips=skips,
    )


def make_discriminator(
    kind: str, *, ndf: int, num_layers: int, dtype: str = "float32"
) -> nn.Module:
    """Returns the discriminator module of that name.

    Args:
      kind: one of `DISCRIMINATORS`.
      ndf: channels after the first convolution.
      num_layers: strided convolutions, for "patch".
      dtype: dtype of the computation.

    Returns:
      Flax module from pictures `b h w 3` in [-1, 1] to logits `b h' w' 1`.

    Raises:
      ValueError: unknown kind or dtype.
    """
    check_choice(kind, choices=DISCRIMINATORS, name="discriminator")
    check_choice(dtype, choices=DTYPES, name="dtype")
    number = jnp.dtype(dtype)
    if kind == "pixel":
        return PixelDiscriminator(ndf, dtype=number)
    return PatchDiscriminator(ndf, num_layers, dtype=number)


def initial_params(key: Key, network: nn.Module, *, image_size: int) -> Params:
    """Returns what training begins with: kernels from N(0, 0.02), biases 0.

    The same distribution as the modules' own `init`, drawn at once: one draw per kernel
    makes XLA compile several times as long (2026-11, jax 0.10.2, CPU).

    Args:
      key: PRNG key.
      network: a module of this file.
      image_size: side of the training pictures in pixels.

    Returns:
      Parameters, float32.
    """
    images = jax.ShapeDtypeStruct((1, image_size, image_size, 3), jnp.float32)
    shapes = jax.eval_shape(network.init, key, images)["params"]
    leaves, structure = jax.tree.flatten(shapes)
    ends = np.cumsum([leaf.size for leaf in leaves])
    noise = jnp.split(KERNEL_STD * jax.random.normal(key, (ends[-1],)), ends[:-1])
    return jax.tree.unflatten(
        structure,
        [
            # A bias is the only leaf of one axis.
            jnp.zeros(leaf.shape) if leaf.ndim == 1 else drawn.reshape(leaf.shape)
            for leaf, drawn in zip(leaves, noise, strict=True)
        ],
    )
