"""A file is in order, or one line says what is wrong with it."""

import json

import numpy as np
import pytest
import safetensors.numpy

from stylejax.pretrained import cache, inspection, registry
from tests.goldens import vgg_goldens

PTH = vgg_goldens.HERE / "torch_zip.pth"


def save(path, tensors, **metadata):
    whole = {k: np.ascontiguousarray(v) for k, v in tensors.items()}
    texts = {k: json.dumps(v) for k, v in metadata.items()}
    path.write_bytes(safetensors.numpy.save(whole, metadata=texts))
    return path


def weights():
    return dict(vgg_goldens.weights("vgg13", False))


def test_a_file_in_order(tmp_path):
    path = save(tmp_path / "a.safetensors", weights())
    found = inspection.verify_vgg(path)
    assert (found.network, found.hash_state) == ("vgg13", "unknown")
    assert found.holds == "taps up to relu5_2, preprocessing torch"
    assert found.sha256 == cache.digest(path)
    assert found.num_bytes == path.stat().st_size
    assert found.num_tensors == 20
    assert found.num_parameters == sum(x.size for x in weights().values())
    assert (
        "preprocessing caffe"
        in inspection.verify_vgg(path, preprocessing="caffe").holds
    )


def test_what_ships_is_what_its_card_says():
    found = inspection.verify_vgg("vgg16")
    assert (found.network, found.hash_state) == ("vgg16", "verified")
    for name in registry.names():
        path, digest, _ = inspection.verify_bytes(name)
        assert (path, len(digest)) == (registry.find(name), 64)


def test_a_card_that_says_another_hash_is_believed(tmp_path):
    path = save(tmp_path / "a.safetensors", weights())
    (tmp_path / "a.md").write_text(f"| SHA-256 | {'0' * 64} |\n")
    with pytest.raises(ValueError, match="not what its card says: expected SHA-256 00"):
        inspection.verify_bytes(path)


def test_a_fetched_one_by_name_and_by_file(shop, tmp_path):
    with pytest.raises(FileNotFoundError, match="stylejax weights fetch tiny"):
        inspection.verify_vgg("tiny")
    path = cache.fetch(shop.entry).path
    found = inspection.verify_vgg("tiny")
    assert (found.path, found.network, found.hash_state) == (
        str(path),
        "vgg11_bn",
        "pinned",
    )
    elsewhere = tmp_path / "tiny.pth"
    elsewhere.write_bytes(path.read_bytes())
    assert inspection.verify_vgg(elsewhere).sha256 == found.sha256
    elsewhere.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match="expected SHA-256"):
        inspection.verify_vgg(elsewhere)
    elsewhere.write_bytes(path.read_bytes()[:30_000])
    with pytest.raises(ValueError, match="has 30000 bytes, expected about 57968"):
        inspection.verify_vgg(elsewhere)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_counted(tmp_path, value):
    tensors = weights()
    tensors["features.5.bias"] = tensors["features.5.bias"].copy()
    tensors["features.5.bias"][1:3] = value
    path = save(tmp_path / "a.safetensors", tensors)
    with pytest.raises(ValueError, match="not finite: 2 of 4 in params/conv2_1/bias"):
        inspection.verify_vgg(path)


def test_a_mismatch_is_a_difference_of_names_and_shapes(tmp_path):
    tensors = weights()
    del tensors["features.5.bias"]
    tensors["features.2.bias"] = np.zeros(7, np.float32)
    with pytest.raises(ValueError) as caught:
        inspection.verify_vgg(save(tmp_path / "a.safetensors", tensors))
    text = str(caught.value)
    assert "missing conv2_1/bias" in text
    assert "different conv1_2/bias: expected (2,) float32, got (7,) float32" in text


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_truncated_file_is_refused(tmp_path, suffix, share):
    path = tmp_path / f"a{suffix}"
    whole = PTH.read_bytes()
    if suffix == ".safetensors":
        whole = save(path, weights()).read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError) as caught:
        inspection.verify_vgg(path)
    assert "\n" not in str(caught.value) and "a" + suffix in str(caught.value)


@pytest.mark.parametrize(
    "metadata",
    [
        {"arch": ["vgg13"]},
        {"arch": {"a": 1}},
        {"arch": "vgg99"},
        {"preprocessing": {"order": "rgb"}},
        {"preprocessing": 5},
    ],
)
def test_hostile_metadata_is_refused(tmp_path, metadata):
    path = save(tmp_path / "a.safetensors", weights(), **metadata)
    with pytest.raises(ValueError, match=f"{next(iter(metadata))}: expected one of"):
        inspection.verify_vgg(path)


def test_metadata_that_is_nested_without_end_stays_text(tmp_path):
    path = tmp_path / "a.safetensors"
    whole = {k: np.ascontiguousarray(v) for k, v in weights().items()}
    path.write_bytes(safetensors.numpy.save(whole, metadata={"x": "[" * 200_000}))
    assert inspection.verify_vgg(path).network == "vgg13"


def test_what_is_neither_file_nor_name_is_answered_with_the_names(shop):
    with pytest.raises(
        FileNotFoundError, match="one of adain, .*slim, .*vgg16, tiny; got 'vgg99'"
    ):
        inspection.verify_vgg("vgg99")


def test_a_report_looks_at_every_leaf(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    common = {"sha256": "0", "hash_state": "unknown", "network": "n", "holds": "h"}
    tree = {"a": {"b": np.ones((2, 3))}, "c": np.zeros(4)}
    found = inspection.report(path, tree, **common)
    assert (found.num_tensors, found.num_parameters, found.num_bytes) == (2, 10, 3)
    tree["c"][3] = np.nan
    with pytest.raises(ValueError, match="1 of 4 in c"):
        inspection.report(path, tree, **common)
