"""Reading vgg.npz: the picture, and each variant's weights and maps."""

import functools
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


@functools.cache
def _arrays():
    with np.load(HERE / "vgg.npz") as file:
        return dict(file)


def image():
    return _arrays()["image"]


def _below(arch, batch_norm, kind):
    prefix = f"{arch}{'_bn' if batch_norm else ''}/{kind}/"
    return {
        name.removeprefix(prefix): array
        for name, array in _arrays().items()
        if name.startswith(prefix)
    }


def weights(arch, batch_norm):
    """Name to array under the reference's names."""
    return _below(arch, batch_norm, "weights")


def maps(arch, batch_norm):
    """Tap to map (b, h, w, c)."""
    return _below(arch, batch_norm, "maps")
