"""VGG weights with the preprocessing they were trained with, and features from them.

`load("vgg16")` ships with the package: VGG-16 up to `relu4_3`, in half precision. Files
of torchvision, timm and Keras are read as they are, and those that were fetched with
`stylejax weights fetch` by their names.
"""

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from stylejax.checks import check_choice, check_image
from stylejax.models import vgg
from stylejax.nn.conv import PADDING_MODES
from stylejax.pretrained import (
    cache,
    catalogue,
    registry,
    safetensors_io,
    tensor_files,
    vgg_names,
)
from stylejax.typing import Features, Image, Params


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """What happens to a picture in [0, 1] before it enters a network.

        (scale x - mean) / std, channels in `order`

    Attributes:
        order: "rgb" or "bgr": the order of the channels, also of `mean` and `std`.
        scale: 1 or 255.
        mean: three numbers.
        std: three numbers.
    """

    order: str = "rgb"
    scale: float = 1.0
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __call__(self, images: Image) -> jax.Array:
        """Returns `images` (b, h, w, 3), RGB in [0, 1], as the network wants them."""
        x = images[..., ::-1] if self.order == "bgr" else images
        mean, std = (jnp.asarray(v, x.dtype) for v in (self.mean, self.std))
        return (self.scale * x - mean[None, None, None]) / std[None, None, None]


