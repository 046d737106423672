"""What both peers compute on: weights and pictures in one file of NumPy arrays.

Leaves carry the names and layouts of our parameters, `generator/AtoB/stem/kernel`;
a peer turns them into its own.
"""

import numpy as np

FAMILIES = {
    "generator": ("generator/AtoB",),
    "attribution": ("generator/AtoB",),
    "train_step": (
        "generator/AtoB",
        "generator/BtoA",
        "discriminator/A",
        "discriminator/B",
    ),
    "vgg16": ("vgg",),
    "vgg19": ("vgg",),
    "slim": ("slim/encoder", "slim/decoder"),
    "adain": ("adain/encoder", "adain/decoder"),
}
"""For each kind of case the networks it needs."""

CHANNELS = 64
BLOCKS = 9
_VGG = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}


def _generator():
    """(name, kernel's shape, channels out) of every layer of a ResNet generator."""
    n, wide = CHANNELS, 4 * CHANNELS
    yield "stem", (7, 7, 3, n), n
    yield "down_0", (3, 3, n, 2 * n), 2 * n
    yield "down_1", (3, 3, 2 * n, wide), wide
    for i in range(BLOCKS):
        yield f"block_{i}/conv_0", (3, 3, wide, wide), wide
        yield f"block_{i}/conv_1", (3, 3, wide, wide), wide
    # Enlarging kernels are stored in the orientation of the convolution.
    yield "up_0", (3, 3, wide, 2 * n), 2 * n
    yield "up_1", (3, 3, 2 * n, n), n
    yield "head", (7, 7, n, 3), 3


def _discriminator():
    widths = [3, CHANNELS, 2 * CHANNELS, 4 * CHANNELS, 8 * CHANNELS, 1]
    for i, (before, after) in enumerate(zip(widths[:-1], widths[1:], strict=True)):
        yield f"conv_{i}", (4, 4, before, after), after


def _vgg(kind):
    before = 3
    for block, count in enumerate(_VGG[kind], start=1):
        after = CHANNELS * min(2 ** (block - 1), 8)
        for position in range(1, count + 1):
            yield f"conv{block}_{position}", (3, 3, before, after), after
            before = after


def _slim(part, n=32):
    if part == "encoder":
        yield "conv1_1", (3, 3, 3, n), n
        yield "conv2_1", (3, 3, n, n), n
        yield "down3", (3, 3, n, 2 * n), 2 * n
        yield "conv3_1", (3, 3, 2 * n, 2 * n), 2 * n
        yield "down4", (3, 3, 2 * n, 4 * n), 4 * n
        yield "conv4_1", (3, 3, 4 * n, 4 * n), 4 * n
        return
    for name in ("block4_0", "block4_1"):
        for end in "ab":
            yield f"{name}_{end}", (3, 3, 4 * n, 4 * n), 4 * n
    yield "up3", (3, 3, 4 * n, 2 * n), 2 * n
    yield "skip3", (1, 1, 2 * n, 2 * n), 2 * n
    for end in "ab":
        yield f"block3_{end}", (3, 3, 2 * n, 2 * n), 2 * n
    yield "up2", (3, 3, 2 * n, n), n
    yield "skip2", (1, 1, n, n), n
    yield "conv2", (3, 3, n, n), n
    yield "head", (3, 3, n, 3), 3


def _adain(part):
    layers = list(_vgg("vgg16"))
    last = [name for name, *_ in layers].index("conv4_1")
    if part == "encoder":
        yield from layers[: last + 1]
        return
    for name, (height, width, before, after), _ in layers[last::-1]:
        yield name, (height, width, after, before), before


def _layers(kind, network):
    if network == "vgg":
        return _vgg(kind)
    if kind in ("slim", "adain"):
        part = network.split("/")[1]
        return _slim(part) if kind == "slim" else _adain(part)
    return _generator() if network.startswith("generator") else _discriminator()


_SLIM_STRIDES = {"1": 2, "2": 2, "3": 4, "4": 8, "head": 1}


def multiplications(kind, *, size):
    """Of a stylising network's convolutions: content, style, painted picture."""
    total = 0
    for network in FAMILIES[kind]:
        times = 2 if network.endswith("encoder") else 1
        for name, shape, _ in _layers(kind, network):
            block = (
                name if name == "head" else name.strip("abcdefghijklmnopqrstuvwxyz_")
            )
            if kind == "slim":
                stride = _SLIM_STRIDES[block if block == "head" else block[0]]
            else:
                stride = 2 ** (int(block[0]) - 1)
            total += times * int(np.prod(shape)) * (size // stride) ** 2
    return total


def draw(kind, *, size, batch, seed=0):
    """Weights by leaf, and pictures `a` and `b`, `batch size size 3` in [0, 1].

    Kernels are drawn so that activations keep their size (He et al. 2015).
    """
    rng = np.random.default_rng(seed)
    arrays = {}
    for network in FAMILIES[kind]:
        for name, shape, channels in _layers(kind, network):
            scale = np.sqrt(2 / np.prod(shape[:3]))
            arrays[f"{network}/{name}/kernel"] = rng.normal(0, scale, shape)
            arrays[f"{network}/{name}/bias"] = rng.normal(0, 0.02, channels)
    for side in "ab":
        coarse = rng.uniform(0, 1, (batch, size // 8, size // 8, 3))
        fine = rng.normal(0, 0.1, (batch, size, size, 3))
        blocks = coarse.repeat(8, axis=1).repeat(8, axis=2)
        arrays[side] = np.clip(blocks + fine, 0, 1)
    return {name: np.asarray(x, np.float32) for name, x in arrays.items()}


def below(arrays, prefix):
    """The entries under `prefix/`, that prefix taken off."""
    prefix = f"{prefix}/"
    return {
        k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)
    }
