"""Packs the VGG-16 that ships: up to conv4_3, RGB order, half precision.

    python -m experiments.pack_vgg16 --weights=FILE

FILE is `vgg16_imagenet_notop.safetensors`, found through STYLEJAX_WEIGHTS without the
flag. Prints the error of every feature map against single precision, on pictures
that ship; refuses to write where one is above 1e-3.
"""

import hashlib
import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from absl import flags

from stylejax.cli.flags import refuse_arguments, run_app
from stylejax.data import sources
from stylejax.pretrained import cache, registry, tensor_files, vgg, vgg_names
from stylejax.train.evaluate import make_evaluator

_WEIGHTS = flags.DEFINE_string("weights", "", "The whole network, Keras names.")
_OUT = flags.DEFINE_string(
    "out", str(registry.FEATURES / "vgg16.safetensors"), "The file to write."
)

FILE = "vgg16_imagenet_notop.safetensors"
SHA256 = "883dec3d1298d9b2976b8d63bdaf21526e1b5efd45b03e648d5a5ff94aecb3a4"
LAST_BLOCK, MAX_ERROR = 4, 1e-3
NOTICE = (
    "VGG-16, Karen Simonyan and Andrew Zisserman, Visual Geometry Group, University of"
    " Oxford, CC BY 4.0, converted in format: cut after conv4_3, input channels in the"
    " order RGB, float16."
)


def main(argv):
    """Returns 0 after the file is written and its errors are printed."""
    refuse_arguments(argv)
    path = Path(_WEIGHTS.value or Path(os.environ.get("STYLEJAX_WEIGHTS", "")) / FILE)
    whole = vgg_names.convert(tensor_files.read(path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SHA256:
        raise ValueError(f"{path}: expected SHA-256 {SHA256}, got {digest}")
    params = {
        name: dict(leaves)
        for name, leaves in whole.variables["params"].items()
        if int(name[4]) <= LAST_BLOCK
    }
    # Its first input channel is blue.
    params["conv1_1"]["kernel"] = params["conv1_1"]["kernel"][:, :, ::-1]
    half = {
        name: {leaf: np.float16(array).astype(np.float32) for leaf, array in x.items()}
        for name, x in params.items()
    }
    errors = feature_errors(params, half)
    for tap, error in errors.items():
        print(f"{tap}  {error:.1e}")
    if max(errors.values()) > MAX_ERROR:
        raise ValueError(f"half precision is too coarse: {max(errors.values()):.1e}")
    weights = vgg.VGGWeights(
        {"params": params}, whole.arch, False, "caffe_rgb", "conv4_3", NOTICE
    )
    vgg.save(_OUT.value, weights, dtype="float16", source_sha256=digest)
    print(f"wrote {_OUT.value}, {Path(_OUT.value).stat().st_size} bytes")
    print(f"its card states the SHA-256: {cache.digest(_OUT.value)}")
    return 0


def feature_errors(params, half, *, count=8):
    """Relative error of each map, |half - whole| / |whole|, over test pictures."""
    pictures = make_evaluator(sources.load("emoji"), image_size=128).test_b[:count]
    maps = []
    for leaves in (params, half):
        weights = vgg.VGGWeights(
            {"params": leaves}, "vgg16", False, "caffe_rgb", "conv4_3"
        )
        maps.append(vgg.feature_fn(weights, weights.taps())(jnp.asarray(pictures)))
    return {
        tap: float(jnp.linalg.norm(maps[1][tap] - x) / jnp.linalg.norm(x))
        for tap, x in maps[0].items()
    }


if __name__ == "__main__":
    run_app(main)
