"""Many pictures at once: the same as one by one, and the same on several devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from stylejax.explain.attribution import integrated_gradients
from stylejax.explain.attribution_batch import batch_attribution
from stylejax.explain.baselines import blur_baseline

KERNEL = jax.random.normal(jax.random.key(0), (3, 3, 3, 4)) / 3
IMAGES = jax.random.uniform(jax.random.key(1), (8, 12, 10, 3))
BASELINES = jax.vmap(blur_baseline)(IMAGES)
FEW = {"num_steps": 6, "chunk": 3}


def network(images, channel=None):
    x = jax.lax.conv_general_dilated(
        images, KERNEL, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    means = (jax.nn.softplus(x) ** 2).mean(axis=(1, 2))
    return means.sum(axis=1) if channel is None else means[:, channel]


def assert_alike(found, expected, *, rtol=1e-5):
    for name in found._fields:
        x, y = getattr(found, name), getattr(expected, name)
        scale = float(jnp.abs(y).max()) + 1e-3
        np.testing.assert_allclose(x, y, atol=rtol * scale, err_msg=name)


def test_each_picture_gets_what_it_gets_alone():
    found = jax.jit(lambda x, y: batch_attribution(network, x, y, **FEW))(
        IMAGES, BASELINES
    )
    assert found.map.shape == IMAGES.shape and found.target.shape == (8,)
    for i in range(3):
        alone = integrated_gradients(network, IMAGES[i], baseline=BASELINES[i], **FEW)
        scale = float(jnp.abs(alone.map).max())
        for name in ("map", "error_map"):
            np.testing.assert_allclose(
                getattr(found, name)[i], getattr(alone, name), atol=1e-5 * scale
            )
        assert found.target[i] == pytest.approx(alone.target, rel=1e-6)
        assert found.target_baseline[i] == pytest.approx(
            alone.target_baseline, rel=1e-6
        )
        assert found.sum[i] == pytest.approx(alone.sum, rel=1e-4, abs=1e-6)
    assert (found.absolute_error < 1e-4 * found.target).all()


def test_four_devices_give_what_one_gives_and_exchange_nothing():
    devices = jax.devices()
    assert len(devices) == 4
    rows = NamedSharding(Mesh(np.array(devices), ("data",)), PartitionSpec("data"))
    attribute = jax.jit(lambda x, y: batch_attribution(network, x, y, **FEW))
    expected = attribute(IMAGES, BASELINES)
    spread = jax.device_put((IMAGES, BASELINES), rows)
    found = attribute(*spread)
    assert_alike(found, expected)
    for leaf in found:
        assert leaf.sharding.is_equivalent_to(rows, leaf.ndim)
        assert len({shard.device for shard in leaf.addressable_shards}) == 4
    compiled = attribute.lower(*spread).compile().as_text()
    for collective in ("all-reduce", "all-gather", "all-to-all", "collective-permute"):
        assert collective not in compiled


def test_targets_are_mapped_over():
    channels = jnp.arange(4)
    found = jax.jit(
        jax.vmap(
            lambda channel: batch_attribution(
                lambda x: network(x, channel), IMAGES[:2], BASELINES[:2], **FEW
            )
        )
    )(channels)
    assert found.map.shape == (4, 2, 12, 10, 3)
    together = batch_attribution(network, IMAGES[:2], BASELINES[:2], **FEW)
    np.testing.assert_allclose(found.map.sum(axis=0), together.map, atol=1e-6)
    np.testing.assert_allclose(found.target.sum(axis=0), together.target, rtol=1e-5)


def test_a_change_too_small_to_divide_by_has_no_relative_error():
    found = batch_attribution(network, IMAGES[:1], IMAGES[:1], **FEW)
    assert np.isnan(found.relative_error[0])
    assert found.absolute_error[0] == 0
    known = batch_attribution(network, IMAGES[:1], 0.1 * IMAGES[:1], num_steps=2)
    change = known.target - known.target_baseline
    expected = jnp.abs(known.sum - change) / jnp.abs(change)
    np.testing.assert_allclose(known.relative_error, expected, rtol=1e-5)
    assert known.relative_error[0] > 1e-7


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="images and baselines of one shape"):
        batch_attribution(network, IMAGES, BASELINES[:2])
    with pytest.raises(ValueError, match="add a batch axis"):
        batch_attribution(network, IMAGES[0], BASELINES[0])
    with pytest.raises(ValueError, match="gauss_legendre"):
        batch_attribution(network, IMAGES, BASELINES, rule="simpson")
