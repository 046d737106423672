"""Makes vgg.npz and the two .pth files with the reference framework.

    python tests/goldens/make_vgg_goldens.py

The networks are torchvision's own `make_layers` at a width of 2 instead of 64: every
variant's weights under torchvision's names, a picture with odd sides, and the map that
each layer of the reference puts out.
"""

from pathlib import Path

import numpy as np
import torch
from torchvision.models import vgg as reference

HERE = Path(__file__).parent
WIDTH, SEED = 2, 0
ARCHS = {"vgg11": "A", "vgg13": "B", "vgg16": "D", "vgg19": "E"}


def narrow(letter):
    return [x if x == "M" else x * WIDTH // 64 for x in reference.cfgs[letter]]


def network(letter, batch_norm):
    layers = reference.make_layers(narrow(letter), batch_norm=batch_norm).eval()
    for layer in layers:
        if isinstance(layer, torch.nn.Conv2d):
            # He's scale keeps the maps of the deepest layers near 1.
            torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            torch.nn.init.normal_(layer.bias, std=0.1)
        elif isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            torch.nn.init.normal_(layer.bias, std=0.1)
            torch.nn.init.normal_(layer.running_mean, std=0.1)
            torch.nn.init.uniform_(layer.running_var, 0.5, 1.5)
    return layers


@torch.no_grad()
def maps(layers, x):
    """tap -> map (b, h, w, c), named by walking over the layers."""
    found, block, position = {}, 1, 0
    for layer in layers:
        x = layer(x.clone())  # its ReLUs work in place
        kind = type(layer).__name__
        position += kind == "Conv2d"
        short = {"Conv2d": "conv", "BatchNorm2d": "norm", "ReLU": "relu"}.get(kind)
        name = f"{short}{block}_{position}" if short else f"pool{block}"
        if not short:
            block, position = block + 1, 0
        found[name] = x.permute(0, 2, 3, 1).numpy().copy()
    return found


def main():
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    image = torch.randn(1, 3, 35, 41)
    arrays = {"image": image.permute(0, 2, 3, 1).numpy()}
    for arch, letter in ARCHS.items():
        for batch_norm in (False, True):
            layers = network(letter, batch_norm)
            variant = arch + ("_bn" if batch_norm else "")
            for name, tensor in layers.state_dict().items():
                arrays[f"{variant}/weights/features.{name}"] = tensor.numpy()
            for tap, array in maps(layers, image).items():
                arrays[f"{variant}/maps/{tap}"] = array
    np.savez_compressed(HERE / "vgg.npz", **arrays)

    state = network("A", True).state_dict(prefix="features.")
    # What else may be met: halves, views, shared storage, and what is no tensor.
    weird = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    file = {
        "state_dict": state,
        "epoch": 3,
        "optimizer": {"groups": [torch.ones(7)]},  # in a list: no weight of a network
        "half": weird.half(),
        "bfloat16": weird.bfloat16(),
        "double": weird.double(),
        "view": weird.t()[1:4, ::2],
        "scalar": torch.tensor(5),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(weird[0]),
    }
    torch.save(file, HERE / "torch_zip.pth")
    torch.save(file, HERE / "torch_legacy.pth", _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    main()
