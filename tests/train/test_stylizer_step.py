"""The shared step against a plain update, and what it draws."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from stylejax.losses import style
from stylejax.losses.channel_scale import scaled
from stylejax.train import stylizer_step


@dataclasses.dataclass(frozen=True)
class Config:
    optimizer: str = "adam"
    learning_rate: float = 0.1
    lr_decay: float = 0.5
    warmup_steps: int = 0
    beta1: float = 0.9
    beta2: float = 0.99
    ema_decay: float = 0.0
    accumulate_steps: int = 1
    recolor: float = 0.0
    seed: int = 0


def terms(params, given, fixed):
    error = jnp.mean(jnp.square(params["w"] * given["content"] - given["style"]))
    return {"error": fixed["weight"] * error}, given["content"]


def first(config):
    params = {"w": jnp.float32(0.5), "v": jnp.float32(1.0)}
    fixed = {"weight": jnp.float32(2.0)}
    return stylizer_step.first_state(params, fixed=fixed, config=config)


def batch(count=4):
    a, b = (jax.random.uniform(jax.random.key(i), (count, 4, 4, 3)) for i in (1, 2))
    return {"a": a, "b": b}


def test_updates_are_those_of_adam_with_a_falling_rate():
    config, given = Config(), batch()
    state, step = first(config), jax.jit(stylizer_step.make(terms, config))
    rates = lambda count: 0.1 / (1 + 0.5 * count)  # noqa: E731
    reference = optax.adam(rates, b1=0.9, b2=0.99, eps=1e-8)
    params = state.params
    opt_state = reference.init(params)
    seen, fixed = {"content": given["a"], "style": given["b"]}, state.fixed

    def total(params):
        return sum(terms(params, seen, fixed)[0].values())

    for i in range(4):
        grads = jax.grad(total)(params)
        updates, opt_state = reference.update(grads, opt_state, params)
        params = optax.apply_updates(params, updates)
        state, metrics = step(state, given)
        np.testing.assert_allclose(metrics["learning_rate"], rates(i), rtol=1e-6)
        np.testing.assert_allclose(state.params["w"], params["w"], rtol=1e-5)
    assert float(metrics["loss/total"]) == float(metrics["loss/error"])


def test_a_step_that_is_not_finite_is_left_out():
    config = Config(ema_decay=0.9)
    state, step = first(config), jax.jit(stylizer_step.make(terms, config))
    broken = batch()
    broken["b"] = broken["b"].at[0, 0, 0, 0].set(jnp.nan)
    after, metrics = step(state, broken)
    assert int(metrics["skipped"]) == 1
    assert float(after.params["w"]) == 0.5
    assert int(after.step) == 1


def test_choices_are_drawn_anew_and_parts_do_not_matter():
    seen = []

    def noting(params, given, fixed):
        value = jnp.mean(params["w"] * given["choice"].astype(jnp.float32))
        return {"choice": value}, given["choice"]

    def draw(key, count):
        return {"choice": jax.random.randint(key, (count,), 0, 5)}

    for parts in (1, 2):
        config = Config(accumulate_steps=parts)
        step = stylizer_step.make(noting, config, draw=draw)
        state, found = first(config), []
        for _ in range(3):
            state, metrics = step(state.replace(params={"w": 1.0, "v": 1.0}), batch())
            found.append(float(metrics["loss/choice"]))
        seen.append(found)
    np.testing.assert_allclose(seen[0], seen[1], rtol=1e-6)
    assert len({*seen[0]}) > 1


def test_what_is_not_trained_stays():
    config = Config()
    step = stylizer_step.make(terms, config, is_trained=lambda name: name == "v")
    after, _ = step(first(config), batch())
    assert float(after.params["w"]) == 0.5


def test_recoloured_styles_change_the_loss():
    losses = []
    for share in (0.0, 1.0):
        config = Config(recolor=share)
        _, metrics = stylizer_step.make(terms, config)(first(config), batch())
        losses.append(float(metrics["loss/total"]))
    assert losses[0] != pytest.approx(losses[1], rel=1e-3)


def test_the_optimizer_and_the_warm_up_are_those_of_the_configuration():
    config, given = Config(optimizer="sgd", warmup_steps=4), batch()
    state = first(config)
    moved, metrics = jax.jit(stylizer_step.make(terms, config))(state, given)
    assert float(metrics["learning_rate"]) == pytest.approx(0.1 / 4)

    def total(params):
        found, _ = terms(
            params, {"content": given["a"], "style": given["b"]}, state.fixed
        )
        return found["error"]

    gradient = jax.grad(total)(state.params)["w"]
    expected = state.params["w"] - 0.025 * gradient
    np.testing.assert_allclose(moved.params["w"], expected, rtol=1e-5)


def test_the_style_is_compared_in_units_or_as_it_is():
    generator = np.random.default_rng(0)
    x, y = (
        {
            tap: jnp.float32(generator.random((2, 3, 4, 5)))
            for tap in ("relu1_1", "relu2_1")
        }
        for _ in range(2)
    )
    scales = {tap: jnp.linspace(0.5, 2.0, 5) for tap in x}
    expected = style.moments_loss(scaled(x, scales), scaled(y, scales))
    found = stylizer_step.style_term(x, y, scales, kind="moments")
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    found = stylizer_step.style_term(x, y, scales, kind="relative_gram")
    np.testing.assert_allclose(found, style.relative_gram_loss(x, y), rtol=1e-6)
    with pytest.raises(ValueError, match="style_loss: expected one of moments"):
        stylizer_step.style_term(x, y, scales, kind="gram")
