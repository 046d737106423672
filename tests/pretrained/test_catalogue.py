"""What can be fetched is written down without a slip."""

import pytest

from stylejax.models import vgg as vgg_model
from stylejax.pretrained import catalogue, registry, vgg

ENTRIES = pytest.mark.parametrize("entry", catalogue.ENTRIES, ids=lambda e: e.name)


@ENTRIES
def test_an_entry_is_whole(entry):
    assert entry.arch in vgg_model.BLOCKS
    assert entry.preprocessing in vgg.PREPROCESSINGS
    assert entry.address.startswith("https://")
    assert entry.file_name.endswith(".pth")
    assert entry.file_name.startswith(entry.arch)
    assert entry.batch_norm == ("_bn" in entry.file_name)
    assert 500 < entry.megabytes < 600
    assert "see source" in entry.licence
    assert entry.licence in entry.notice


@ENTRIES
def test_no_hash_is_claimed_beyond_the_digits_in_the_file_name(entry):
    assert f"-{entry.sha256}.pth" in entry.file_name
    assert len(entry.sha256) == 8 and not entry.is_verified
    assert set(entry.sha256) <= set("0123456789abcdef")


def test_every_published_vgg_has_one_name():
    kinds = {(e.arch, e.batch_norm) for e in catalogue.ENTRIES}
    assert kinds == {(a, n) for a in vgg_model.BLOCKS for n in (False, True)}
    every = [*catalogue.names(), *registry.names()]
    every += registry.names(folder=registry.FEATURES)
    assert len(set(every)) == len(every)
    files = [e.file_name for e in catalogue.ENTRIES]
    assert len(set(files)) == len(files)


def test_find():
    entry = catalogue.find("vgg19_bn")
    assert (entry.arch, entry.batch_norm) == ("vgg19", True)
    assert catalogue.by_file_name(entry.file_name) is entry
    assert catalogue.by_file_name("vgg19.pth") is None
    with pytest.raises(ValueError, match="weights: expected one of vgg11, .*'vgg99'"):
        catalogue.find("vgg99")


def test_sizes_are_stated_to_a_hundredth():
    entry = catalogue.Entry("a", "vgg11", False, "https://b/c.pth", "d", "torch", 100.0)
    assert entry.has_size(100 << 20)
    assert entry.has_size(entry.max_bytes) and not entry.has_size(entry.max_bytes + 2)
    assert not entry.has_size(98 << 20) and not entry.has_size(5000)
    unstated = catalogue.Entry("a", "vgg11", False, "https://b/c.pth", "d", "torch")
    assert unstated.max_bytes is None and unstated.has_size(5)
