"""The reference CycleGAN's networks in PyTorch, written from its published description.

An independent second opinion on `stylejax.models`: nothing here is imported by the
package or its tests. `make_network_goldens.py` and `make_step_goldens.py` run it once
and store what it computes.

Modules carry the names of the corresponding `stylejax` submodules (`stem`, `down_0`,
`block_0`, ...), so `flax_leaves` only has to change the layout of the kernels.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

NORM_EPSILON = 1e-5


def instance_norm(x):
    """Every channel of every picture at mean 0 and (biased) variance 1; no affine."""
    return F.instance_norm(x, eps=NORM_EPSILON)


def reflect(x, width):
    """`x` with `width` mirrored pixels on each side."""
    return F.pad(x, (width, width, width, width), mode="reflect")


class ResidualBlock(nn.Module):
    """x + IN(conv(reflect(relu(IN(conv(reflect(x))))))), nothing after the sum."""

    def __init__(self, width):
        super().__init__()
        self.conv_0 = nn.Conv2d(width, width, 3)
        self.conv_1 = nn.Conv2d(width, width, 3)

    def forward(self, x):
        y = torch.relu(instance_norm(self.conv_0(reflect(x, 1))))
        return x + instance_norm(self.conv_1(reflect(y, 1)))


class ResNetGenerator(nn.Module):
    """The ResNet generator: 7x7 stem, two halvings, residual blocks, two doublings."""

    def __init__(self, ngf=64, num_blocks=9, upsample="transpose"):
        super().__init__()
        if upsample not in ("transpose", "resize"):
            raise ValueError(f"expected transpose or resize, got {upsample!r}")
        self.num_blocks = num_blocks
        self.upsample = upsample
        self.stem = nn.Conv2d(3, ngf, 7)
        self.down_0 = nn.Conv2d(ngf, 2 * ngf, 3, stride=2, padding=1)
        self.down_1 = nn.Conv2d(2 * ngf, 4 * ngf, 3, stride=2, padding=1)
        for i in range(num_blocks):
            self.add_module(f"block_{i}", ResidualBlock(4 * ngf))
        self.up_0 = self._make_up(4 * ngf, 2 * ngf)
        self.up_1 = self._make_up(2 * ngf, ngf)
        self.head = nn.Conv2d(ngf, 3, 7)

    def _make_up(self, inputs, outputs):
        if self.upsample == "resize":
            return nn.Conv2d(inputs, outputs, 3)
        return nn.ConvTranspose2d(
            inputs, outputs, 3, stride=2, padding=1, output_padding=1
        )

    def _double(self, layer, x):
        if self.upsample == "resize":
            x = reflect(F.interpolate(x, scale_factor=2, mode="nearest"), 1)
        return layer(x)

    def forward(self, x):
        x = torch.relu(instance_norm(self.stem(reflect(x, 3))))
        for layer in (self.down_0, self.down_1):
            x = torch.relu(instance_norm(layer(x)))
        for i in range(self.num_blocks):
            x = getattr(self, f"block_{i}")(x)
        for layer in (self.up_0, self.up_1):
            x = torch.relu(instance_norm(self._double(layer, x)))
        return torch.tanh(self.head(reflect(x, 3)))


class UNetGenerator(nn.Module):
    """The U-Net generator: `num_downs` halvings to the core, a skip at every level.

    Norms everywhere but around the outermost level and after the innermost halving;
    LeakyReLU 0.2 before every halving but the first, ReLU before every doubling.
    """

    def __init__(self, ngf=64, num_downs=8):
        super().__init__()
        self.num_downs = num_downs
        widths = [3] + [ngf * min(2**i, 8) for i in range(num_downs)]
        for i in range(num_downs):
            outer, inner = widths[i], widths[i + 1]
            skipped = inner if i == num_downs - 1 else 2 * inner
            down = nn.Conv2d(outer, inner, 4, stride=2, padding=1)
            up = nn.ConvTranspose2d(skipped, outer, 4, stride=2, padding=1)
            self.add_module(f"down_{i}", down)
            self.add_module(f"up_{i}", up)

    def _level(self, i, x):
        outermost, innermost = i == 0, i == self.num_downs - 1
        y = x if outermost else F.leaky_relu(x, 0.2)
        y = getattr(self, f"down_{i}")(y)
        if not (outermost or innermost):
            y = instance_norm(y)
        if not innermost:
            y = torch.cat([y, self._level(i + 1, y)], dim=1)
        y = getattr(self, f"up_{i}")(torch.relu(y))
        return torch.tanh(y) if outermost else instance_norm(y)

    def forward(self, x):
        return self._level(0, x)


class PatchDiscriminator(nn.Module):
    """The n-layer PatchGAN: 4x4 convolutions, all but the last two of stride 2."""

    def __init__(self, ndf=64, num_layers=3):
        super().__init__()
        self.num_layers = num_layers
        widths = [3] + [ndf * min(2**i, 8) for i in range(num_layers + 1)] + [1]
        for i in range(num_layers + 2):
            stride = 2 if i < num_layers else 1
            conv = nn.Conv2d(widths[i], widths[i + 1], 4, stride=stride, padding=1)
            self.add_module(f"conv_{i}", conv)

    def forward(self, x):
        last = self.num_layers + 1
        for i in range(last):
            x = getattr(self, f"conv_{i}")(x)
            x = F.leaky_relu(x if i == 0 else instance_norm(x), 0.2)
        return getattr(self, f"conv_{last}")(x)


class PixelDiscriminator(nn.Module):
    """The 1x1 discriminator: every pixel is judged by its own colour."""

    def __init__(self, ndf=64):
        super().__init__()
        self.conv_0 = nn.Conv2d(3, ndf, 1)
        self.conv_1 = nn.Conv2d(ndf, 2 * ndf, 1)
        self.conv_2 = nn.Conv2d(2 * ndf, 1, 1)

    def forward(self, x):
        x = F.leaky_relu(self.conv_0(x), 0.2)
        x = F.leaky_relu(instance_norm(self.conv_1(x)), 0.2)
        return self.conv_2(x)


def draw_weights(network, seed, *, std=0.02, bias_std=0.0):
    """`network` itself, its weights redrawn: N(0, std), biases N(0, bias_std)."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in network.named_parameters():
            scale = bias_std if name.endswith("bias") else std
            p.copy_(torch.randn(p.shape, generator=generator) * scale)
    return network


