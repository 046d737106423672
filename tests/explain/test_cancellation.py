"""Constant baselines: each method that follows a path refuses those a norm cancels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain.attribution import integrated_gradients
from stylejax.explain.cancellation import check_baseline, refuse_cancelled
from stylejax.explain.curves import guided_gradients
from stylejax.explain.edits import apply_edit
from stylejax.explain.gradients import expected_gradients
from stylejax.explain.layers import layer_gradients
from stylejax.explain.regions import region_maps, region_table
from stylejax.image.regions import grid_regions

KERNEL = jax.random.normal(jax.random.key(0), (3, 3, 3, 4))
IMAGE = jax.random.uniform(jax.random.key(1), (10, 8, 3))
LABELS = grid_regions((10, 8), rows=2, columns=2)
ALLOWED = {"allow_constant_baseline": True}


def network(images, edits=None):
    """A convolution with reflecting borders, instance norm, softplus: `b h w 4`."""
    x = jnp.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    x = jax.lax.conv_general_dilated(
        x, KERNEL, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    if edits:
        x = apply_edit(x, edits["conv"], name="conv")
    mean = x.mean(axis=(1, 2), keepdims=True)
    y = (x - mean) * jax.lax.rsqrt(x.var(axis=(1, 2), keepdims=True) + 1e-5)
    return (
        (jax.nn.softplus(y), {"conv": x}) if edits is not None else jax.nn.softplus(y)
    )


def total(output):
    return output[:, 2:5, 2:5].mean(axis=(1, 2, 3))


def target(images):
    return total(network(images))


def run(images, edits):
    return network(images, edits)


METHODS = {
    "integrated": lambda b, **o: integrated_gradients(target, IMAGE, baseline=b, **o),
    "guided": lambda b, **o: guided_gradients(
        target, IMAGE, baseline=b, num_steps=20, **o
    ),
    "layer": lambda b, **o: layer_gradients(
        run, total, IMAGE, name="conv", baseline=b, num_steps=4, **o
    ),
    "maps": lambda b, **o: region_maps(
        network, IMAGE, labels=LABELS, baseline=b, num_steps=4, **o
    ),
    "table": lambda b, **o: region_table(
        network,
        IMAGE,
        labels=LABELS,
        output_labels=LABELS,
        baseline=b,
        num_steps=4,
        **o,
    ),
    "expected": lambda b, **o: expected_gradients(
        jax.random.key(0),
        target,
        IMAGE,
        baselines=jnp.stack([IMAGE[::-1], jnp.full_like(IMAGE, 0.5)])
        if b == "grey"
        else IMAGE[None, ::-1],
        num_samples=4,
        **o,
    ),
}


@pytest.mark.parametrize("method", METHODS)
def test_every_path_refuses_it_and_can_be_forced(method):
    with pytest.raises(ValueError, match="got a constant colour") as found:
        METHODS[method]("grey")
    assert "allow_constant_baseline" in str(found.value)
    METHODS[method]("grey", **ALLOWED)
    METHODS[method]("blur")


def test_what_follows_its_path_is_let_through():
    refuse_cancelled([0.0, 0.1, 0.25, 0.5, 1.0])
    refuse_cancelled([np.zeros(3), *[np.ones(3) * a for a in (0.1, 0.25, 0.5, 1.0)]])
    # One of two outputs follows its path: that is enough not to be refused.
    refuse_cancelled(
        [np.array([0, 0]), *[np.array([1, a]) for a in (0.1, 0.25, 0.5, 1)]]
    )


@pytest.mark.parametrize("values", [[0, 1, 1, 1, 1], [5, 1.02, 1, 0.98, 1]])
def test_what_jumps_at_the_start_is_not(values):
    with pytest.raises(ValueError, match="within .*% of its full change"):
        refuse_cancelled(values)


def test_no_change_at_all_is_no_jump():
    refuse_cancelled([3.0] * 5)
    refuse_cancelled([3.0001, 3, 3, 3, 3])  # below the floor of a relative error


def test_only_constant_pictures_are_looked_into():
    def never(picture):
        raise AssertionError("was asked")

    check_baseline(never, IMAGE[::-1], IMAGE, allow=False)
    check_baseline(never, jnp.zeros_like(IMAGE), IMAGE, allow=True)
    with pytest.raises(AssertionError, match="was asked"):
        check_baseline(never, jnp.zeros_like(IMAGE), IMAGE, allow=False)
