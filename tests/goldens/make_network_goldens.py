"""Write `networks.npz`: what the PyTorch reference networks answer at tiny width.

    python tests/goldens/make_network_goldens.py

For each network CASE: its weights under our names (`CASE/params/...`), a uint8 picture
(`CASE/image`), the output (`CASE/output`), and the gradient of sum(output * cotangent)
by the picture in [-1, 1] (`CASE/cotangent`, `CASE/input_gradient`). Besides, the
parameter counts of the full-size networks (`count/NAME`).
"""

from pathlib import Path

import numpy as np
import reference_networks as reference
import torch

CASES = {
    "resnet_transpose": (reference.ResNetGenerator, dict(ngf=4, num_blocks=2)),
    "resnet_resize": (
        reference.ResNetGenerator,
        dict(ngf=4, num_blocks=1, upsample="resize"),
    ),
    "unet": (reference.UNetGenerator, dict(ngf=2, num_downs=5)),
    "patch_2": (reference.PatchDiscriminator, dict(ndf=4, num_layers=2)),
    "patch_3": (reference.PatchDiscriminator, dict(ndf=2, num_layers=3)),
    "pixel": (reference.PixelDiscriminator, dict(ndf=8)),
}
COUNTS = {
    "resnet_9": lambda: reference.ResNetGenerator(64, 9),
    "resnet_6": lambda: reference.ResNetGenerator(64, 6),
    "resnet_9_resize": lambda: reference.ResNetGenerator(64, 9, "resize"),
    "unet_128": lambda: reference.UNetGenerator(64, 7),
    "unet_256": lambda: reference.UNetGenerator(64, 8),
    "patch_3": lambda: reference.PatchDiscriminator(64, 3),
    "patch_5": lambda: reference.PatchDiscriminator(64, 5),
    "pixel": lambda: reference.PixelDiscriminator(64),
}
SIZE = 32


def run_case(seed, make, options):
    """The arrays stored for one network."""
    network = reference.draw_weights(make(**options), seed, std=0.05, bias_std=0.05)
    image = reference.draw_images(seed, 1, SIZE)
    x = reference.to_torch(image).requires_grad_()
    output = network(x)
    generator = torch.Generator().manual_seed(1000 + seed)
    cotangent = torch.randn(output.shape, generator=generator)
    (input_gradient,) = torch.autograd.grad((output * cotangent).sum(), x)
    leaves = reference.flax_leaves(network)
    return {f"params/{name}": leaf for name, leaf in leaves.items()} | {
        "image": image,
        "output": reference.to_numpy(output),
        "cotangent": reference.to_numpy(cotangent),
        "input_gradient": reference.to_numpy(input_gradient),
    }


def main():
    reference.make_deterministic()
    arrays = {}
    for seed, (name, (make, options)) in enumerate(CASES.items()):
        case = run_case(seed, make, options)
        arrays |= {f"{name}/{key}": value for key, value in case.items()}
    with torch.device("meta"):
        for name, make in COUNTS.items():
            arrays[f"count/{name}"] = np.int64(reference.num_parameters(make()))
    path = Path(__file__).with_name("networks.npz")
    np.savez_compressed(path, **arrays)
    counts = {k: int(v) for k, v in arrays.items() if k.startswith("count/")}
    print(f"{path.name}: {path.stat().st_size} bytes\n{counts}")


if __name__ == "__main__":
    main()
