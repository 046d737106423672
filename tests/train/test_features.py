"""Feature sources: which layers, which file, and what a protocol says of them."""

import hashlib
import json

import numpy as np
import pytest

from stylejax.pretrained import registry
from stylejax.train import features
from tests.train.tiny_vgg import save_tiny_vgg


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_tiny_vgg(tmp_path_factory.mktemp("vgg"))


def test_the_last_relu_of_every_block_is_looked_at(tiny):
    source = features.open_vgg(tiny)
    assert (source.name, source.layers) == (
        "vgg11",
        ("relu1_1", "relu2_1", "relu3_2"),
    )
    maps = source.feature_fn(np.full((1, 16, 16, 3), 0.5, np.float32))
    assert set(maps) == set(source.layers)
    assert maps["relu3_2"].shape == (1, 4, 4, 8)


def test_the_hash_is_that_of_the_file(tiny):
    described = features.open_vgg(tiny).describe()
    assert described["sha256"] == hashlib.sha256(tiny.read_bytes()).hexdigest()
    assert described["preprocessing"] == "none"
    assert "relu3_2" in described["vector"]
    assert json.loads(json.dumps(described)) == described


def test_the_shipped_file_is_the_one_on_its_card():
    source = features.open_vgg("vgg16")
    path = registry.find("vgg16", folder=registry.FEATURES)
    assert source.sha256 in registry.card(path)
    assert source.layers == ("relu1_2", "relu2_2", "relu3_3", "relu4_3")


def test_weights_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        features.open_vgg(tmp_path / "nowhere.safetensors")
