"""Recolouring: shares, ranges, and that structure stays."""

import jax
import jax.numpy as jnp
import numpy as np

from stylejax.image import color_jitter


def test_no_share_changes_nothing(generator):
    images = jnp.float32(generator.random((3, 8, 8, 3)))
    draws = color_jitter.draw(jax.random.key(0), 3)
    assert color_jitter.apply(images, draws, share=0.0) is images


def test_draws_decide_which_pictures_change(generator):
    images = jnp.float32(generator.random((4, 8, 8, 3)))
    draws = (
        color_jitter.draw(jax.random.key(0), 4)
        .at[:, 0]
        .set(jnp.array([0.1, 0.9, 0.2, 0.8]))
    )
    found = color_jitter.apply(images, draws, share=0.5)
    changed = jnp.any(jnp.abs(found - images) > 1e-3, axis=(1, 2, 3))
    assert changed.tolist() == [True, False, True, False]
    assert float(found.min()) >= 0.0
    assert float(found.max()) <= 1.0


def test_middling_draws_turn_nothing_and_keep_grey(generator):
    # No turn; saturation 1; gain 1; gamma 1 lies at 3/7 of its range.
    draws = jnp.array([[0.0, 0.0, 0.5, 0.5, 3 / 7]])
    images = jnp.float32(generator.random((1, 6, 6, 3)))
    found = color_jitter.apply(images, draws, share=1.0)
    np.testing.assert_allclose(found, images, atol=1e-5)
    grey = jnp.repeat(images[..., :1], 3, axis=-1)
    turned = color_jitter.apply(grey, draws.at[0, 1].set(0.3), share=1.0)
    np.testing.assert_allclose(turned, grey, atol=1e-5)


def test_flat_pictures_stay_flat():
    images = jnp.full((1, 5, 5, 3), jnp.array([0.2, 0.5, 0.7]))
    draws = color_jitter.draw(jax.random.key(3), 1).at[0, 0].set(0.0)
    found = np.asarray(color_jitter.apply(images, draws, share=1.0))
    assert np.ptp(found, axis=(1, 2)).max() < 1e-6
