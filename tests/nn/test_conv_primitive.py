"""The primitive: derivatives of every kind, vmap, platforms, shards; against XLA's."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from stylejax.nn import conv_choice, conv_forms
from stylejax.nn.conv_primitive import convolve

CASES = [
    ((6, 5), 3, 1, ((1, 1), (1, 1)), 1),
    ((7, 6), 4, 2, ((1, 1), (1, 1)), 1),
    ((4, 3), 3, 1, ((1, 2), (1, 2)), 2),
]


@pytest.fixture(params=CASES, ids=str)
def both(request, monkeypatch):
    """Ours and XLA's convolution, an input and a kernel."""
    for name in (
        "LEAST_WORK",
        "LEAST_CHANNELS",
        "WINOGRAD_CHANNELS",
        "WINOGRAD_TILES",
        "GRADIENT_TILES",
    ):
        monkeypatch.setattr(conv_choice, name, 0)
    size_hw, k, stride, padding, dilation = request.param
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    x = jax.random.normal(jax.random.key(0), (2, *size_hw, 3))
    kernel = jax.random.normal(jax.random.key(1), (k, k, 3, 2))
    functions = [functools.partial(f, **options) for f in (convolve, conv_forms.plain)]
    return functions, x, kernel


def assert_alike(both, transform, *args):
    found, expected = (jax.jit(transform(fn))(*args) for fn in both)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4 * float(jnp.abs(b).max() + 1))


def curved(fn):
    return lambda x, k: jnp.sin(fn(x, k)).sum()


def gradients(fn):
    return jax.grad(curved(fn), argnums=(0, 1))


def squares(fn):
    return lambda *args: sum((leaf**2).sum() for leaf in gradients(fn)(*args))


def test_values_and_both_gradients(both):
    functions, *args = both
    assert_alike(functions, lambda fn: fn, *args)
    assert_alike(functions, gradients, *args)


def test_forward_mode(both):
    functions, *args = both
    tangents = tuple(z[::-1] for z in args)
    assert_alike(functions, lambda fn: lambda *a: jax.jvp(fn, a, tangents)[1], *args)


def test_second_derivatives(both):
    functions, *args = both
    tangents = tuple(z[::-1] for z in args)
    forward = lambda fn: lambda *a: jax.jvp(gradients(fn), a, tangents)[1]  # noqa: E731
    assert_alike(functions, forward, *args)
    assert_alike(functions, lambda fn: jax.grad(squares(fn), argnums=(0, 1)), *args)


def test_hessian(both):
    functions, x, kernel = both
    few = x[:1, :3, :2, :1]

    def of_few(fn):
        whole = lambda part: curved(fn)(x.at[:1, :3, :2, :1].set(part), kernel)  # noqa: E731
        return jax.hessian(whole)

    assert_alike(functions, of_few, few)


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0), (2, 1)])
def test_vmap_of_values_and_gradients(both, axes):
    functions, *args = both
    stacked = [
        z if axis is None else jnp.stack([z, 2 * z, z + 1], axis=axis)
        for z, axis in zip(args, axes, strict=True)
    ]
    assert_alike(functions, lambda fn: jax.vmap(fn, axes), *stacked)
    assert_alike(functions, lambda fn: jax.vmap(gradients(fn), axes), *stacked)
    assert_alike(functions, lambda fn: jax.vmap(gradients(fn), axes, 1), *stacked)


def test_it_runs_without_jit(both):
    (ours, theirs), *args = both
    np.testing.assert_allclose(ours(*args), theirs(*args), atol=1e-4)


def lowered_for(platform):
    x, kernel = jnp.zeros((1, 64, 64, 64)), jnp.zeros((3, 3, 64, 64))
    traced = jax.jit(jax.grad(lambda x, k: convolve(x, k).sum(), (0, 1))).trace(
        x, kernel
    )
    return traced.lower(lowering_platforms=(platform,)).as_text()


def test_gpu_and_tpu_keep_their_own_convolution(monkeypatch):
    monkeypatch.delenv(conv_choice.SWITCH, raising=False)
    for platform in ("cuda", "rocm", "tpu"):
        text = lowered_for(platform)
        assert "stablehlo.convolution" in text
        assert "optimization_barrier" not in text and "dot_general" not in text
    assert "dot_general" in lowered_for("cpu")


def test_precision_around_the_call_is_kept():
    x, kernel = jnp.zeros((1, 4, 4, 1)), jnp.zeros((3, 3, 1, 1))

    def high(x, kernel):
        with jax.default_matmul_precision("highest"):
            return convolve(x, kernel)

    text = jax.jit(high).trace(x, kernel).lower(lowering_platforms=("tpu",)).as_text()
    assert "HIGHEST" in text
    text = (
        jax.jit(convolve).trace(x, kernel).lower(lowering_platforms=("tpu",)).as_text()
    )
    assert "HIGHEST" not in text


def test_shards_of_pictures_give_what_one_device_gives(both):
    (ours, _), x, kernel = both
    x = jnp.concatenate([x, 2 * x])
    mesh = Mesh(np.array(jax.devices()), ("data",))
    rows, all_of_it = PartitionSpec("data"), PartitionSpec()
    expected = gradients(ours)(x, kernel)

    @functools.partial(
        jax.shard_map,
        mesh=mesh,
        in_specs=(rows, all_of_it),
        out_specs=(rows, all_of_it),
    )
    def sharded(x, kernel):
        by_x, by_kernel = gradients(ours)(x, kernel)
        return by_x, by_kernel

    placed = jax.device_put(x, jax.sharding.NamedSharding(mesh, rows))
    for found in (jax.jit(gradients(ours))(placed, kernel), sharded(x, kernel)):
        for a, b in itertools.zip_longest(found, expected):
            np.testing.assert_allclose(a, b, atol=2e-5 * float(jnp.abs(b).max()))


def test_half_precision_stays_half_precision():
    x = jnp.ones((1, 5, 5, 2), jnp.bfloat16)
    kernel = jnp.ones((3, 3, 2, 4), jnp.bfloat16)
    assert convolve(x, kernel).dtype == jnp.bfloat16
    assert jax.grad(lambda k: convolve(x, k).sum())(kernel).dtype == jnp.bfloat16
