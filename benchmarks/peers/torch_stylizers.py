"""The slim network and AdaIN in PyTorch, for the side-by-side benchmark.

Layers carry our names, so that our leaves fit; both paint a content in a style from the
two pictures.
"""

import torch
from torch import nn
from torch.nn import functional as F

SLIM = {
    "encoder": ("conv1_1", "conv2_1", "down3", "conv3_1", "down4", "conv4_1"),
    "halving": ("conv1_1", "down3", "down4"),
}
ADAIN_DECODER = (
    *("conv4_1", "conv3_3", "conv3_2", "conv3_1"),
    *("conv2_2", "conv2_1", "conv1_2", "conv1_1"),
)


class Layers(nn.Module):
    """Convolutions by name, of the kernels' shapes; padding comes with the call."""

    def __init__(self, leaves):
        super().__init__()
        for path, kernel in leaves.items():
            if path.endswith("/kernel"):
                height, width, before, after = kernel.shape
                name = path.removesuffix("/kernel")
                self.add_module(name, nn.Conv2d(before, after, (height, width)))

    def near(self, x, name):
        """At twice the sides."""
        return self.layer(F.interpolate(x, scale_factor=2, mode="nearest"), name)

    def layer(self, x, name, *, stride=1, mode="reflect"):
        """One convolution that keeps the sides, or halves them."""
        conv = getattr(self, name)
        if conv.kernel_size[0] > 1:
            x = F.pad(x, (1, 1, 1, 1), mode=mode)
        return F.conv2d(x, conv.weight, conv.bias, stride=stride)


class SlimEncoder(Layers):
    """Pictures in [0, 1] to relu2_1, relu3_1 and relu4_1."""

    def forward(self, x):
        maps, x = {}, x - 0.5
        for name in SLIM["encoder"]:
            stride = 2 if name in SLIM["halving"] else 1
            x = F.relu(self.layer(x, name, stride=stride))
            maps[name] = x
        return [maps[name] for name in ("conv2_1", "conv3_1", "conv4_1")]


class SlimDecoder(Layers):
    """The three fused maps to pictures."""

    def forward(self, maps):
        small, middle, x = maps
        for name in ("block4_0", "block4_1"):
            x = self.block(x, name)
        x = F.relu(self.near(x, "up3") + self.layer(middle, "skip3"))
        x = self.block(x, "block3")
        x = F.relu(self.near(x, "up2") + self.layer(small, "skip2"))
        x = F.relu(self.layer(x, "conv2"))
        return 0.5 + self.near(x, "head")

    def block(self, x, name):
        """A residual block."""
        y = F.relu(self.layer(x, f"{name}_a"))
        return x + self.layer(y, f"{name}_b")


class VGGEncoder(Layers):
    """Pictures to relu4_1 of VGG-16, channels by their scales."""

    def __init__(self, leaves, scales):
        super().__init__(leaves)
        self.names = [p.removesuffix("/kernel") for p in leaves if p.endswith("kernel")]
        self.register_buffer("scales", torch.tensor(scales))

    def forward(self, x):
        for name in self.names:
            if name.endswith("_1") and name != "conv1_1":
                x = F.max_pool2d(x, 2)
            x = F.relu(self.layer(x, name))
        return [x / self.scales[None, :, None, None]]


class AdaINDecoder(Layers):
    """The fused relu4_1 to pictures."""

    def forward(self, maps):
        (x,) = maps
        for i, name in enumerate(ADAIN_DECODER):
            if i and name[:5] != ADAIN_DECODER[i - 1][:5]:
                x = self.near(x, name)
            else:
                x = self.layer(x, name)
            x = F.relu(x) if name != "conv1_1" else x
        return x


def fused(content, style):
    """Content maps with the style's means and deviations."""
    found = []
    for x, y in zip(content, style, strict=True):
        mean, goal = (v.mean((2, 3), keepdim=True) for v in (x, y))
        own, wanted = (
            (v.var((2, 3), keepdim=True, unbiased=True) + 1e-5).sqrt() for v in (x, y)
        )
        found.append((x - mean) / own * wanted + goal)
    return found


class Painter(nn.Module):
    """Content and style to the painted picture."""

    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, content, style):
        return self.decoder(fused(self.encoder(content), self.encoder(style)))
