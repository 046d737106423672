"""Weights that can be fetched: where they lie, how large they are, whose they are.

A hash stands here only as far as it is known for certain. torchvision puts the first
eight digits of a file's SHA-256 into its name; no file was at hand to compute the other
56 from, so they are unverified until `stylejax.pretrained.cache` pins what came first.
Addresses and sizes are those in torchvision's own `models/vgg.py`, read 2026-11.
"""

import dataclasses
import re

from stylejax.checks import check_choice

DIGEST_LENGTH = 64
"""Hexadecimal digits of a whole SHA-256."""

# Sizes are stated in megabytes: what is further off is another file or a web page.
_SIZE_TOLERANCE = 0.01


@dataclasses.dataclass(frozen=True)
class Entry:
    """One file of weights that can be fetched.

    Attributes:
        name: what `stylejax weights fetch` and `vgg.load` take.
        arch: one of `stylejax.models.vgg.BLOCKS`.
        batch_norm: whether there are norms.
        address: where the file lies; its last part is the name it keeps.
        licence: as its source states it.
        preprocessing: one of `stylejax.pretrained.vgg.PREPROCESSINGS`.
        megabytes: its size in 2**20 bytes as its source states it; 0: not stated.
        sha256: the first digits of its hash as far as they are known; 64 are all.
        notice: credit that goes with what is made of it.
    """

    name: str
    arch: str
    batch_norm: bool
    address: str
    licence: str
    preprocessing: str
    megabytes: float = 0.0
    sha256: str = ""
    notice: str = ""

    @property
    def file_name(self) -> str:
        """The last part of the address."""
        return self.address.rsplit("/", 1)[-1]

    @property
    def is_verified(self) -> bool:
        """Whether the whole hash is known, not its beginning alone."""
        return len(self.sha256) == DIGEST_LENGTH

    @property
    def max_bytes(self) -> int | None:
        """More than this is another file; None where no size is stated."""
        return int(self.megabytes * (1 + _SIZE_TOLERANCE) * 2**20) or None

    def has_size(self, num_bytes: int) -> bool:
        """Whether a file of `num_bytes` may be this one."""
        stated = self.megabytes * 2**20
        return not stated or abs(num_bytes - stated) <= _SIZE_TOLERANCE * stated


_TORCHVISION = "https://download.pytorch.org/models/"
_LICENCE = "see source (pytorch/vision, Pre-trained Model License)"


def _torchvision(file_name: str, megabytes: float, *, name: str = "") -> Entry:
    kind, digits = re.fullmatch(r"(vgg\d\d(?:_bn)?)-(\w{8})\.pth", file_name).groups()  # type: ignore[union-attr]
    return Entry(
        name=name or kind,
        arch=kind.removesuffix("_bn"),
        batch_norm=kind.endswith("_bn"),
        address=_TORCHVISION + file_name,
        licence=_LICENCE,
        preprocessing="torch",
        megabytes=megabytes,
        sha256=digits,
        notice=f"{kind} of torchvision, trained on ImageNet; licence: {_LICENCE}.",
    )


# "vgg16" itself ships: the network of its authors, up to relu4_3.
ENTRIES = (
    _torchvision("vgg11-8a719046.pth", 506.84),
    _torchvision("vgg11_bn-6002323d.pth", 506.881),
    _torchvision("vgg13-19584684.pth", 507.545),
    _torchvision("vgg13_bn-abd245e5.pth", 507.59),
    _torchvision("vgg16-397923af.pth", 527.796, name="vgg16_torchvision"),
    _torchvision("vgg16_bn-6c64b313.pth", 527.866),
    _torchvision("vgg19-dcbb9e9d.pth", 548.051),
    _torchvision("vgg19_bn-c79401a0.pth", 548.143),
)
"""All that can be fetched, one for each published VGG of torchvision."""


def names() -> list[str]:
    """The names of the weights that can be fetched.

    Returns:
        Names, in the order of `ENTRIES`.

    Example:
        >>> names()[:2]
        ['vgg11', 'vgg11_bn']
    """
    return [entry.name for entry in ENTRIES]


def find(name: str) -> Entry:
    """The entry of a name.

    Args:
        name: one of `names()`.

    Returns:
        The `Entry`.

    Raises:
        ValueError: nothing of this name can be fetched.
    """
    check_choice(name, choices=names(), name="weights")
    return ENTRIES[names().index(name)]


def by_file_name(file_name: str) -> Entry | None:
    """The entry whose file has this name, wherever it lies.

    Args:
        file_name: without folders.

    Returns:
        The `Entry`, or None.
    """
    return next((e for e in ENTRIES if e.file_name == file_name), None)