PREPROCESSINGS = {
    "torch": Preprocessing(),
    "caffe": Preprocessing("bgr", 255.0, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)),
    "caffe_rgb": Preprocessing(
        "rgb", 255.0, (123.68, 116.779, 103.939), (1.0, 1.0, 1.0)
    ),
    "none": Preprocessing("rgb", 1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
"""Preprocessings in use, by name: of torchvision, of Caffe and Keras, and of none."""

_USUAL = {"torchvision": "torch", "keras": "caffe", "stylejax": "torch"}


@dataclasses.dataclass(frozen=True)
class VGGWeights:
    """Weights of a VGG and what must be known to use them.

    Attributes:
        variables: {"params": …} and, with batch norm, {"batch_stats": …}.
        arch: one of `stylejax.models.vgg.BLOCKS`.
        batch_norm: whether there are norms.
        preprocessing: one of `PREPROCESSINGS`, by name.
        deepest: the last convolution there is; taps may lie up to its ReLU.
        notice: credit and licence, as far as the file states them.
    """

    variables: Mapping[str, Params] = dataclasses.field(repr=False)
    arch: str
    batch_norm: bool
    preprocessing: str
    deepest: str
    notice: str = ""

    @property
    def width(self) -> int:
        """Channels of the first block; 64 in the published networks."""
        return self.variables["params"]["conv1_1"]["kernel"].shape[-1]

    def taps(self) -> tuple[str, ...]:
        """The taps these weights reach, in the order of the computation."""
        names = vgg.layer_names(self.arch, batch_norm=self.batch_norm)
        last = names.index(self.deepest.replace("conv", "relu"))
        return names[: last + 1]


def load(
    name_or_path: str | os.PathLike,
    *,
    arch: str | None = None,
    naming: str | None = None,
    preprocessing: str | None = None,
) -> VGGWeights:
    """The weights of a VGG, from the package, the cache or a file.

    Args:
        name_or_path: "vgg16", which ships, a name of `stylejax.pretrained.catalogue`,
            which was fetched, or a file: see `stylejax.pretrained.tensor_files`.
        arch: what the file holds; None finds out from its names.
        naming: one of `vgg_names.NAMINGS`; None finds out.
        preprocessing: one of `PREPROCESSINGS`; None takes what the file states, or
            what is usual for its naming.

    Returns:
        `VGGWeights`, in float32.

    Raises:
        FileNotFoundError: there is no such file, or it was not fetched.
        ValueError: it is broken, not the file that was fetched, or its names and shapes
            are not those of a VGG.
        ImportError: the extra that reads it is not installed.
    """
    path, stated = _locate(os.fspath(name_or_path))
    if path.suffix == ".safetensors":
        tensors, own = safetensors_io.read_tensors(path)
        stated |= own
    else:
        tensors = tensor_files.read(path)
    found = vgg_names.convert(tensors, arch=arch or stated.get("arch"), naming=naming)
    chosen = preprocessing or stated.get("preprocessing") or _USUAL[found.naming]
    check_choice(chosen, choices=PREPROCESSINGS, name="preprocessing")
    return VGGWeights(
        variables=found.variables,
        arch=found.arch,
        batch_norm=found.batch_norm,
        preprocessing=chosen,
        deepest=found.deepest,
        notice=str(stated.get("notice", "")),
    )


def _locate(name_or_path: str) -> tuple[Path, dict[str, Any]]:
    """The file of a name, and what is known of it beside what it says itself."""
    if name_or_path in registry.names(folder=registry.FEATURES):
        return registry.find(name_or_path, folder=registry.FEATURES), {}
    if name_or_path not in catalogue.names():
        return Path(name_or_path).expanduser(), {}
    entry = catalogue.find(name_or_path)
    stated = {
        "arch": entry.arch,
        "preprocessing": entry.preprocessing,
        "notice": entry.notice,
    }
    return cache.find(entry), stated


def save(
    path: str | os.PathLike,
    weights: VGGWeights,
    *,
    dtype: str = "float32",
    source_sha256: str = "",
) -> Path:
    """The path of the .safetensors file just written; `load` takes it as it is.

    Args:
        path: where to.
        weights: from `load`; what they say of themselves goes into the file.
        dtype: "float16" or "float32".
        source_sha256: hash of the file they came from, where there was one.

    Returns:
        The path.

    Raises:
        ValueError: another suffix, an unknown dtype, values it cannot hold.
    """
    metadata = {
        "arch": weights.arch,
        "preprocessing": weights.preprocessing,
        "notice": weights.notice,
        "source_sha256": source_sha256,
    }
    kept = {name: value for name, value in metadata.items() if value}
    variables = weights.variables
    tree = variables if weights.batch_norm else variables["params"]
    return safetensors_io.save_params(path, tree, metadata=kept, dtype=dtype)


def feature_fn(
    weights: VGGWeights,
    taps: Sequence[str],
    *,
    padding_mode: str = "zero",
    pooling: str = "max",
    dtype: str = "float32",
) -> Callable[[Image], Features]:
    """A function from pictures to their feature maps: what losses and metrics take.

    Args:
        weights: from `load`.
        taps: names of maps, see `stylejax.models.vgg`.
        padding_mode: zero, as the networks were trained, reflect or replicate.
        pooling: max, as the networks were trained, or average.
        dtype: dtype of the computation: float32 or bfloat16.

    Returns:
        Function of pictures (b, h, w, 3), RGB in [0, 1], to a dictionary of maps by
        tap. It is pure and may be jitted, mapped and differentiated.

    Raises:
        ValueError: a tap these weights do not reach, or an unknown option.
    """
    vgg.check_taps(taps, arch=weights.arch, batch_norm=weights.batch_norm)
    beyond = [tap for tap in taps if tap not in weights.taps()]
    if beyond:
        raise ValueError(
            f"taps: these weights end at {weights.taps()[-1]}, which is before"
            f" {', '.join(beyond)}; load a file of the whole network"
        )
    check_choice(pooling, choices=vgg.POOLINGS, name="pooling")
    check_choice(padding_mode, choices=PADDING_MODES, name="padding_mode")
    check_choice(dtype, choices=("float32", "bfloat16"), name="dtype")
    network = vgg.VGG(
        taps=tuple(taps),
        arch=weights.arch,
        batch_norm=weights.batch_norm,
        padding_mode=padding_mode,
        pooling=pooling,
        width=weights.width,
        dtype=jnp.dtype(dtype),
    )
    # Arrays also where the caller is being traced: the function may outlive the trace.
    with jax.ensure_compile_time_eval():
        variables = jax.tree.map(jnp.asarray, dict(weights.variables))
    return functools.partial(
        _features, network, variables, PREPROCESSINGS[weights.preprocessing]
    )


def load_cached(name_or_path: str | os.PathLike) -> VGGWeights:
    """The weights of a VGG; read again only where the file has changed.

    Args:
        name_or_path: as `load` takes it.

    Returns:
        `VGGWeights`, in float32: the same object for the same file.

    Raises:
        FileNotFoundError: as `load`.
        ValueError: as `load`.
        ImportError: as `load`.
    """
    return _load_once(os.fspath(name_or_path), _state(name_or_path))


def features(
    name_or_path: str | os.PathLike,
    taps: Sequence[str],
    *,
    padding_mode: str = "zero",
    pooling: str = "max",
) -> Callable[[Image], Features]:
    """The `feature_fn` of some weights, and the same one each time it is asked for.

    So what was compiled for it is found again, see `jax.jit`.

    Args:
        name_or_path: as `load` takes it.
        taps: as `feature_fn` takes them.
        padding_mode: as `feature_fn` takes it.
        pooling: as `feature_fn` takes it.

    Returns:
        Function of pictures (b, h, w, 3), RGB in [0, 1], to their maps by tap.

    Raises:
        FileNotFoundError: as `load`.
        ValueError: as `load` and `feature_fn`.
        ImportError: as `load`.
    """
    name, state = os.fspath(name_or_path), _state(name_or_path)
    return _features_once(name, state, tuple(taps), padding_mode, pooling)


def _state(name_or_path: str | os.PathLike) -> tuple[int, ...]:
    """What changes when a file does; () where a name stands for one."""
    try:
        found = _locate(os.fspath(name_or_path))[0].stat()
    except OSError:
        return ()
    return (found.st_mtime_ns, found.st_size, found.st_ino)


@functools.lru_cache(maxsize=2)
def _load_once(name: str, state: tuple[int, ...]) -> VGGWeights:
    return load(name)


@functools.lru_cache(maxsize=8)
def _features_once(
    name: str, state: tuple[int, ...], taps: tuple, padding_mode: str, pooling: str
) -> Callable[[Image], Features]:
    weights = _load_once(name, state)
    return feature_fn(weights, taps, padding_mode=padding_mode, pooling=pooling)


def _features(
    network: vgg.VGG, variables: Any, preprocess: Preprocessing, images: Image
) -> Features:
    check_image(images, name="images")
    return network.apply(variables, preprocess(images))
