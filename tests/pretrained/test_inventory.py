"""Everything there is, by name, and what is known of it."""

import pytest

from stylejax.pretrained import cache, catalogue, inventory, registry


def row(name):
    return next(item for item in inventory.items() if item.name == name)


def test_what_ships_comes_first_with_its_card(shop):
    names = [item.name for item in inventory.items()]
    assert names == [*registry.names(), "vgg16", "tiny"]
    assert row("emoji").network == "cyclegan"
    for name in ("adain", "feedforward", "slim", "style_attention"):
        assert row(name).network == name
        assert row(name).hash_state == inventory.VERIFIED
    assert row("vgg16").network == "vgg16"
    assert row("vgg16").licence.startswith("CC BY 4.0")
    assert row("emoji").licence.startswith("Apache-2.0")
    path = registry.find("vgg16", folder=registry.FEATURES)
    assert row("vgg16").sha256 == cache.digest(path)
    assert row("vgg16").hash_state == inventory.VERIFIED
    assert row("vgg16").is_here and row("vgg16").source == "ships"


def test_a_fetchable_one_before_and_after(shop):
    before = row("tiny")
    assert (before.hash_state, before.sha256) == ("unverified", shop.entry.sha256)
    assert not before.is_here and before.source == shop.entry.address
    assert (before.network, before.licence) == ("vgg11_bn", "see source")
    found = cache.fetch(shop.entry)
    after = row("tiny")
    assert (after.hash_state, after.sha256) == ("pinned", found.sha256)
    assert after.is_here and after.path == str(found.path)
    assert shop.offers(sha256=found.sha256).is_verified
    assert row("tiny").hash_state == "verified"


def test_locate(shop, tmp_path):
    assert inventory.locate("emoji") == (registry.find("emoji"), None)
    with pytest.raises(FileNotFoundError, match="stylejax weights fetch tiny"):
        inventory.locate("tiny")
    path = cache.fetch(shop.entry).path
    assert inventory.locate("tiny") == (path, shop.entry)
    # A file of a known name is held against its entry wherever it lies.
    assert inventory.locate(tmp_path / "tiny.pth") == (
        tmp_path / "tiny.pth",
        shop.entry,
    )
    assert inventory.locate(tmp_path / "a.pth") == (tmp_path / "a.pth", None)
    assert inventory.locate("~/a.pth")[0].is_absolute()


def test_the_real_catalogue_is_listed_where_nothing_was_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv("STYLEJAX_CACHE", str(tmp_path))
    names = [item.name for item in inventory.items() if not item.is_here]
    assert names == catalogue.names()
