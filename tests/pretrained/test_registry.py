"""Shipped checkpoints are found by name, with their cards."""

import pytest

from stylejax.pretrained import registry


@pytest.fixture
def folder(tmp_path):
    for name in ("b.safetensors", "a.safetensors", "a.md", "notes.txt"):
        (tmp_path / name).write_text(name)
    return tmp_path


def test_names_are_those_of_the_weights(folder):
    assert registry.names(folder=folder) == ["a", "b"]


def test_find(folder):
    assert registry.find("a", folder=folder) == folder / "a.safetensors"
    with pytest.raises(ValueError, match="'c'; there are: a, b"):
        registry.find("c", folder=folder)


def test_card(folder):
    assert registry.card(folder / "a.safetensors") == "a.md"
    assert registry.card(folder / "b.safetensors") == ""


def test_what_ships_is_small_and_has_a_card():
    for name in registry.names():
        path = registry.find(name)
        assert path.stat().st_size <= 12e6
        assert registry.card(path)
