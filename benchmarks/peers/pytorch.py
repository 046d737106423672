"""The cases of the side-by-side benchmark in PyTorch and captum.

The networks and the update are those of tests/goldens, written from the reference
code's published description; here they run as fast as PyTorch lets them: all threads,
inference mode, discriminators frozen while the generators learn.
"""

import contextlib
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.peers import material
from benchmarks.peers import torch_stylizers as stylizers

sys.path.append(str(Path(__file__).parents[2] / "tests" / "goldens"))
import reference_cyclegan  # noqa: E402
import reference_networks as reference  # noqa: E402

COMPARED = (
    "generator/adversarial",
    "generator/cycle",
    "generator/identity",
    "generator/total",
    "discriminator/total",
)


class _Case:
    """Device, memory format, precision and compilation as the options say."""

    def __init__(self, arrays, options):
        self.options = options
        self.device = options["device"]
        self.format = (
            torch.channels_last if options["channels_last"] else torch.contiguous_format
        )
        self.precision = (
            torch.autocast(self.device, torch.bfloat16)
            if options["dtype"] == "bfloat16"
            else contextlib.nullcontext()
        )
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True

    def tensor(self, images):
        x = torch.tensor(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
        return x.to(self.device, memory_format=self.format)

    def placed(self, network):
        network = network.to(self.device, memory_format=self.format)
        if self.options["compile"]:
            network.compile()  # in place: its layers keep their names
        return network

    def wait(self):
        if self.device == "cuda":
            torch.cuda.synchronize()


class Generator(_Case):
    """A ResNet generator, forward."""

    def __init__(self, arrays, options):
        super().__init__(arrays, options)
        network = reference.load_flax_leaves(
            reference.ResNetGenerator(), material.below(arrays, "generator/AtoB")
        )
        self.network = self.placed(network.requires_grad_(False))
        self.x = self.tensor(2 * arrays["a"] - 1)

    def run(self):
        with torch.inference_mode(), self.precision:
            self.y = self.network(self.x)
        self.wait()

    def outputs(self):
        return {"y": _to_numpy(self.y)}


class TrainStep(_Case):
    """One step of the whole CycleGAN: two generators, two discriminators, Adam."""

    def __init__(self, arrays, options):
        super().__init__(arrays, options)
        recipe = reference_cyclegan.Recipe(
            ngf=material.CHANNELS,
            num_blocks=material.BLOCKS,
            ndf=material.CHANNELS,
            num_layers=3,
            pool_size=50,
            constant_epochs=100,
            decay_epochs=100,
            steps_per_epoch=1000,
        )
        self.model = reference_cyclegan.CycleGAN(recipe, 0)
        self.model.load_leaves(arrays)
        networks = self.model.networks
        for name, network in networks.items():
            networks[name] = self.placed(network)
        self.batch = [self.tensor(2 * arrays[side] - 1) for side in "ab"]
        # The pool's coin flips, the same in every step: half the fakes are new.
        half = [i % 2 == 0 for i in range(len(arrays["a"]))]
        self.decisions = {d: (half, [0] * len(half)) for d in "ab"}
        self.first = None

    def run(self):
        with self.precision:
            losses = self.model.update(*self.batch, self.decisions)
        self.wait()
        if self.first is None:
            self.first = {
                f"loss/{k}": np.float32(v) for k, v in losses.items() if k in COMPARED
            }
            self.first |= {
                f"gradient/{k.removeprefix('mean/')}": v
                for k, v in self.model.moments().items()
                if k.startswith("mean/")
            }

    def outputs(self):
        return self.first


class VGGFeatures(_Case):
    """VGG's maps relu1_1 ... relu5_1 by ReLU, forward."""

    def __init__(self, arrays, options):
        super().__init__(arrays, options)
        leaves = material.below(arrays, "vgg")
        self.names = [k.split("/")[0] for k in leaves if k.endswith("/kernel")]
        self.names = self.names[: self.names.index("conv5_1") + 1]
        self.network = self.placed(_VGG(leaves, self.names))
        self.x = self.tensor(arrays["a"])

    def run(self):
        with torch.inference_mode(), self.precision:
            self.y = self.network(self.x)
        self.wait()

    def outputs(self):
        return {name: _to_numpy(y) for name, y in self.y.items()}


class VGGGradients(VGGFeatures):
    """The gradient of the mean square of all maps by the picture."""

    def run(self):
        x = self.x.detach().requires_grad_(True)
        with self.precision:
            maps = self.network(x)
            loss = sum(y.float().square().mean() for y in maps.values())
        (gradient,) = torch.autograd.grad(loss, x)
        self.y = loss, gradient
        self.wait()

    def outputs(self):
        loss, gradient = self.y
        return {
            "loss": np.float32(loss.detach().cpu()),
            "gradient": _to_numpy(gradient),
        }


class Attribution(Generator):
    """captum's integrated gradients of the mean red of a region."""

    def __init__(self, arrays, options):
        super().__init__(arrays, options)
        from captum.attr import IntegratedGradients

        self.baseline = self.tensor(2 * arrays["b"] - 1)
        quarter = self.x.shape[2] // 4
        box = (slice(None), 0, slice(quarter, 2 * quarter), slice(quarter, 2 * quarter))
        self.method = IntegratedGradients(lambda x: self.network(x)[box].mean((1, 2)))

    def run(self):
        with self.precision:
            self.y = self.method.attribute(
                self.x,
                baselines=self.baseline,
                n_steps=32,
                method="gausslegendre",
                internal_batch_size=self.options["chunk"] or None,
            )
        self.wait()

    def outputs(self):
        return {"gradient": _to_numpy(self.y)[0]}


class Painter(_Case):
    """A learned stylising network: content and style to the painted picture."""

    def __init__(self, arrays, options):
        super().__init__(arrays, options)
        kind = options["kind"]
        encoder, decoder = (
            material.below(arrays, f"{kind}/{n}") for n in ("encoder", "decoder")
        )
        if kind == "slim":
            networks = stylizers.SlimEncoder(encoder), stylizers.SlimDecoder(decoder)
        else:
            scales = np.ones(512, np.float32)
            networks = (
                stylizers.VGGEncoder(encoder, scales),
                stylizers.AdaINDecoder(decoder),
            )
        for network, leaves in zip(networks, (encoder, decoder), strict=True):
            reference.load_flax_leaves(network, leaves)
        network = stylizers.Painter(*networks).requires_grad_(False)
        self.network = self.placed(network)
        self.given = self.tensor(arrays["a"]), self.tensor(arrays["b"])

    def run(self):
        with torch.inference_mode(), self.precision:
            self.y = self.network(*self.given)
        self.wait()

    def outputs(self):
        return {"y": _to_numpy(self.y)}


class _VGG(torch.nn.Module):
    """The convolutions by name; their ReLUs' maps where a block begins."""

    def __init__(self, leaves, names):
        super().__init__()
        self.names = names
        for name in names:
            kernel = leaves[f"{name}/kernel"]
            conv = torch.nn.Conv2d(*kernel.shape[2:], 3, padding=1)
            self.add_module(name, conv)
        reference.load_flax_leaves(self, leaves)
        self.requires_grad_(False)

    def forward(self, x):
        maps = {}
        for name in self.names:
            first = name.endswith("_1")
            if first and name != "conv1_1":
                x = F.max_pool2d(x, 2)
            x = F.relu(getattr(self, name)(x))
            if first:
                maps[name.replace("conv", "relu")] = x
        return maps


def _to_numpy(x):
    return np.ascontiguousarray(x.detach().float().permute(0, 2, 3, 1).cpu().numpy())


CASES = {
    ("slim", "paint"): Painter,
    ("adain", "paint"): Painter,
    ("generator", "forward"): Generator,
    ("train_step", "step"): TrainStep,
    ("vgg16", "forward"): VGGFeatures,
    ("vgg16", "gradients"): VGGGradients,
    ("vgg19", "forward"): VGGFeatures,
    ("vgg19", "gradients"): VGGGradients,
    ("attribution", "32 steps"): Attribution,
}


def versions():
    """What this peer is made of."""
    return {name: metadata.version(name) for name in ("torch", "captum")}


def device():
    """Its device in words."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU, {torch.get_num_threads()} threads"


def device_peak_bytes():
    """The most memory the device has held, where it tells."""
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
