"""The multi-style network: its published size, and that styles are rows."""

import jax
import jax.numpy as jnp
import numpy as np

from stylejax.models.multistyle_generator import MultiStyleGenerator

KEY = jax.random.key(0)


def norms(params):
    return [x for name, x in params.items() if name.endswith("_norm")]


def test_a_style_has_the_published_number_of_parameters():
    image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    weights = jax.ShapeDtypeStruct((1, 7), jnp.float32)
    network = MultiStyleGenerator(7)
    variables = jax.eval_shape(network.init, KEY, image, weights)
    leaves = jax.tree.leaves(norms(variables["params"]))
    assert {leaf.shape[0] for leaf in leaves} == {7}
    assert sum(leaf.size for leaf in leaves) == 7 * 3206
    found = jax.eval_shape(network.apply, variables, image, weights)
    assert found.shape == image.shape


def test_a_style_is_a_row_and_a_mixture_mixes_rows(generator):
    network = MultiStyleGenerator(3, width=4, num_blocks=1)
    image = jnp.float32(generator.random((1, 16, 16, 3)))
    variables = network.init(KEY, image, jnp.ones((1, 3)))
    params = jax.tree.map(
        lambda x: jnp.float32(x + generator.normal(0, 0.3, x.shape)),
        variables["params"],
    )

    def painted(*weights):
        return network.apply({"params": params}, image, jnp.array([weights]))

    rows = [painted(*row) for row in np.eye(3)]
    assert float(jnp.abs(rows[0] - rows[1]).mean()) > 1e-3
    alone = MultiStyleGenerator(1, width=4, num_blocks=1)
    for i, row in enumerate(rows):
        taken = {
            name: jax.tree.map(lambda x, i=i: x[i : i + 1], leaf)
            if name.endswith("_norm")
            else leaf
            for name, leaf in params.items()
        }
        found = alone.apply({"params": taken}, image, jnp.ones((1, 1)))
        np.testing.assert_allclose(found, row, atol=1e-5)
    mean = {
        name: jax.tree.map(lambda x: x[:2].mean(0, keepdims=True), leaf)
        if name.endswith("_norm")
        else leaf
        for name, leaf in params.items()
    }
    found = alone.apply({"params": mean}, image, jnp.ones((1, 1)))
    np.testing.assert_allclose(found, painted(0.5, 0.5, 0.0), atol=1e-5)


def test_pictures_of_a_batch_have_styles_of_their_own(generator):
    network = MultiStyleGenerator(2, width=4, num_blocks=1)
    images = jnp.float32(generator.random((2, 12, 12, 3)))
    variables = network.init(KEY, images, jnp.eye(2))
    params = jax.tree.map(
        lambda x: jnp.float32(x + generator.normal(0, 0.3, x.shape)), variables
    )
    both = network.apply(params, images, jnp.eye(2))
    for i in range(2):
        alone = network.apply(params, images[i : i + 1], jnp.eye(2)[i : i + 1])
        np.testing.assert_allclose(both[i], alone[0], atol=1e-5)
