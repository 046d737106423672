"""The names other libraries give to the weights of a VGG, turned into ours.

Ours are those of `stylejax.models.vgg`: `conv3_2/kernel` (h, w, in, out) and so on.

| naming        | example                             | kernels    | made for          |
|---------------|-------------------------------------|------------|-------------------|
| `stylejax`    | `conv3_2/kernel`                    | h w in out | see the file      |
| `torchvision` | `features.12.weight` (timm as well) | out in h w | RGB, mean and std |
| `keras`       | `block3_conv2.kernel`               | h w in out | BGR, mean         |
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from stylejax import trees
from stylejax.models import vgg
from stylejax.typing import Params

NAMINGS = ("stylejax", "torchvision", "keras")
_NORM_LEAVES = {
    "weight": "scale",
    "bias": "bias",
    "running_mean": "mean",
    "running_var": "var",
}


class Converted(NamedTuple):
    """The weights of a VGG under our names.

    Attributes:
        variables: {"params": …} and, with batch norm, {"batch_stats": …}.
        arch: one of `vgg.BLOCKS`.
        batch_norm: whether there are norms.
        naming: where the names came from, one of `NAMINGS`.
        deepest: the last convolution there is.
    """

    variables: Mapping[str, Params]
    arch: str
    batch_norm: bool
    naming: str
    deepest: str


def convert(
    tensors: Mapping[str, np.ndarray],
    *,
    arch: str | None = None,
    naming: str | None = None,
) -> Converted:
    """The weights in `tensors` under the names of `stylejax.models.vgg`.

    A file may end early (at `conv4_3`, say): its network has the taps up to there.
    Classifier layers are left out.

    Args:
        tensors: name to array, as in the file.
        arch: what it is; None finds out from the names.
        naming: one of `NAMINGS`; None finds out.

    Returns:
        `Converted`, in float32.

    Raises:
        ValueError: no known naming, or names and shapes that are not those of the
            architecture; then the message holds the difference.
    """
    naming = naming or _naming(tensors)
    stripped = _without_prefix(tensors, naming)
    found, batch_norm, blocks = _TAKERS[naming](stripped)
    arch = arch or _arch(blocks)
    _check(found, arch, batch_norm)
    variables: dict[str, dict] = {}
    for (collection, layer, leaf), array in found.items():
        place = variables.setdefault(collection, {}).setdefault(layer, {})
        place[leaf] = np.asarray(array, np.float32)
    order = vgg.layer_names(arch, batch_norm=batch_norm).index
    deepest = max(variables["params"], key=order)
    deepest = deepest.replace("norm", "conv")
    return Converted(variables, arch, batch_norm, naming, deepest)


_Leaves = dict[tuple[str, str, str], np.ndarray]

_PATTERNS = {
    "stylejax": r"(?:batch_stats/|params/)?(?:conv|norm)\d_\d/\w+",
    "torchvision": r"(?:.*\.)?features\.\d+\.\w+",
    "keras": r"(?:.*[/.])?block\d_conv\d(?:[/._]|/.*)(?:kernel|bias|W|b|0|1)(?::0)?",
}


def _naming(tensors: Mapping[str, np.ndarray]) -> str:
    for naming, pattern in _PATTERNS.items():
        if any(re.fullmatch(pattern, name) for name in tensors):
            return naming
    some = ", ".join(list(tensors)[:3]) or "nothing"
    raise ValueError(
        f"expected the names of a VGG ({', '.join(NAMINGS)}), got {some}, …"
    )


def _without_prefix(
    tensors: Mapping[str, np.ndarray], naming: str
) -> dict[str, np.ndarray]:
    if naming not in NAMINGS:
        raise ValueError(
            f"naming: expected one of {', '.join(NAMINGS)}; got {naming!r}"
        )
    if naming != "torchvision":
        return dict(tensors)
    return {
        name[name.index("features.") :]: array
        for name, array in tensors.items()
        if "features." in name
    }


def _take_stylejax(tensors: dict[str, np.ndarray]) -> tuple[_Leaves, bool, list[int]]:
    found: _Leaves = {}
    for name, array in tensors.items():
        if not re.fullmatch(_PATTERNS["stylejax"], name):
            continue
        parts = name.split("/")
        collection = parts.pop(0) if len(parts) == 3 else "params"
        found[collection, parts[0], parts[1]] = array
    layers = {layer for _, layer, _ in found}
    return found, any(x.startswith("norm") for x in layers), _count(layers)


def _take_keras(tensors: dict[str, np.ndarray]) -> tuple[_Leaves, bool, list[int]]:
    found: _Leaves = {}
    for name, array in tensors.items():
        match = re.search(r"block(\d)_conv(\d)", name)
        if match:
            # A kernel has four axes, a bias one: Keras has had five spellings of each.
            leaf = "kernel" if array.ndim == 4 else "bias"
            found["params", "conv{}_{}".format(*match.groups()), leaf] = array
    return found, False, _count({layer for _, layer, _ in found})


def _take_torchvision(
    tensors: dict[str, np.ndarray],
) -> tuple[_Leaves, bool, list[int]]:
    """Numbers count layers, ReLUs and poolings included: gaps tell where those are."""
    by_number: dict[int, dict[str, np.ndarray]] = {}
    for name, array in tensors.items():
        if not re.fullmatch(_PATTERNS["torchvision"], name):
            continue
        _, place, leaf = name.split(".")
        by_number.setdefault(int(place), {})[leaf] = array
    batch_norm = any("running_mean" in leaves for leaves in by_number.values())
    found: _Leaves = {}
    block, position, previous = 1, 0, -1
    for number in sorted(by_number):
        leaves = by_number[number]
        if "running_mean" in leaves:
            for theirs, ours in _NORM_LEAVES.items():
                if theirs in leaves:
                    kind = "batch_stats" if ours in ("mean", "var") else "params"
                    found[kind, f"norm{block}_{position}", ours] = leaves[theirs]
            continue
        step = 3 if batch_norm else 2
        if previous >= 0 and number - previous > step:  # a pooling lies between
            block, position = block + 1, 0
        position, previous = position + 1, number
        if "weight" in leaves and leaves["weight"].ndim == 4:
            kernel = leaves["weight"].transpose(2, 3, 1, 0)
            found["params", f"conv{block}_{position}", "kernel"] = kernel
        if "bias" in leaves:
            found["params", f"conv{block}_{position}", "bias"] = leaves["bias"]
    return found, batch_norm, _count({layer for _, layer, _ in found})


_TAKERS = {
    "stylejax": _take_stylejax,
    "torchvision": _take_torchvision,
    "keras": _take_keras,
}


def _count(layers: set[str]) -> list[int]:
    places = {x[4:] for x in layers if re.fullmatch(r"(conv|norm)\d_\d", x)}
    blocks = [int(x.split("_")[0]) for x in places]
    return [blocks.count(b) for b in range(1, max(blocks, default=0) + 1)]


def _arch(blocks: list[int]) -> str:
    """The architecture whose blocks these are; the last may be cut short."""
    for arch, counts in vgg.BLOCKS.items():
        if blocks == list(counts):
            return arch
    for arch in ("vgg16", "vgg19", "vgg13", "vgg11"):
        start = vgg.BLOCKS[arch][: len(blocks)]
        if blocks and blocks[:-1] == list(start[:-1]) and blocks[-1] <= start[-1]:
            return arch
    known = "; ".join(f"{k}: {', '.join(map(str, v))}" for k, v in vgg.BLOCKS.items())
    raise ValueError(
        f"expected the convolutions of a VGG by block ({known}), got"
        f" {', '.join(map(str, blocks)) or 'none'}"
    )


def _check(found: _Leaves, arch: str, batch_norm: bool) -> None:
    """Raises with a readable difference if leaves or shapes are not the network's."""
    first = found.get(("params", "conv1_1", "kernel"))
    width = first.shape[-1] if first is not None and first.ndim == 4 else 64
    names = [n for n in vgg.layer_names(arch, batch_norm=batch_norm) if n[0] in "cn"]
    there = [names.index(layer) for _, layer, _ in found if layer in names]
    expected: dict[str, np.ndarray] = {}
    end = max(there, default=-1) + 1
    # A convolution at the end wants its norm as well.
    end += end < len(names) and names[end].startswith("norm")
    channels = 3
    for name in names[:end]:
        features = width * vgg.MULTIPLES[int(name[4]) - 1]
        if name.startswith("conv"):
            expected[f"{name}/kernel"] = np.empty((3, 3, channels, features), "f4")
            expected[f"{name}/bias"] = np.empty(features, "f4")
            channels = features
        else:
            for leaf in _NORM_LEAVES.values():
                expected[f"{name}/{leaf}"] = np.empty(features, "f4")
    got = {
        f"{layer}/{leaf}": np.empty(array.shape, "f4")
        for (_, layer, leaf), array in found.items()
    }
    difference = trees.difference(expected, got)
    if difference:
        lines = "; ".join(difference.splitlines())
        raise ValueError(f"these are not the weights of a {arch}: {lines}")
