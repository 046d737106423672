"""The decoder of the AdaIN reference code and of what is built on it, as ours.

Those files number the layers of a sequence in which paddings, ReLUs and enlargements
count as well: `1.weight`, `5.weight`, …; some put `decoder.` before it. The order of
the convolutions says which is which.
"""

import re
from collections.abc import Mapping

import numpy as np

from stylejax import trees
from stylejax.models import adain_decoder, vgg
from stylejax.typing import Params

_PATTERN = r"(?:.*\.)?(\d+)\.(weight|bias)"


def convert(
    tensors: Mapping[str, np.ndarray], *, arch: str = "vgg19"
) -> dict[str, Params]:
    """The parameters of `stylejax.models.adain_decoder.AdaINDecoder`.

    Args:
      tensors: name to array, as in the file; kernels are `out in h w`.
      arch: the VGG that is mirrored.

    Returns:
      {"conv4_1": {"kernel": h w in out, "bias": out}, …}, float32.

    Raises:
      ValueError: other names, or shapes that are not those of the decoder; then the
        message holds the difference.
    """
    numbered: dict[int, dict[str, np.ndarray]] = {}
    for name, array in tensors.items():
        match = re.fullmatch(_PATTERN, name)
        if match:
            numbered.setdefault(int(match[1]), {})[match[2]] = array
    layers = [
        leaves
        for _, leaves in sorted(numbered.items())
        if {"weight", "bias"} <= set(leaves) and leaves["weight"].ndim == 4
    ]
    names = adain_decoder.layer_names(arch)
    if len(layers) != len(names):
        raise ValueError(
            f"expected the {len(names)} convolutions of a decoder for {arch}, numbered"
            f" like 1.weight, got {len(layers)}; give another arch or file"
        )
    found: dict[str, Params] = {
        name: {
            "kernel": np.asarray(leaves["weight"], np.float32).transpose(2, 3, 1, 0),
            "bias": np.asarray(leaves["bias"], np.float32),
        }
        for name, leaves in zip(names, layers, strict=True)
    }
    _check(found, arch)
    return found


def _check(found: Mapping[str, Params], arch: str) -> None:
    width = found["conv1_1"]["kernel"].shape[2]
    channels, expected = width * vgg.MULTIPLES[3], {}
    for name in found:
        features = adain_decoder.features_of(name, width=width)
        expected[name] = {
            "kernel": np.empty((3, 3, channels, features), np.float32),
            "bias": np.empty(features, np.float32),
        }
        channels = features
    difference = trees.difference(expected, found)
    if difference:
        lines = "; ".join(difference.splitlines())
        raise ValueError(f"these are not the weights of a decoder for {arch}: {lines}")
