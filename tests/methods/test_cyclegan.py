"""The CycleGAN step: options, pools, skipping, accumulation, translation.

Its agreement with an independent implementation is in test_step_parity.py, its
agreement between one and many devices in tests/train/test_parallel.py.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax import trees
from stylejax.methods import cyclegan
from stylejax.methods.cyclegan import CycleGANConfig

TINY = CycleGANConfig(
    ngf=4,
    num_blocks=1,
    ndf=4,
    num_layers=1,
    image_size=16,
    pool_size=3,
    steps_per_epoch=100,
)


def tiny(**more):
    return dataclasses.replace(TINY, **more)


def batch_of(size=2, seed=0, side=16):
    numbers = np.random.default_rng(seed)
    shape = (size, side, side, 3)
    return {d: numbers.uniform(size=shape).astype(np.float32) for d in "ab"}


@functools.cache
def step_of(config):
    return jax.jit(cyclegan.make_train_step(config))


def run(config, num_steps=1, size=2, state=None):
    """(state, metrics) after some steps on batches 0, 1, …"""
    state = cyclegan.init(jax.random.key(0), config) if state is None else state
    step = step_of(config)
    for number in range(num_steps):
        state, metrics = step(state, batch_of(size, seed=number))
    return state, {name: float(x) for name, x in metrics.items()}


def assert_close(x, y, **tolerance):
    for name, leaf in trees.named_leaves(x).items():
        other = trees.named_leaves(y)[name]
        np.testing.assert_allclose(leaf, other, err_msg=name, **tolerance)


VARIANTS = {
    "default": {},
    "nonsaturating_bfloat16": {
        "gan_loss": "nonsaturating",
        "identity_weight": 0.0,
        "dtype": "bfloat16",
        "remat": True,
    },
    "hinge_pixel": {"gan_loss": "hinge", "discriminator": "pixel"},
    "wasserstein": {"gan_loss": "wasserstein", "tv_weight": 0.1},
    "r1_augment": {"r1_weight": 1.0, "augment": "translation,cutout,color"},
    "unet": {"generator": "unet"},
    "skips_preserve": {"skips": True, "upsample": "resize", "preserve_weight": 0.5},
    "source_share": {"source_share": 0.5, "augment": "translation"},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_option_takes_a_finite_step_that_moves_all_networks(name):
    config = tiny(**VARIANTS[name])
    before = cyclegan.init(jax.random.key(0), config)
    after, metrics = run(config, state=before)
    assert np.isfinite(list(metrics.values())).all()
    assert metrics["skipped"] == 0
    for kind in ("generator_params", "discriminator_params"):
        moved = jax.tree.map(
            lambda x, y: float(trees.norm(x - y)),
            getattr(before, kind),
            getattr(after, kind),
        )
        kernels = [v for k, v in trees.named_leaves(moved).items() if "kernel" in k]
        assert min(kernels) > 0
    assert (metrics["generator/identity"] > 0) == (config.identity_weight > 0)
    assert (metrics["generator/total_variation"] > 0) == (config.tv_weight > 0)
    assert (metrics["generator/preserve"] > 0) == (config.preserve_weight > 0)


def test_totals_are_the_sums_of_their_terms():
    _, metrics = run(tiny(tv_weight=0.5, preserve_weight=0.5))
    names = ("adversarial", "cycle", "identity", "preserve", "total_variation")
    total = sum(metrics[f"generator/{name}"] for name in names)
    assert metrics["generator/total"] == pytest.approx(total, rel=1e-6)
    total = metrics["discriminator/a"] + metrics["discriminator/b"]
    assert metrics["discriminator/total"] == pytest.approx(total, rel=1e-6)


def test_weights_scale_their_terms():
    _, single = run(TINY)
    _, double = run(tiny(cycle_weight=20.0))
    # identity_weight is in units of cycle_weight: the reference's lambda_identity.
    for name in ("generator/cycle", "generator/identity"):
        assert double[name] == pytest.approx(2 * single[name], rel=1e-5)
    assert double["generator/adversarial"] == single["generator/adversarial"]


def test_the_price_of_a_change_is_the_distance_to_the_translations():
    config = tiny(preserve_weight=3.0)
    state, batch = cyclegan.init(jax.random.key(0), config), batch_of(2, seed=0)
    _, metrics = run(config, state=state)
    expected = 0.0
    for direction, side in (("AtoB", "a"), ("BtoA", "b")):
        fake = cyclegan.predict(
            state.generator_params, batch[side], config=config, direction=direction
        )
        expected += 3.0 * 2 * float(jnp.abs(fake - batch[side]).mean())  # [-1, 1]
    assert metrics["generator/preserve"] == pytest.approx(expected, rel=1e-5)


def test_in_the_warm_up_the_discriminators_alone_learn_from_the_untranslated():
    config = tiny(discriminator_warmup=2, source_share=0.5, optimizer="sgd")
    before = cyclegan.init(jax.random.key(0), config)
    state, metrics = run(config, state=before)
    assert_close(state.generator_params, before.generator_params, rtol=0, atol=0)
    assert metrics["generator/total"] == metrics["norm/generator_gradient"] == 0.0
    assert metrics["skipped"] == 0
    moved = trees.norm(
        jax.tree.map(
            jnp.subtract, state.discriminator_params, before.discriminator_params
        )
    )
    assert float(moved) > 0
    # The pools hold the other domain's pictures: what changing nothing would give.
    np.testing.assert_allclose(state.pool_b.images[:2], 2 * batch_of()["a"] - 1)

    state, _ = run(config, state=state)
    warm, metrics = run(config, state=state)
    assert metrics["generator/total"] > 0
    # After it a step is what it is without one.
    plain, other = run(tiny(source_share=0.5, optimizer="sgd"), state=state)
    assert_close(warm.generator_params, plain.generator_params, rtol=1e-5, atol=1e-7)
    assert other["generator/total"] == pytest.approx(metrics["generator/total"])


def test_untranslated_pictures_take_their_share_of_the_fakes():
    """The loss is linear in the share, and with a share of 1 knows no fakes."""
    losses = {}
    for share in (0.0, 0.5, 1.0):
        _, metrics = run(tiny(source_share=share))
        losses[share] = metrics["discriminator/total"]
    assert losses[0.5] == pytest.approx((losses[0.0] + losses[1.0]) / 2, rel=1e-5)
    state = cyclegan.init(jax.random.key(0), TINY)
    judge, expected = cyclegan.networks(TINY).discriminator, 0.0
    batch = {side: 2 * jnp.asarray(x) - 1 for side, x in batch_of(2, seed=0).items()}
    for side, other in (("a", "b"), ("b", "a")):
        params = {"params": state.discriminator_params[side.upper()]}
        real, source = (judge.apply(params, batch[s]) for s in (side, other))
        expected += 0.5 * float(jnp.mean((real - 1) ** 2) + jnp.mean(source**2))
    assert losses[1.0] == pytest.approx(expected, rel=1e-5)


def test_accumulation_changes_the_memory_and_not_the_result():
    # SGD: Adam's first step would hide a wrong scale.
    config = tiny(optimizer="sgd", augment="translation", pool_size=2)
    whole, _ = run(config, num_steps=2, size=4)
    parts, _ = run(dataclasses.replace(config, accumulate_steps=2), num_steps=2, size=4)
    assert_close(whole, parts, rtol=1e-4, atol=1e-5)


def test_the_pools_fill_with_fakes_and_then_hold():
    state, _ = run(TINY, num_steps=1)
    assert [int(state.pool_a.count), int(state.pool_b.count)] == [2, 2]
    first = np.asarray(state.pool_b.images[:2])
    state, _ = run(TINY, num_steps=2)
    assert int(state.pool_b.count) == 3
    np.testing.assert_array_equal(state.pool_b.images[0], first[0])
    init = cyclegan.init(jax.random.key(0), TINY)
    params, images = init.generator_params, batch_of()["a"]
    fake = cyclegan.predict(params, images, config=TINY, direction="AtoB")
    np.testing.assert_allclose((first + 1) / 2, fake, atol=1e-5)


def test_a_step_is_a_pure_function_of_state_and_batch():
    state, _ = run(TINY, num_steps=2)
    step = step_of(TINY)
    first, second = (step(state, batch_of(seed=7))[0] for _ in range(2))
    assert_close(first, second, rtol=0, atol=0)


@pytest.mark.parametrize("domain", ["a", "b"])
def test_a_step_with_nan_leaves_everything_but_the_counters(domain):
    config = tiny(ema_decay=0.9)
    state, _ = run(config)
    spoilt = batch_of()
    spoilt[domain][0, 3, 3, 0] = np.nan
    step = step_of(config)
    after, metrics = step(state, spoilt)
    counted = {"step": state.step + 1, "skipped_in_a_row": 1, "skipped_total": 1}
    assert {name: int(getattr(after, name)) for name in counted} == {
        name: int(value) for name, value in counted.items()
    }
    assert_close(after.replace(**{n: getattr(state, n) for n in counted}), state)
    assert int(metrics["skipped"]) == 1
    after, _ = step(after, batch_of())
    assert int(after.skipped_in_a_row) == 0
    assert int(after.skipped_total) == 1


def test_the_average_follows_and_is_what_translates():
    config = tiny(ema_decay=0.5)
    first, _ = run(config, num_steps=1)
    start = cyclegan.init(jax.random.key(0), config).generator_params
    # The first step's decay is min(0.5, 1 / 10).
    expected = jax.tree.map(
        lambda a, b: 0.1 * a + 0.9 * b, start, first.generator_params
    )
    assert_close(first.ema_params, expected, rtol=1e-5, atol=1e-7)
    assert cyclegan.generator_params(first) is first.ema_params
    assert cyclegan.generator_params(first, use_ema=False) is first.generator_params
    off = cyclegan.init(jax.random.key(0), TINY)
    assert cyclegan.generator_params(off) is off.generator_params
    with pytest.raises(ValueError, match="expected a moving average"):
        cyclegan.generator_params(off, use_ema=True)


@pytest.mark.parametrize("generator", ["resnet", "unet"])
@pytest.mark.parametrize("size", [(16, 16), (21, 35)])
def test_predict_keeps_any_size_and_range(generator, size):
    config = tiny(generator=generator, num_downs=2)
    params = cyclegan.init(jax.random.key(0), config).generator_params
    images = np.random.default_rng(0).uniform(size=(1, *size, 3)).astype(np.float32)
    for direction in cyclegan.DIRECTIONS:
        out = cyclegan.predict(params, images, config=config, direction=direction)
        assert out.shape == images.shape
        assert 0 <= float(out.min()) and float(out.max()) <= 1


def test_directions_have_parameters_of_their_own():
    params = cyclegan.init(jax.random.key(0), TINY).generator_params
    images = batch_of()["a"]
    there = cyclegan.predict(params, images, config=TINY, direction="AtoB")
    back = cyclegan.predict(params, images, config=TINY, direction="BtoA")
    assert float(jnp.abs(there - back).max()) > 1e-3


def test_samples_are_what_predict_gives():
    params, batch = cyclegan.init(jax.random.key(0), TINY).generator_params, batch_of()
    out = cyclegan.sample(params, batch, config=tiny(identity_weight=0.0))

    def predict(images, direction):
        return cyclegan.predict(params, images, config=TINY, direction=direction)

    expected = {
        "fake_b": predict(batch["a"], "AtoB"),
        "cycled_a": predict(predict(batch["a"], "AtoB"), "BtoA"),
        "identity_a": predict(batch["a"], "BtoA"),
        "fake_a": predict(batch["b"], "BtoA"),
        "cycled_b": predict(predict(batch["b"], "BtoA"), "AtoB"),
        "identity_b": predict(batch["b"], "AtoB"),
    }
    assert set(out) == set(expected)
    assert_close(out, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"steps_per_epoch": 0}, "steps_per_epoch: expected a number above 0"),
        ({"gan_loss": "bce"}, "gan_loss: expected one of lsgan"),
        ({"generator": "vit"}, "generator: expected one of resnet, unet"),
        ({"augment": "flip"}, "augment: expected one of translation"),
    ],
)
def test_a_wrong_configuration_is_refused_before_training(more, message):
    with pytest.raises(ValueError, match=message):
        cyclegan.make_train_step(tiny(**more))


def test_sizes_the_generator_cannot_halve_are_refused():
    with pytest.raises(ValueError, match="image_size: expected a multiple of 4"):
        cyclegan.init(jax.random.key(0), tiny(image_size=18))


def test_predict_refuses_what_is_no_picture():
    params = cyclegan.init(jax.random.key(0), TINY).generator_params
    with pytest.raises(ValueError, match="direction: expected one of AtoB, BtoA"):
        cyclegan.predict(params, batch_of()["a"], config=TINY, direction="AB")
    with pytest.raises(ValueError, match="images: expected pictures of shape"):
        cyclegan.predict(params, batch_of()["a"][0], config=TINY)