def num_parameters(network):
    """The number of trained scalars in `network`."""
    return sum(p.numel() for p in network.parameters())


def flax_leaves(network, values=None):
    """`values` (default: the parameters) of `network` under our names and layouts.

    Convolution weights (out, in, h, w) and transposed ones (in, out, h, w) both become
    (h, w, in, out), unflipped. `values` maps the parameters to tensors of their shape.
    """
    leaves = {}
    for path, module in network.named_modules():
        if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            continue
        order = (2, 3, 1, 0) if isinstance(module, nn.Conv2d) else (2, 3, 0, 1)
        weight, bias = (
            (p if values is None else values[p]).detach().numpy()
            for p in (module.weight, module.bias)
        )
        prefix = path.replace(".", "/")
        leaves[f"{prefix}/kernel"] = np.ascontiguousarray(weight.transpose(order))
        leaves[f"{prefix}/bias"] = bias.copy()
    return leaves


def load_flax_leaves(network, leaves):
    """`network` itself, its parameters replaced by `leaves` (as of `flax_leaves`)."""
    with torch.no_grad():
        for path, module in network.named_modules():
            if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                continue
            order = (3, 2, 0, 1) if isinstance(module, nn.Conv2d) else (2, 3, 0, 1)
            prefix = path.replace(".", "/")
            kernel = leaves[f"{prefix}/kernel"].transpose(order)
            module.weight.copy_(torch.from_numpy(np.ascontiguousarray(kernel)))
            module.bias.copy_(torch.from_numpy(leaves[f"{prefix}/bias"]))
    return network


def make_deterministic():
    """None; from here on PyTorch runs one thread and repeatable kernels."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


def to_torch(images):
    """uint8 `b h w c` pictures as [-1, 1] float32 `b c h w`."""
    x = torch.from_numpy(images.astype(np.float32) / np.float32(255))
    return (x * 2 - 1).permute(0, 3, 1, 2).contiguous()


def to_numpy(x):
    """A `b c h w` tensor as a `b h w c` array."""
    return np.ascontiguousarray(x.detach().permute(0, 2, 3, 1).numpy())


def draw_images(seed, count, size):
    """`count` uint8 pictures, `size` a side: coarse random blocks under fine noise."""
    random = np.random.default_rng(seed)
    coarse = random.uniform(0, 255, (count, size // 4, size // 4, 3))
    fine = random.normal(0, 20, (count, size, size, 3))
    blocks = coarse.repeat(4, axis=1).repeat(4, axis=2)
    return np.clip(np.rint(blocks + fine), 0, 255).astype(np.uint8)
