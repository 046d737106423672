"""Minimisers against known minima, their own formulas, and bad functions."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import optimize

from stylejax.train import minimize


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def run(method, fn, x, steps):
    value_and_grad = jax.jit(jax.value_and_grad(fn))
    update = jax.jit(method.update)
    state, values = method.init(x), []
    for _ in range(steps):
        state = update(state, *value_and_grad(state.trial))
        values.append(float(state.value))
    return state, values


def test_lbfgs_reaches_the_minimum_of_a_curved_valley():
    start = jnp.float32([-1.2, 1.0, 0.5, -0.3])
    state, values = run(minimize.make("lbfgs"), rosenbrock, start, 120)
    assert values[-1] < 1e-6
    np.testing.assert_allclose(state.x, np.ones(4), atol=1e-2)


def test_lbfgs_needs_about_as_many_evaluations_as_scipy():
    start = np.float32([-1.2, 1.0])
    reference = optimize.minimize(
        lambda x: float(rosenbrock(jnp.float32(x))),
        start,
        jac=lambda x: np.asarray(jax.grad(rosenbrock)(jnp.float32(x)), np.float64),
        method="L-BFGS-B",
        options={"gtol": 1e-6},
    )
    _, values = run(minimize.make("lbfgs"), rosenbrock, jnp.asarray(start), 150)
    needed = next(i for i, value in enumerate(values) if value < 1e-5)
    assert needed < 2.5 * reference.nfev


def test_lbfgs_never_climbs(generator):
    matrix = generator.normal(size=(30, 30)).astype(np.float32)
    matrix = matrix @ matrix.T / 30 + 0.01 * np.eye(30, dtype=np.float32)

    def fn(x):
        return 0.5 * x @ matrix @ x + jnp.sum(jnp.cos(3 * x))

    start = jnp.asarray(generator.normal(size=30).astype(np.float32))
    state, values = run(minimize.make("lbfgs", memory_size=5), fn, start, 80)
    assert (np.diff(values) <= 1e-6).all()
    assert float(fn(state.x)) == pytest.approx(values[-1], rel=1e-5)
    gradient = jax.grad(fn)(state.x)
    assert float(jnp.linalg.norm(gradient)) < 0.05


def test_lbfgs_steps_back_from_where_the_function_is_not_finite():
    def walled(x):
        return jnp.where(x[0] < 0.5, jnp.sum((x - 0.4) ** 2), jnp.nan)

    state, values = run(minimize.make("lbfgs"), walled, jnp.float32([-3.0, 2.0]), 40)
    assert values[-1] < 1e-6
    assert np.isfinite(state.x).all()


def test_rejected_trials_are_counted_and_leave_x_alone():
    method = minimize.make("lbfgs")
    state = method.init(jnp.float32([1.0, 2.0]))
    state = method.update(state, jnp.float32(5.0), jnp.float32([1.0, 0.0]))
    before = state.trial
    worse = method.update(state, jnp.float32(9.0), jnp.float32([1.0, 0.0]))
    np.testing.assert_array_equal(worse.x, state.x)
    np.testing.assert_allclose(worse.trial - worse.x, 0.5 * (before - state.x))
    assert int(worse.num_rejected) == 1
    assert float(worse.value) == 5.0
    assert float(worse.slope) == pytest.approx(0.5 * float(state.slope))
    assert float(state.slope) < 0


def test_a_start_where_the_function_is_not_finite_is_not_accepted():
    method = minimize.make("lbfgs")
    state = method.init(jnp.float32([1.0, 2.0]))
    found = method.update(state, jnp.float32(jnp.nan), jnp.float32([1.0, 0.0]))
    assert int(found.num_rejected) == 1
    assert float(found.value) == np.inf
    np.testing.assert_array_equal(found.x, state.x)


def test_lbfgs_goes_downhill_at_bad_curvature():
    state, values = run(
        minimize.make("lbfgs"), lambda x: jnp.sum(jnp.cos(x)), jnp.float32([0.1]), 30
    )
    assert values[-1] == pytest.approx(-1.0, abs=1e-4)
    assert np.isfinite(state.x).all()


def test_minimisations_side_by_side_are_those_alone(generator):
    starts = jnp.asarray(generator.normal(size=(3, 4)).astype(np.float32))
    method = minimize.make("lbfgs", memory_size=4)
    states = jax.vmap(method.init)(starts)
    batched = jax.vmap(jax.value_and_grad(rosenbrock))
    for _ in range(12):
        states = jax.vmap(method.update)(states, *batched(states.trial))
    for i in range(3):
        alone, _ = run(method, rosenbrock, starts[i], 12)
        np.testing.assert_allclose(states.x[i], alone.x, rtol=1e-3, atol=1e-4)


def test_adam_is_optax_adam():
    schedule = optax.cosine_decay_schedule(0.1, 10)
    method = minimize.make("adam", learning_rate=schedule)
    x = jnp.float32([2.0, -1.0])
    state, _ = run(method, lambda x: jnp.sum(x**4), x, 8)
    transform = optax.adam(schedule)
    memory = transform.init(x)
    for _ in range(8):
        updates, memory = transform.update(4 * x**3, memory, x)
        x = x + updates
    np.testing.assert_allclose(state.x, x, rtol=1e-5)
    np.testing.assert_array_equal(state.trial, state.x)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="optimizer: expected one of lbfgs, adam"):
        minimize.make("sgd")
    with pytest.raises(ValueError, match="memory_size"):
        minimize.make("lbfgs", memory_size=0)
