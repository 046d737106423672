"""A catalogue of one small network, on a server of this machine, and an own cache."""

import contextlib
import dataclasses
import hashlib
from pathlib import Path

import pytest

from stylejax.pretrained import catalogue
from tests.pretrained.weights_server import Behaviour, serving

GOLDEN = Path(__file__).parent.parent / "goldens" / "torch_zip.pth"


@dataclasses.dataclass
class Shop:
    """Where the one entry comes from and where it goes."""

    told: Behaviour
    root: str
    folder: Path
    monkeypatch: pytest.MonkeyPatch

    @property
    def entry(self):
        return catalogue.ENTRIES[0]

    def offers(self, **changes):
        """The entry, changed; the catalogue holds it alone."""
        entry = dataclasses.replace(self.entry, **changes)
        self.monkeypatch.setattr(catalogue, "ENTRIES", (entry,))
        return entry


@contextlib.contextmanager
def opened(tmp_path, monkeypatch):
    """A `Shop`; its hash is known by the first eight digits, as torchvision's are."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("STYLEJAX_CACHE", str(tmp_path / "cache"))
    told = Behaviour(GOLDEN.read_bytes())
    with serving(told) as root:
        entry = catalogue.Entry(
            name="tiny",
            arch="vgg11",
            batch_norm=True,
            address=f"{root}/models/tiny.pth",
            licence="see source",
            preprocessing="none",
            megabytes=len(told.content) / 2**20,
            sha256=hashlib.sha256(told.content).hexdigest()[:8],
            notice="made up",
        )
        monkeypatch.setattr(catalogue, "ENTRIES", (entry,))
        yield Shop(told, root, tmp_path / "cache" / "weights", monkeypatch)
