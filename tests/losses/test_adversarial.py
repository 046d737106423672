"""Adversarial losses against NumPy, and the gradient penalty against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.losses import adversarial

IDENTITY_AND_JIT = pytest.mark.parametrize("compile_fn", [lambda f: f, jax.jit])
KINDS = pytest.mark.parametrize("kind", adversarial.LOSSES)


def softplus(x):
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)


# kind -> (generator's term of f, real term of r, fake term of f), in NumPy.
EXPECTED = {
    "lsgan": (lambda f: (f - 1) ** 2, lambda r: (r - 1) ** 2, lambda f: f**2),
    "nonsaturating": (lambda f: softplus(-f), lambda r: softplus(-r), softplus),
    "hinge": (
        lambda f: -f,
        lambda r: np.maximum(0, 1 - r),
        lambda f: np.maximum(0, 1 + f),
    ),
    "wasserstein": (lambda f: -f, lambda r: -r, lambda f: f),
}


@pytest.fixture
def logits(generator):
    return generator.normal(0, 2, (2, 3, 5, 4, 1))


def test_every_kind_has_an_expectation():
    assert set(adversarial.LOSSES) == set(EXPECTED)


@KINDS
@IDENTITY_AND_JIT
def test_generator_loss_equals_numpy(kind, compile_fn, logits):
    fake, _ = logits
    loss = compile_fn(lambda f: adversarial.generator_loss(f, kind=kind))
    expected = EXPECTED[kind][0](fake).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(loss(jnp.float32(fake)), expected, rtol=1e-5, atol=1e-6)


@KINDS
@IDENTITY_AND_JIT
def test_discriminator_loss_equals_numpy(kind, compile_fn, logits):
    real, fake = logits
    loss = compile_fn(lambda r, f: adversarial.discriminator_loss(r, f, kind=kind))
    _, real_term, fake_term = EXPECTED[kind]
    expected = (real_term(real) + fake_term(fake)).mean(axis=(1, 2, 3))
    actual = loss(jnp.float32(real), jnp.float32(fake))
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


@KINDS
@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 3, 2, 1)])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_losses_are_per_example_and_float32(kind, shape, dtype):
    logits = jnp.ones(shape, dtype)
    of_generator = adversarial.generator_loss(logits, kind=kind)
    of_discriminator = adversarial.discriminator_loss(logits, logits, kind=kind)
    for loss in (of_generator, of_discriminator):
        assert loss.shape == (4,)
        assert loss.dtype == jnp.float32


@KINDS
def test_one_example_does_not_touch_another(kind, logits):
    real, fake = jnp.float32(logits)
    before = adversarial.discriminator_loss(real, fake, kind=kind)
    after = adversarial.discriminator_loss(real, fake.at[1].add(3.0), kind=kind)
    np.testing.assert_array_equal(np.asarray(before != after), [False, True, False])


@KINDS
@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, 80.0, -80.0])
def test_gradients_are_finite_on_constant_logits(kind, value):
    def total(logits):
        discriminator = adversarial.discriminator_loss(logits, logits, kind=kind)
        return jnp.sum(discriminator + adversarial.generator_loss(logits, kind=kind))

    gradient = jax.grad(total)(jnp.full((2, 3, 3, 1), value))
    assert bool(jnp.isfinite(gradient).all())


@KINDS
def test_the_generator_wants_higher_logits_at_the_start(kind):
    def total(fake):
        return jnp.sum(adversarial.generator_loss(fake, kind=kind))

    assert float(jax.grad(total)(jnp.zeros((1, 1)))[0, 0]) < 0


@KINDS
def test_the_discriminator_separates_real_from_fake(kind):
    apart, mixed_up = (
        adversarial.discriminator_loss(
            jnp.full((1, 1), sign), jnp.full((1, 1), -sign), kind=kind
        )[0]
        for sign in (0.5, -0.5)
    )
    assert float(apart) < float(mixed_up)


def test_discriminator_loss_is_not_halved():
    loss = adversarial.discriminator_loss(
        jnp.zeros((1, 1)), jnp.ones((1, 1)), kind="lsgan"
    )
    assert loss.tolist() == [2.0]


def test_an_unknown_kind_lists_the_known_ones():
    with pytest.raises(ValueError, match="lsgan, nonsaturating, hinge, wasserstein"):
        adversarial.generator_loss(jnp.zeros((1, 1)), kind="vanilla")
    with pytest.raises(ValueError, match="vanilla"):
        adversarial.discriminator_loss(
            jnp.zeros((1, 1)), jnp.zeros((1, 1)), kind="vanilla"
        )


def test_differing_shapes_are_refused():
    with pytest.raises(ValueError, match="real_logits and fake_logits"):
        adversarial.discriminator_loss(
            jnp.zeros((2, 1)), jnp.zeros((1, 1)), kind="lsgan"
        )


def linear_critic(weights):
    return lambda x: jnp.einsum("bhwc,hwc->b", x, weights)


@IDENTITY_AND_JIT
def test_gradient_penalty_of_a_linear_critic(compile_fn, generator):
    """The gradient is the weights everywhere: the penalty is (||w|| - 1)^2."""
    weights = generator.normal(size=(4, 5, 3))
    real, fake = jnp.float32(generator.normal(size=(2, 3, 4, 5, 3)))

    def penalty(key):
        critic = linear_critic(jnp.float32(weights))
        return adversarial.gradient_penalty(key, critic, real, fake)

    expected = (np.sqrt((weights**2).sum()) - 1) ** 2
    actual = compile_fn(penalty)(jax.random.key(0))
    np.testing.assert_allclose(actual, np.full(3, expected), rtol=1e-5)


def test_gradient_penalty_is_two_sided():
    image = jnp.zeros((1, 2, 2, 1))
    for slope, expected in ((0.5, 0.25), (1.0, 0.0), (2.0, 1.0)):
        penalty = adversarial.gradient_penalty(
            jax.random.key(0), lambda x, s=slope: s * x[:, 0, 0, 0], image, image
        )
        np.testing.assert_allclose(penalty, [expected], atol=1e-6)


def test_gradient_penalty_takes_the_mean_over_patches():
    """Four patches, each of slope 2 in its own pixel: the mean has slope 1/2 in each,
    so a gradient of norm 1."""
    image = jnp.zeros((3, 2, 2, 1))
    penalty = adversarial.gradient_penalty(
        jax.random.key(0), lambda x: 2 * x, image, image
    )
    np.testing.assert_allclose(penalty, np.zeros(3), atol=1e-6)


def test_gradient_penalty_looks_between_real_and_fake():
    """f = x^2 / 2 on one pixel has the gradient x itself, so the penalty tells x."""
    real, fake = jnp.full((64, 1, 1, 1), 5.0), jnp.full((64, 1, 1, 1), 3.0)
    penalty = adversarial.gradient_penalty(
        jax.random.key(1), lambda x: x[:, 0, 0, 0] ** 2 / 2, real, fake
    )
    where = np.sqrt(np.asarray(penalty)) + 1
    assert where.min() >= 3 and where.max() <= 5
    assert len(np.unique(where)) > 60  # each example has its own position
    assert abs(where.mean() - 4) < 0.25  # uniform between the two


def test_gradient_penalty_depends_on_the_key_alone():
    real, fake = jnp.ones((2, 2, 2, 1)), jnp.zeros((2, 2, 2, 1))

    def penalty(seed):
        return adversarial.gradient_penalty(
            jax.random.key(seed), lambda x: jnp.sum(x**2, (1, 2, 3)), real, fake
        )

    np.testing.assert_array_equal(penalty(0), penalty(0))
    assert not np.allclose(penalty(0), penalty(1))


def test_gradient_penalty_has_second_derivatives():
    """For f = s * w.x the derivative of (s ||w|| - 1)^2 is 2 (s ||w|| - 1) ||w||."""
    weights = jnp.float32([[[3.0], [4.0]]])
    image = jnp.zeros((1, 1, 2, 1))

    def penalty(scale):
        critic = linear_critic(scale * weights)
        return adversarial.gradient_penalty(jax.random.key(0), critic, image, image)[0]

    derivative = float(jax.grad(penalty)(jnp.float32(0.6)))
    np.testing.assert_allclose(derivative, 2 * (0.6 * 5 - 1) * 5, rtol=1e-5)


def test_gradient_penalty_second_derivatives_of_a_small_network(generator):
    """Against central differences, through two layers and a smooth nonlinearity."""
    first = jnp.float32(generator.normal(size=(4, 3)))
    second = jnp.float32(generator.normal(size=(3,)))
    real, fake = jnp.float32(generator.normal(size=(2, 2, 2, 2, 1)))

    def total(first):
        def critic(x):
            return jnp.tanh(x.reshape(-1, 4) @ first) @ second

        key = jax.random.key(0)
        return jnp.sum(adversarial.gradient_penalty(key, critic, real, fake))

    direction = jnp.float32(generator.normal(size=first.shape))
    step = 1e-2
    expected = (total(first + step * direction) - total(first - step * direction)) / (
        2 * step
    )
    actual = jnp.vdot(jax.jit(jax.grad(total))(first), direction)
    np.testing.assert_allclose(actual, expected, rtol=1e-2)


@pytest.mark.parametrize("scale", [0.0, 1e-30])
def test_gradient_penalty_is_finite_where_the_gradient_vanishes(scale):
    image = jnp.full((2, 3, 3, 1), 0.5)

    def total(weight):
        return jnp.sum(
            adversarial.gradient_penalty(
                jax.random.key(0), linear_critic(weight), image, image
            )
        )

    weight = jnp.full((3, 3, 1), scale)
    value, gradient = jax.value_and_grad(total)(weight)
    np.testing.assert_allclose(value, 2.0)
    assert bool(jnp.isfinite(gradient).all())


def test_gradient_penalty_refuses_differing_shapes():
    with pytest.raises(ValueError, match="real and fake"):
        adversarial.gradient_penalty(
            jax.random.key(0),
            lambda x: x[:, 0, 0, 0],
            jnp.zeros((2, 4, 4, 3)),
            jnp.zeros((2, 4, 5, 3)),
        )
