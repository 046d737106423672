"""The drawing of an account: a map for each source and each layer."""

import numpy as np

from stylejax.cli import account
from stylejax.methods.control import StyleControl


def test_an_account_is_drawn_at_a_bearable_size(generator, tiny_gatys, monkeypatch):
    monkeypatch.setattr(account, "_MAX_SIDE", 24)
    painted = generator.random((30, 48, 3), np.float32)
    content = generator.random((60, 96, 3), np.float32)
    style = generator.random((20, 20, 3), np.float32)
    found = account.of_picture(
        painted, content, [style], StyleControl(), tiny_gatys, names=["wave"]
    )
    assert found.gradient.shape == (15, 24, 3)
    assert found.gradient_error < 1e-5
    assert {term.style for term in found.values if term.kind == "style"} == {"wave"}
    drawn = account.draw(found, painted)
    assert drawn.ndim == 3
    assert drawn.shape[1] > 4 * 24
