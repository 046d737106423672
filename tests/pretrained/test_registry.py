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


def test_a_row_of_a_card(folder):
    (folder / "a.md").write_text(
        "# a\n\n| | |\n| --- | --- |\n| licence | MIT; see NOTICE |\n|SHA-256| 0f |\n"
    )
    path = folder / "a.safetensors"
    assert registry.card_row(path, "licence") == "MIT; see NOTICE"
    assert registry.card_row(path, "SHA-256") == "0f"
    assert registry.card_row(path, "lic") == ""
    assert registry.card_row(folder / "b.safetensors", "licence") == ""


def test_every_card_of_what_ships_states_a_licence():
    for place in (registry.ASSETS, registry.FEATURES):
        for name in registry.names(folder=place):
            assert registry.card_row(registry.find(name, folder=place), "licence")
