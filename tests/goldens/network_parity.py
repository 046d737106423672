"""How far our networks are from the stored answers of the PyTorch reference.

Needs no PyTorch. tests/models/test_parity.py holds the figures to their limits,
report_parity.py prints them.
"""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from stylejax.models.patch_discriminator import PatchDiscriminator, PixelDiscriminator
from stylejax.models.resnet_generator import ResNetGenerator
from stylejax.models.unet_generator import UNetGenerator

FOLDER = Path(__file__).parent
NETWORKS = {
    "resnet_transpose": ResNetGenerator(ngf=4, num_blocks=2),
    "resnet_resize": ResNetGenerator(ngf=4, num_blocks=1, upsample="resize"),
    "unet": UNetGenerator(ngf=2, num_downs=5),
    "patch_2": PatchDiscriminator(ndf=4, num_layers=2),
    "patch_3": PatchDiscriminator(ndf=2, num_layers=3),
    "pixel": PixelDiscriminator(ndf=8),
}
FULL_SIZE = {
    "resnet_9": ResNetGenerator(num_blocks=9),
    "resnet_6": ResNetGenerator(num_blocks=6),
    "resnet_9_resize": ResNetGenerator(num_blocks=9, upsample="resize"),
    "unet_128": UNetGenerator(num_downs=7),
    "unet_256": UNetGenerator(num_downs=8),
    "patch_3": PatchDiscriminator(num_layers=3),
    "patch_5": PatchDiscriminator(num_layers=5),
    "pixel": PixelDiscriminator(),
}


@functools.cache
def goldens(name):
    """Every array of `networks.npz` or `steps.npz` by its name."""
    with np.load(FOLDER / f"{name}.npz") as archive:
        return dict(archive)


def below(arrays, prefix):
    """The entries of `arrays` under `prefix/`, that prefix taken off."""
    prefix = f"{prefix}/"
    return {
        k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)
    }


def nest(leaves):
    """Slash paths to a tree of dictionaries of jax arrays."""
    tree = {}
    for path, leaf in leaves.items():
        *parents, last = path.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = jnp.asarray(leaf)
    return tree


def largest(x, y):
    """The largest absolute difference."""
    return float(np.max(np.abs(np.asarray(x) - np.asarray(y))))


def relative(x, truth):
    """The norm of the difference by the norm of the truth."""
    x, truth = np.asarray(x, np.float64), np.asarray(truth, np.float64)
    return float(np.linalg.norm(x - truth) / np.linalg.norm(truth))


def to_unit(images):
    """uint8 pictures as float32 in [0, 1]."""
    return jnp.asarray(images.astype(np.float32) / np.float32(255))


def count_parameters(name):
    """(ours, the reference's) number of parameters of a network at width 64."""
    shape = jax.ShapeDtypeStruct((1, 256, 256, 3), jnp.float32)
    variables = jax.eval_shape(FULL_SIZE[name].init, jax.random.key(0), shape)
    ours = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    return ours, int(goldens("networks")[f"count/{name}"])


def measure_network(name):
    """Errors of one network: output (absolute) and input gradient (relative)."""
    golden = below(goldens("networks"), name)
    params = nest(below(golden, "params"))
    x = 2.0 * to_unit(golden["image"]) - 1.0

    @jax.jit
    def run(params, x, cotangent):
        output, vjp = jax.vjp(lambda x: NETWORKS[name].apply({"params": params}, x), x)
        return output, vjp(cotangent)[0]

    output, gradient = run(params, x, jnp.asarray(golden["cotangent"]))
    return {
        "output": largest(output, golden["output"]),
        "output relative": relative(output, golden["output"]),
        "input gradient relative": relative(gradient, golden["input_gradient"]),
    }
