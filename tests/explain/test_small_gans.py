"""The small CycleGANs of the benchmarks: convolutions, players apart, learning."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.explain import small_gans as gans


@pytest.mark.parametrize("stride", [1, 2])
def test_the_convolution_is_one(generator, stride):
    x = generator.normal(size=(2, 8, 8, 3)).astype("float32")
    kernel = generator.normal(size=(27, 5)).astype("float32")
    expected = jax.lax.conv_general_dilated(
        x,
        kernel.reshape(3, 3, 3, 5),
        (stride, stride),
        ((1, 1), (1, 1)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    found = gans.conv(x, (kernel, np.ones(5, "float32")), stride=stride)
    np.testing.assert_allclose(found, expected + 1, atol=1e-4)


def test_cells_and_pixels_are_each_other_backwards(generator):
    images = generator.random((2, 32, 32, 3)).astype("float32")
    np.testing.assert_array_equal(gans.pixels(gans.cells(images)), images)


def test_each_player_moves_by_its_own_share(generator):
    """The generator's part leaves the judge alone, and the judge's the generator."""
    judge = gans.init_discriminator(jax.random.key(0))
    real, fake = generator.random((2, 2, 32, 32, 3)).astype("float32")
    of_fake = jax.grad(lambda x: gans.adversarial(judge, real, x))(fake)
    fooling = jax.grad(lambda x: gans.squares(gans.discriminate(judge, x), 1))(fake)
    np.testing.assert_allclose(of_fake, fooling, atol=1e-6)
    of_judge = jax.grad(lambda p: gans.adversarial(p, real, fake))(judge)

    def caught(p):
        scores = gans.squares(gans.discriminate(p, real), 1)
        return scores + gans.squares(gans.discriminate(p, fake), 0)

    expected = jax.grad(caught)(judge)
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, atol=1e-5), of_judge, expected
    )


def test_models_train_together_and_apart():
    """Two models of one case differ; a cycle alone is learnt by both."""

    def loss(params, key, weight):
        images = gans.boxes(key, 2, jnp.ones((2, 2, 3)))
        return gans.cycle_loss(params, images, images, weight=weight)

    key = jax.random.key(0)
    params, last = gans.train(key, jnp.full(2, 10.0), loss=loss, steps=40, both=False)
    first = jax.jit(loss)(gans.init_cycle(key, both=False), key, 10.0)
    assert (last < first).all()
    assert set(params) == {"forward", "backward", "judge_b"}
    kernels = np.asarray(params["forward"]["first"][0])
    assert np.abs(kernels[0] - kernels[1]).max() > 0.01
