"""Learning rates, updates and averages against numbers worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.train import optim


def factors(steps, **rule):
    return [float(optim.constant_then_linear(jnp.array(s), **rule)) for s in steps]


def test_schedule_is_the_references_staircase():
    rule = {"steps_per_epoch": 10, "constant_epochs": 100, "decay_epochs": 100}
    # Epoch 100 is the last at full rate, epoch 200 has 1/101 left, then it is over.
    steps = [0, 999, 1000, 1009, 1010, 1999, 2000, 5000]
    expected = [1, 1, 100 / 101, 100 / 101, 99 / 101, 1 / 101, 0, 0]
    assert factors(steps, **rule) == pytest.approx(expected, abs=1e-6)


def test_adam_takes_its_first_step_of_the_learning_rate():
    optimizer = optim.direction("adam", beta1=0.5, beta2=0.999)
    params, grads = {"w": jnp.array([1.0, 1.0])}, {"w": jnp.array([3.0, -0.01])}
    moved, _ = optim.descend(
        optimizer, params, optimizer.init(params), grads, rate=jnp.array(0.1)
    )
    np.testing.assert_allclose(moved["w"], [0.9, 1.1], rtol=1e-5)


def test_adam_by_hand_for_three_steps():
    optimizer = optim.direction("adam", beta1=0.5, beta2=0.9)
    params, state, m, v, expected = jnp.array([1.0]), None, 0.0, 0.0, 1.0
    state = optimizer.init(params)
    for t, g in enumerate([0.5, -1.0, 0.25], start=1):
        params, state = optim.descend(
            optimizer, params, state, jnp.array([g]), rate=jnp.array(0.1)
        )
        m, v = 0.5 * m + 0.5 * g, 0.9 * v + 0.1 * g * g
        direction = (m / (1 - 0.5**t)) / (np.sqrt(v / (1 - 0.9**t)) + 1e-8)
        expected -= 0.1 * direction
        assert float(params[0]) == pytest.approx(expected, rel=1e-5)


def test_sgd_is_plain():
    optimizer = optim.direction("sgd", beta1=0.5, beta2=0.999)
    moved, _ = optim.descend(
        optimizer,
        jnp.array([1.0]),
        optimizer.init(jnp.array([1.0])),
        jnp.array([2.0]),
        rate=jnp.array(0.25),
    )
    assert moved.tolist() == [0.5]


def test_muon_makes_all_singular_values_of_a_kernel_alike():
    optimizer = optim.direction("muon", beta1=0.9, beta2=0.999)
    generator = np.random.default_rng(0)
    gradient = generator.normal(size=(3, 3, 2, 6)) * np.logspace(0, 2, 6)
    params = {"kernel": jnp.zeros((3, 3, 2, 6)), "bias": jnp.zeros(6)}
    grads = {"kernel": jnp.float32(gradient), "bias": jnp.arange(-3.0, 3.0) + 0.5}
    moved, _ = optim.descend(
        optimizer, params, optimizer.init(params), grads, rate=jnp.array(1.0)
    )
    given, found = (np.reshape(x, (18, 6)) for x in (gradient, moved["kernel"]))
    size = np.linalg.svd(found, compute_uv=False)
    assert size.max() < 2 * size.min()  # of the gradient: a hundred times
    # Downhill, along the gradient's own directions, and as large as Adam's steps.
    u, _, v = np.linalg.svd(given, full_matrices=False)
    share = -np.trace((u @ v).T @ found) / np.linalg.norm(u @ v) / np.linalg.norm(found)
    assert share > 0.97
    assert 0.1 < np.sqrt(np.mean(found**2)) < 0.4
    by_adam = moved["bias"] * -np.sign(grads["bias"])  # with Nesterov's step ahead
    np.testing.assert_allclose(by_adam, by_adam[0], rtol=1e-4)
    assert by_adam[0] > 0


def test_muon_leaves_tables_of_vectors_to_adam():
    optimizer = optim.direction("muon", beta1=0.5, beta2=0.9)
    params = {"gain": jnp.zeros((4, 16))}
    state = optimizer.init(params)
    generator = np.random.default_rng(0)
    for step in range(60):
        gradient = np.zeros((4, 16), np.float32)
        gradient[2 if step else 0] = generator.normal(size=16)
        before = params["gain"]
        params, state = optim.descend(
            optimizer, params, state, {"gain": jnp.asarray(gradient)}, rate=jnp.array(1)
        )
    moved = np.abs(np.asarray(params["gain"] - before)).max(axis=1)
    assert moved[2] > 0.1
    assert moved[[0, 1, 3]].max() < 1e-3  # a style that is not drawn stays


def test_the_rate_rises_and_falls():
    rule = {"rate": 0.5, "decay": 0.1}
    found = [
        float(optim.inverse_time(jnp.int32(i), **rule, warmup_steps=4))
        for i in (0, 1, 3, 4, 10)
    ]
    expected = [0.125, 0.25 / 1.1, 0.5 / 1.3, 0.5 / 1.4, 0.25]
    assert found == pytest.approx(expected, rel=1e-6)
    assert float(optim.inverse_time(jnp.int32(0), **rule)) == 0.5


def test_unknown_optimizer_lists_what_exists():
    with pytest.raises(ValueError, match="optimizer: expected one of adam, sgd, muon"):
        optim.direction("lion", beta1=0.5, beta2=0.9)


@pytest.mark.parametrize(("step", "kept"), [(0, 0.1), (8, 0.5), (10**6, 0.9)])
def test_moving_average_warms_up(step, kept):
    average = jax.jit(optim.moving_average, static_argnames="decay")(
        jnp.array([1.0]), jnp.array([0.0]), decay=0.9, step=jnp.array(step)
    )
    assert float(average[0]) == pytest.approx(kept, rel=1e-5)


def test_no_moving_average_stays_empty():
    params = {"w": jnp.ones(2)}
    assert optim.moving_average({}, params, decay=0.0, step=jnp.array(3)) == {}
