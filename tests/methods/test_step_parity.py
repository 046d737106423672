"""Three training steps against an independent PyTorch implementation.

Same start, data and pool decisions; what must agree are the losses, the parameters,
the pools, the learning rates and Adam's moments.
"""

import functools

import numpy as np
import pytest

from tests.goldens import network_parity, step_parity

TOLERANCE = 1e-4
measure = functools.cache(step_parity.measure_step)


@pytest.mark.parametrize("name", step_parity.STEPS)
def test_losses_agree(name):
    errors = measure(name)["metrics"]
    assert {"generator/total", "discriminator/a", "learning_rate"} <= errors.keys()
    assert {k: e for k, e in errors.items() if not e < TOLERANCE} == {}


@pytest.mark.parametrize("name", step_parity.STEPS)
def test_parameters_agree(name):
    errors = measure(name)["leaves"]
    assert any("up_1/kernel" in k for k in errors)
    assert {k: e for k, e in errors.items() if not e < TOLERANCE} == {}


@pytest.mark.parametrize("name", step_parity.STEPS)
def test_what_the_updates_added_agrees(name):
    # Stricter than the above: an update is a few percent of the parameter.
    errors = measure(name)["updates"]
    assert {k: e for k, e in errors.items() if not e < 10 * TOLERANCE} == {}


@pytest.mark.parametrize("name", [n for n in step_parity.STEPS if "sgd" in n])
def test_biases_that_feed_a_norm_stay(name):
    assert measure(name)["normed biases"] < 1e-6


@pytest.mark.parametrize("name", step_parity.STEPS)
def test_pools_agree(name):
    assert measure(name)["pools"] < 1e-4


def test_moments_agree():
    errors = step_parity.measure_moments()
    kernels = [k for k in errors if k.endswith("kernel")]
    assert len(kernels) == 2 * 2 * (8 + 4)
    assert {k: e for k, e in errors.items() if not e < TOLERANCE} == {}


def test_learning_rates_decay_within_the_run():
    rates = step_parity.train("adam_batch_1")[1]["learning_rate"]
    np.testing.assert_allclose(rates, 2e-4 * np.array([1, 2 / 3, 1 / 3]), rtol=1e-6)


def test_other_pool_decisions_are_noticed():
    errors = step_parity.measure_step("sgd_batch_2", flip_decisions=True)
    judges = [v for k, v in errors["leaves"].items() if k.startswith("discriminator")]
    assert max(judges) > 10 * TOLERANCE
    assert errors["pools"] > 0.1


def test_normed_biases_are_the_ones_before_a_norm():
    names = network_parity.below(network_parity.goldens("steps"), "start")
    normed = {k for k in names if step_parity.is_normed_bias(k)}
    free = {k for k in names if k.endswith("bias")} - normed
    assert free == {
        "generator/AtoB/head/bias",
        "generator/BtoA/head/bias",
        *(f"discriminator/{d}/conv_{i}/bias" for d in "AB" for i in (0, 3)),
    }
