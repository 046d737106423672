"""A shop of weights for every test here that asks for one."""

import pytest

from tests.pretrained import weights_shop


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """One small network to fetch from this machine, and a cache of its own."""
    with weights_shop.opened(tmp_path, monkeypatch) as found:
        yield found
