"""Drawn textures: every kind, always the same, never flat."""

import numpy as np
import pytest

from stylejax.data import textures


@pytest.mark.parametrize("kind", textures.KINDS)
def test_every_kind_is_a_picture_and_repeats(kind):
    found = [
        textures.draw(np.random.default_rng(seed), kind, side=64) for seed in (1, 1, 2)
    ]
    assert found[0].shape == (64, 64, 3)
    assert found[0].dtype == np.float32
    assert found[0].min() >= 0.0
    assert found[0].max() <= 1.0
    np.testing.assert_array_equal(found[0], found[1])
    assert np.abs(found[0] - found[2]).mean() > 0.02
    assert found[0].std() > 0.03


def test_a_source_draws_by_number():
    source = textures.TextureSource(7, side=32, seed=3)
    assert len(source) == 7
    assert source.names[0] == "strokes-0"
    np.testing.assert_array_equal(source[4], source[4])
    assert np.abs(source[0] - source[6]).mean() > 0.01  # one kind, two pictures
    with pytest.raises(IndexError, match="index below 7"):
        source[7]


def test_kept_textures_are_those_drawn_anew_and_are_drawn_once(monkeypatch):
    kept = textures.TextureSource(3, side=32)
    fresh = textures.TextureSource(3, side=32, cache_bytes=0)
    first = kept[1]
    np.testing.assert_array_equal(first, fresh[1])
    monkeypatch.setattr(textures, "draw", None)
    np.testing.assert_array_equal(first, kept[1])
    with pytest.raises(TypeError):
        fresh[1]


def test_bad_requests_are_refused():
    with pytest.raises(ValueError, match="count of at least 0"):
        textures.TextureSource(-1)
    with pytest.raises(ValueError, match="kind: expected one of strokes"):
        textures.draw(np.random.default_rng(0), "oil", side=32)
