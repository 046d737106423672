"""Every generator and discriminator, by name: one row per member of each family."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.models import translation

GENERATORS = {
    "resnet": {"kind": "resnet", "num_downs": 2},
    "resnet_resize": {"kind": "resnet", "num_downs": 2, "upsample": "resize"},
    "resnet_remat": {"kind": "resnet", "num_downs": 2, "remat": True},
    "resnet_skips": {"kind": "resnet", "num_downs": 2, "skips": True},
    "resnet_deep": {"kind": "resnet", "num_downs": 3},
    "unet": {"kind": "unet", "num_downs": 4},
}
DISCRIMINATORS = {
    "patch1": {"kind": "patch", "num_layers": 1},
    "patch2": {"kind": "patch", "num_layers": 2},
    "pixel": {"kind": "pixel", "num_layers": 0},
}


def generator_of(name, **more):
    return translation.make_generator(ngf=4, num_blocks=1, **GENERATORS[name] | more)


def init_and_apply(net, x):
    params = translation.initial_params(jax.random.key(0), net, image_size=32)
    return {"params": params}, jax.jit(net.apply)


@pytest.fixture
def pictures(generator):
    return generator.uniform(-1, 1, (2, 16, 32, 3)).astype(np.float32)


@pytest.mark.parametrize("name", GENERATORS)
def test_generators_keep_shape_and_range_and_treat_pictures_alone(name, pictures):
    variables, apply = init_and_apply(generator_of(name), pictures)
    out = apply(variables, pictures)
    assert out.shape == pictures.shape
    assert out.dtype == jnp.float32
    assert float(jnp.abs(out).max()) <= 1.0
    # Without a norm over the batch a picture's output is its own.
    alone = apply(variables, pictures[1:])
    np.testing.assert_allclose(out[1:], alone, atol=1e-5)


@pytest.mark.parametrize("name", GENERATORS)
def test_generators_in_bfloat16_stay_close(name, pictures):
    variables, apply = init_and_apply(generator_of(name), pictures)
    narrow = jax.jit(generator_of(name, dtype="bfloat16").apply)
    out = narrow(variables, pictures)
    assert out.dtype == jnp.float32
    assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(variables))
    np.testing.assert_allclose(out, apply(variables, pictures), atol=0.05)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_discriminators_give_one_logit_per_patch(name, pictures):
    row = DISCRIMINATORS[name]
    net = translation.make_discriminator(ndf=4, **row)
    variables, apply = init_and_apply(net, pictures)
    stride = 2 ** row["num_layers"]
    lost = 0 if row["kind"] == "pixel" else 2
    expected = (2, 16 // stride - lost, 32 // stride - lost, 1)
    assert apply(variables, pictures).shape == expected


def test_rematerialisation_changes_no_number(pictures):
    plain, checkpointed = generator_of("resnet"), generator_of("resnet_remat")
    variables, _ = init_and_apply(plain, pictures)

    def gradient(net):
        return jax.jit(jax.grad(lambda v: jnp.sum(net.apply(v, pictures) ** 2)))

    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5),
        gradient(plain)(variables),
        gradient(checkpointed)(variables),
    )


def test_reference_sizes():
    x = jnp.zeros((1, 256, 256, 3))
    generator = translation.make_generator("resnet", ngf=64, num_blocks=9, num_downs=2)
    judge = translation.make_discriminator("patch", ndf=64, num_layers=3)
    sizes = []
    for net in (generator, judge):
        shapes = jax.eval_shape(net.init, jax.random.key(0), x)
        sizes.append(sum(leaf.size for leaf in jax.tree.leaves(shapes)))
    logits = jax.eval_shape(lambda: judge.init_with_output(jax.random.key(0), x)[0])
    assert sizes == [11_378_179, 2_764_737]
    assert logits.shape == (1, 30, 30, 1)


@pytest.mark.parametrize(("kind", "halvings"), [("resnet", 2), ("unet", 7)])
def test_default_halvings(kind, halvings):
    assert translation.num_halvings(kind, image_size=128) == halvings


def test_unknown_names_list_what_exists():
    with pytest.raises(ValueError, match="generator: expected one of resnet, unet"):
        translation.make_generator("vit", ngf=4, num_blocks=1, num_downs=2)
    with pytest.raises(ValueError, match="discriminator: expected one of patch, pixel"):
        translation.make_discriminator("style", ndf=4, num_layers=1)
    with pytest.raises(ValueError, match="dtype: expected one of float32, bfloat16"):
        translation.make_discriminator("patch", ndf=4, num_layers=1, dtype="int8")
    net = translation.make_generator(
        "resnet", ngf=4, num_blocks=1, num_downs=1, upsample="bilinear"
    )
    with pytest.raises(ValueError, match="upsample: expected one of transpose, resize"):
        net.init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)))


def test_initial_parameters_are_those_of_the_modules_own_kind():
    net = generator_of("resnet")
    draw = jax.jit(lambda key: translation.initial_params(key, net, image_size=32))
    params = draw(jax.random.key(0))
    x = jnp.zeros((1, 32, 32, 3))
    expected = jax.eval_shape(net.init, jax.random.key(0), x)["params"]
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, expected)
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        assert leaf.dtype == jnp.float32
        if path[-1].key == "bias":
            assert not leaf.any()
    kernel = np.ravel(params["block_0"]["conv_0"]["kernel"]) / 0.02
    assert abs(kernel.mean()) < 0.1 and abs(kernel.std() - 1) < 0.1
    assert 0.02 < np.mean(np.abs(kernel) > 2) < 0.08
    # No kernel is a copy of another, and another key draws others.
    firsts = [leaf.ravel()[:4] for leaf in jax.tree.leaves(params) if leaf.ndim > 1]
    assert len(np.unique(np.round(firsts, 6), axis=0)) == len(firsts)
    other = draw(jax.random.key(1))["stem"]["kernel"]
    assert np.abs(other - params["stem"]["kernel"]).min() > 0
