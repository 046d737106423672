"""The input skip; what all generators share is in test_translation.py."""

import jax
import jax.numpy as jnp
import numpy as np

from stylejax.models.resnet_generator import ResNetGenerator, blend_towards_ends


def test_blending_reaches_both_ends_and_stays_between():
    x = jnp.linspace(-1, 1, 9)
    np.testing.assert_allclose(blend_towards_ends(x, jnp.ones(9)), 1.0, atol=1e-6)
    np.testing.assert_allclose(blend_towards_ends(x, -jnp.ones(9)), -1.0, atol=1e-6)
    np.testing.assert_array_equal(blend_towards_ends(x, jnp.zeros(9)), x)
    half = blend_towards_ends(x, jnp.full(9, -0.5))
    np.testing.assert_allclose(half, (x - 1) / 2, atol=1e-6)


def test_white_and_black_can_still_be_moved_inwards():
    def slope(x, share):
        return jax.grad(lambda s: blend_towards_ends(jnp.array(x), s))(share)

    assert float(slope(1.0, -0.1)) == 2.0
    assert float(slope(-1.0, 0.1)) == 2.0


def test_it_starts_near_the_identity_and_shares_all_other_parameters(generator):
    x = generator.uniform(-1, 1, (1, 16, 16, 3)).astype(np.float32)
    nets = [ResNetGenerator(8, 1, 1, input_skip=skip) for skip in (True, False)]
    params = [net.init(jax.random.key(0), x) for net in nets]
    out = nets[0].apply(params[0], x)
    assert 0 < float(jnp.abs(out - x).mean()) < 0.1
    assert jax.tree.structure(params[0]) == jax.tree.structure(params[1])
    assert float(jnp.abs(nets[1].apply(params[1], x) - x).mean()) > 0.2
