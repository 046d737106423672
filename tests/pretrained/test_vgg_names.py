"""Names of other libraries: every spelling gives the same weights."""

import numpy as np
import pytest

from stylejax import trees
from stylejax.models import vgg
from stylejax.pretrained import vgg_names
from tests.goldens import vgg_goldens

VARIANTS = pytest.mark.parametrize(
    ("arch", "batch_norm"), [(a, n) for a in vgg.BLOCKS for n in (False, True)]
)


def ours(arch):
    """Name -> array under our names."""
    found = vgg_names.convert(vgg_goldens.weights(arch, False))
    return trees.named_leaves(found.variables["params"])


@VARIANTS
def test_the_architecture_is_found_from_the_names(arch, batch_norm):
    found = vgg_names.convert(vgg_goldens.weights(arch, batch_norm))
    assert (found.arch, found.batch_norm) == (arch, batch_norm)
    assert found.naming == "torchvision"
    assert found.deepest == f"conv5_{vgg.BLOCKS[arch][-1]}"
    assert ("batch_stats" in found.variables) == batch_norm


def test_kernels_are_turned_and_not_flipped():
    theirs = vgg_goldens.weights("vgg16", False)
    np.testing.assert_array_equal(
        ours("vgg16")["conv1_2/kernel"],
        theirs["features.2.weight"].transpose(2, 3, 1, 0),
    )
    np.testing.assert_array_equal(
        ours("vgg16")["conv5_3/bias"], theirs["features.28.bias"]
    )


SPELLINGS = {
    "keras": "block{0}_conv{1}.{2}",
    "keras 2": "block{0}_conv{1}/block{0}_conv{1}/{2}:0",
    "keras in a model": "vgg16/block{0}_conv{1}/{2}:0",
    "keras 3": "layers/block{0}_conv{1}/vars/{3}",
    "keras of ONNX": "model/block{0}_conv{1}/{2}",
    "ours": "conv{0}_{1}/{2}",
    "ours with collection": "params/conv{0}_{1}/{2}",
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_spelling_gives_the_same_weights(name):
    expected = ours("vgg16")
    tensors = {}
    for leaf, array in expected.items():
        layer, kind = leaf.split("/")
        numbers = (layer[4], layer[6], kind, "kernel bias".split().index(kind))
        tensors[SPELLINGS[name].format(*numbers)] = array
    found = vgg_names.convert(tensors)
    assert found.arch == "vgg16"
    leaves = trees.named_leaves(found.variables["params"])
    assert set(leaves) == set(expected)
    for leaf, array in expected.items():
        np.testing.assert_array_equal(leaves[leaf], array)


@pytest.mark.parametrize("prefix", ["module.", "state_dict.", "backbone.vgg."])
def test_prefixes_and_classifiers_are_left_out(prefix):
    tensors = {prefix + k: v for k, v in vgg_goldens.weights("vgg13", True).items()}
    tensors[prefix + "classifier.0.weight"] = np.zeros((4, 4), np.float32)
    found = vgg_names.convert(tensors)
    assert (found.arch, found.batch_norm) == ("vgg13", True)


@pytest.mark.parametrize("last", ["conv2_2", "conv3_1", "conv4_3"])
def test_a_file_may_end_early(last):
    every = ours("vgg16")
    names = list(dict.fromkeys(leaf.split("/")[0] for leaf in every))
    kept = names[: names.index(last) + 1]
    cut = {k: v for k, v in every.items() if k.split("/")[0] in kept}
    found = vgg_names.convert(cut, arch="vgg16")
    assert found.deepest == last
    assert set(found.variables["params"]) == set(kept)


def broken(change):
    tensors = dict(vgg_goldens.weights("vgg16", False))
    change(tensors)
    return tensors


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t.pop("features.5.bias"),
            "not the weights of a vgg16: missing conv2_1/bias",
        ),
        (
            lambda t: t.update({"features.5.bias": np.zeros(7, np.float32)}),
            r"different conv2_1/bias: expected .*\(4,\).* got .*\(7,\)",
        ),
        (
            lambda t: t.update({"features.5.weight": np.zeros((4, 2), np.float32)}),
            "missing conv2_1/kernel",
        ),
    ],
)
def test_a_mismatch_is_a_readable_difference(change, message):
    with pytest.raises(ValueError, match=message) as caught:
        vgg_names.convert(broken(change))
    assert "\n" not in str(caught.value)


def test_another_architecture_than_was_named_is_refused():
    with pytest.raises(ValueError, match="not the weights of a vgg19: missing conv3_4"):
        vgg_names.convert(vgg_goldens.weights("vgg16", False), arch="vgg19")


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, "expected the names of a VGG .* got nothing"),
        ({"layer1.weight": np.zeros(3)}, "got layer1.weight"),
    ],
)
def test_other_networks_are_refused(tensors, message):
    with pytest.raises(ValueError, match=message):
        vgg_names.convert(tensors)


@pytest.mark.parametrize("name", ["step", "conv1_1", "a/b/c/d", "params/extra"])
def test_other_things_in_a_file_of_ours_are_left_out(name):
    tensors = dict(ours("vgg11")) | {name: np.zeros(3, np.float32)}
    found = vgg_names.convert(tensors)
    assert set(trees.named_leaves(found.variables["params"])) == set(ours("vgg11"))


def test_a_last_convolution_without_its_norm_is_refused():
    every = vgg_goldens.weights("vgg11", True)
    cut = {k: v for k, v in every.items() if int(k.split(".")[1]) <= 4}  # conv2_1
    with pytest.raises(ValueError, match="missing norm2_1/scale"):
        vgg_names.convert(cut, arch="vgg11")


def test_an_unknown_naming_is_refused():
    with pytest.raises(ValueError, match="naming: expected one of stylejax, torch"):
        vgg_names.convert(vgg_goldens.weights("vgg11", False), naming="caffe")
