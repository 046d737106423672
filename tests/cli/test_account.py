"""The drawing of an account: a map for each source and each layer."""

import numpy as np
import pytest

from stylejax.cli import account
from stylejax.image import color_transfer
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


def test_sides_that_are_rounded_twice_fit_the_content(
    generator, tiny_gatys, monkeypatch
):
    # 80 x 100 is painted as 26 x 32, which fits 24 as 20 x 24: 80 x 100 as 19 x 24.
    monkeypatch.setattr(account, "_MAX_SIDE", 24)
    painted = generator.random((26, 32, 3), np.float32)
    content = generator.random((80, 100, 3), np.float32)
    found = account.of_picture(
        painted, content, [content], StyleControl(), tiny_gatys, names=["wave"]
    )
    assert found.gradient.shape == (20, 24, 3)


def test_a_picture_too_thin_to_be_made_smaller_keeps_its_size(
    generator, tiny_gatys, monkeypatch
):
    monkeypatch.setattr(account, "_MAX_SIDE", 24)
    painted = generator.random((4, 96, 3), np.float32)
    found = account.of_picture(
        painted, painted, [painted], StyleControl(), tiny_gatys, names=["wave"]
    )
    assert found.gradient.shape == (4, 96, 3)


def test_where_colours_were_kept_the_grey_picture_was_painted(generator, tiny_gatys):
    painted, content, style = generator.random((3, 16, 24, 3)).astype(np.float32)
    grey = np.asarray(color_transfer.match_luminance(painted[None], painted[None]))[0]
    control = StyleControl(color="luminance")
    totals = [
        account.of_picture(
            x, content, [style], control, tiny_gatys, names=["wave"]
        ).total
        for x in (painted, grey)
    ]
    assert totals[0] == pytest.approx(totals[1], rel=1e-4)
