"""Activation patching on networks whose paths are known, and on a generator.

The planted network adds two branches, `a = x W_a` and `b = x W_b`, and its metric is
linear, so what each branch, region and channel carries is known in closed form.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain.activations import with_activations
from stylejax.explain.edits import apply_edit
from stylejax.explain.patching import (
    patch_channels,
    patch_layers,
    patch_regions,
    patched_metrics,
)
from stylejax.image.regions import grid_regions
from stylejax.models.resnet_generator import ResNetGenerator

GENERATOR = np.random.default_rng(0)
W_A, W_B = GENERATOR.normal(size=(2, 3, 4)).astype(np.float32)
CLEAN, CORRUPT = GENERATOR.uniform(size=(2, 3, 4, 6, 3)).astype(np.float32)
WEIGHTS = GENERATOR.normal(size=(4, 6, 4)).astype(np.float32)


def planted(images, edits):
    """`a + b`, two layers side by side; a coarse copy of `a` leads nowhere."""
    seen = {"a": images @ W_A, "b": images @ W_B}
    for name in seen:
        if name in edits:
            seen[name] = apply_edit(seen[name], edits[name], name=name)
    seen["dead"] = seen["a"][:, ::2, ::2]
    return seen["a"] + seen["b"], seen


def linear(output):
    return (output * WEIGHTS[None]).sum(axis=(1, 2, 3))


def shares(kernel):
    """What each value of a branch adds to clean minus corrupt, as a share of all."""
    difference = (CLEAN - CORRUPT) @ kernel * WEIGHTS
    total = ((CLEAN - CORRUPT) @ (W_A + W_B) * WEIGHTS).sum(axis=(1, 2, 3))
    return difference / total[:, None, None, None]


@pytest.mark.parametrize("direction", ["denoising", "noising"])
def test_each_branch_carries_its_share(direction):
    """Of two branches that add up, what suffices is what is necessary."""
    layers = ["a", "b", "dead"]
    result = patch_layers(
        planted, linear, CLEAN, CORRUPT, layers=layers, direction=direction
    )
    expected = [shares(w).sum(axis=(1, 2, 3)) for w in (W_A, W_B)]
    np.testing.assert_allclose(result.effect[:2], expected, rtol=2e-4)
    np.testing.assert_allclose(result.effect[2], 0, atol=1e-6)
    np.testing.assert_allclose(result.nothing, 0, atol=1e-6)
    np.testing.assert_allclose(result.everything, 1, atol=1e-6)
    assert result.axes == (tuple(layers),) and result.undefined == ""


def test_recovered_follows_the_formula_in_both_directions():
    for direction, flip in (("denoising", 1), ("noising", -1)):
        result = patch_layers(
            planted, linear, CLEAN, CORRUPT, layers=["a"], direction=direction
        )
        source, target = (CLEAN, CORRUPT)[::flip]
        patched = linear(source @ W_A + target @ W_B)
        ends = [linear(x @ W_A + x @ W_B) for x in (CLEAN, CORRUPT)]
        np.testing.assert_allclose(result.patched[0], patched, rtol=1e-5)
        np.testing.assert_allclose([result.clean, result.corrupt], ends, rtol=1e-5)
        recovered = (patched - ends[1]) / (ends[0] - ends[1])
        np.testing.assert_allclose(result.recovered[0], recovered, rtol=1e-4)


def redundant(images, edits):
    """The larger of two equal copies: either suffices, neither is necessary."""
    seen = {"one": images, "two": images}
    seen = {
        k: apply_edit(v, edits[k], name=k) if k in edits else v for k, v in seen.items()
    }
    return jnp.maximum(seen["one"], seen["two"]), seen


def test_redundant_parts_suffice_and_are_not_necessary():
    """Swapping the two directions would turn this round."""
    brighter = CORRUPT + 1
    mean = lambda y: y.mean(axis=(1, 2, 3))  # noqa: E731
    options = {"layers": ["one", "two"]}
    enough = patch_layers(redundant, mean, brighter, CORRUPT, **options)
    needed = patch_layers(
        redundant, mean, brighter, CORRUPT, direction="noising", **options
    )
    np.testing.assert_allclose(enough.effect, 1, atol=1e-5)
    np.testing.assert_allclose(needed.effect, 0, atol=1e-5)
    np.testing.assert_allclose(needed.everything, 1, atol=1e-6)


def test_each_region_and_channel_carries_its_share():
    labels = grid_regions((4, 6), rows=2, columns=3)
    result = patch_regions(
        planted,
        linear,
        CLEAN,
        CORRUPT,
        layers=["b", "a"],
        labels=labels,
        num_regions=6,
        chunk=5,
    )
    assert result.recovered.shape == (2, 6, 3)
    for row, kernel in zip(result.recovered, (W_B, W_A), strict=True):
        for region in range(6):
            expected = shares(kernel)[:, labels == region].sum(axis=(1, 2))
            np.testing.assert_allclose(row[region], expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(result.everything, 1, atol=1e-6)
    assert result.axes[0] == ("b", "a") and result.axes[1][5] == "region 5"

    channels = patch_channels(planted, linear, CLEAN, CORRUPT, layer="a")
    expected = shares(W_A).sum(axis=(1, 2)).T
    np.testing.assert_allclose(channels.recovered, expected, rtol=1e-3, atol=1e-5)


def test_a_region_that_a_layer_is_too_coarse_for_is_undefined_not_zero():
    labels = np.ones((4, 6), int)
    labels[0, 0] = 0  # the coarse layer's first centre is at (1, 1)
    result = patch_regions(
        planted, linear, CLEAN, CORRUPT, layers=["dead"], labels=labels, num_regions=2
    )
    assert np.isnan(result.recovered[0, 0]).all()
    np.testing.assert_allclose(result.recovered[0, 1], 0, atol=1e-6)
    assert "hold no position" in result.undefined


def test_equal_pairs_are_undefined_with_the_reason_and_others_are_not():
    corrupt = np.concatenate([CLEAN[:1], CORRUPT[1:]])
    result = patch_layers(planted, linear, CLEAN, corrupt, layers=["a"])
    assert np.isnan(result.recovered[0]).tolist() == [True, False, False]
    assert result.undefined.startswith("1 of 3 pairs have one metric")
    broken = patch_layers(
        planted, lambda y: linear(y) * jnp.nan, CLEAN, CORRUPT, layers=["a"]
    )
    assert np.isnan(broken.recovered).all() and "not finite" in broken.undefined


def test_a_metric_may_be_one_number_for_the_batch():
    result = patch_layers(
        planted, lambda y: linear(y).sum(), CLEAN, CORRUPT, layers=["a", "b"]
    )
    assert result.recovered.shape == (2, 1)
    np.testing.assert_allclose(result.recovered.sum(), 1, rtol=1e-4)


def test_chunks_do_not_change_the_result():
    masks = {"a": np.eye(4, dtype=bool)[:, None, None, None]}
    one, all_ = (
        patched_metrics(planted, linear, CLEAN, CORRUPT, masks, chunk=chunk)[2]
        for chunk in (1, 4)
    )
    np.testing.assert_allclose(one, all_, rtol=1e-5)


@pytest.fixture(scope="module")
def generator_run():
    """The smallest generator as `run(image, edits)`, a metric, pictures, layers."""
    network = ResNetGenerator(ngf=2, num_blocks=1, num_downs=1)
    numbers = np.random.default_rng(1)
    pictures = numbers.uniform(-1, 1, (2, 1, 16, 16, 3)).astype(np.float32)
    shapes = jax.eval_shape(network.init, jax.random.key(0), pictures[0])
    variables = jax.tree.map(
        lambda s: numbers.normal(0, 0.2, s.shape).astype(s.dtype), shapes
    )
    layers = ["stem", "down_0", "block_0/conv_0", "block_0", "up_0", "head"]
    run = with_activations(lambda x: network.apply(variables, x), names=layers)
    run = jax.jit(run)
    away = run(pictures[0], {})[0] - run(pictures[1], {})[0]

    def along(y):  # changes by 1 from one to the other
        return (y * away).sum(axis=(1, 2, 3)) / (away**2).sum()

    return run, along, pictures, layers


@pytest.mark.parametrize("direction", ["denoising", "noising"])
def test_a_generator_is_recovered_where_all_paths_meet(generator_run, direction):
    """All of its layers lie on the one path, but for the first half of a block."""
    run, along, (clean, corrupt), layers = generator_run
    result = patch_layers(
        run, along, clean, corrupt, layers=layers, direction=direction
    )
    serial = [layer != "block_0/conv_0" for layer in layers]
    np.testing.assert_allclose(result.effect[serial], 1, atol=1e-6)
    assert abs(result.effect[2, 0] - 1) > 0.01
    np.testing.assert_allclose(result.nothing, 0, atol=1e-6)
    np.testing.assert_allclose(result.everything, 1, atol=1e-6)


def test_a_jitted_run_is_compiled_for_patching_once(generator_run):
    traced = []

    @jax.jit
    def run(images, edits):
        traced.append(1)
        return planted(images, edits)

    for corrupt in (CORRUPT, CORRUPT * 0.5):
        patch_layers(run, linear, CLEAN, corrupt, layers=["a"])
    first = len(traced)
    patch_layers(run, linear, CLEAN, CORRUPT * 0.2, layers=["a"])
    assert len(traced) == first


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": ["c"]}, "layer: expected one of a, b, dead; got 'c'"),
        ({"layers": "a"}, "layers: expected a list of names"),
        ({"layers": []}, "layers: expected a list of names"),
        ({"direction": "both"}, "direction: expected one of denoising, noising"),
        ({"corrupt": CORRUPT[:2]}, "expected clean and corrupt of one shape"),
        ({"clean": CLEAN[0]}, "clean: expected pictures"),
        ({"chunk": 0}, "chunk: expected a whole number of at least 1"),
    ],
)
def test_what_cannot_be_patched_is_refused(change, message):
    arguments = {"clean": CLEAN, "corrupt": CORRUPT, "layers": ["a"], **change}
    pictures = arguments.pop("clean"), arguments.pop("corrupt")
    with pytest.raises(ValueError, match=message):
        patch_layers(planted, linear, *pictures, **arguments)


def test_labels_of_another_size_are_refused():
    with pytest.raises(
        ValueError, match=r"labels: expected .* \(4, 6\), got .* \(2, 2\)"
    ):
        patch_regions(
            planted,
            linear,
            CLEAN,
            CORRUPT,
            layers=["a"],
            labels=np.zeros((2, 2), int),
            num_regions=1,
        )


@pytest.mark.parametrize(
    ("metric", "shape"),
    [
        (lambda y: y.mean(axis=3), r"\(3, 4, 6\)"),
        (lambda y: linear(y)[:, None], r"\(3, 1\)"),
        (lambda y: linear(y)[:2], r"\(2,\)"),
    ],
)
def test_a_metric_of_another_shape_is_refused(metric, shape):
    """Pixels would pass as pictures."""
    match = f"metric: expected one number for each of 3 pictures, got shape {shape}"
    with pytest.raises(ValueError, match=match):
        patch_layers(planted, metric, CLEAN, CORRUPT, layers=["a"])
    with pytest.raises(ValueError, match=match):
        patch_channels(planted, metric, CLEAN, CORRUPT, layer="a")


@pytest.mark.parametrize(
    ("labels", "got"),
    [
        (np.full((4, 6), -1), "-1 to -1"),
        (grid_regions((4, 6), rows=2, columns=2), "0 to 3"),
    ],
)
def test_labels_of_no_region_are_refused(labels, got):
    match = f"labels: expected whole numbers from 0 to 1, got {got}"
    with pytest.raises(ValueError, match=match):
        patch_regions(
            planted,
            linear,
            CLEAN,
            CORRUPT,
            layers=["a"],
            labels=labels,
            num_regions=2,
        )
