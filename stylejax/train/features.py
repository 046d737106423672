"""The features an evaluation looks at, and what must be written down about them.

Metrics take any function from pictures to maps by layer; `open_vgg` makes one of a VGG
that ships, was fetched or lies in a file. Features of another network (Inception, a
transformer) come in as a `FeatureSource` of your own.
"""

import dataclasses
import os
from pathlib import Path
from typing import Any

from stylejax.metrics.perceptual import FeatureFn
from stylejax.pretrained import cache, catalogue, registry, vgg
from stylejax.train.manifest import file_digest


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureSource:
    """A feature function and where it comes from.

    Attributes:
        feature_fn: pictures `b h w 3` in [0, 1] to maps `b h w c` by layer; pure.
        name: of the network.
        layers: the names of the maps, the deepest last; its mean over the positions is
            a picture's vector for the kernel and the Fréchet distance.
        sha256: of the file of the weights.
        preprocessing: what happens to pictures before they enter.
    """

    feature_fn: FeatureFn = dataclasses.field(repr=False)
    name: str
    layers: tuple[str, ...]
    sha256: str = ""
    preprocessing: str = ""

    def describe(self) -> dict[str, Any]:
        """What a protocol says of these features; JSON-able."""
        return {
            "name": self.name,
            "layers": list(self.layers),
            "vector": f"mean over the positions of {self.layers[-1]}, divided by the"
            " root mean square over the true pictures",
            "preprocessing": self.preprocessing,
            "sha256": self.sha256,
        }


def open_vgg(name_or_path: str | os.PathLike) -> FeatureSource:
    """The last ReLU of every block of a VGG.

    Args:
        name_or_path: "vgg16", which ships and has four of the five blocks, a name that
            was fetched, or a file; as `stylejax.pretrained.vgg.load` takes it.

    Returns:
        A `FeatureSource`; of files with all blocks it has five layers.

    Raises:
        FileNotFoundError: there is no such file, or it was not fetched.
        ValueError: it holds no VGG.
        ImportError: the extra that reads it is not installed.
    """
    weights = vgg.load(name_or_path)
    last = {tap.split("_")[0]: tap for tap in weights.taps() if tap.startswith("relu")}
    layers = tuple(last.values())
    return FeatureSource(
        vgg.feature_fn(weights, layers),
        name=f"{weights.arch}{'_bn' if weights.batch_norm else ''}",
        layers=layers,
        sha256=file_digest(_file(os.fspath(name_or_path))),
        preprocessing=weights.preprocessing,
    )


def _file(name_or_path: str) -> Path:
    """The file that `vgg.load` reads under this name."""
    if name_or_path in registry.names(folder=registry.FEATURES):
        return registry.find(name_or_path, folder=registry.FEATURES)
    if name_or_path in catalogue.names():
        return cache.find(catalogue.find(name_or_path))
    return Path(name_or_path).expanduser()
