"""Activations of Flax modules against Flax's own capture and closed forms.

The trap of interceptors, an inner `jax.jit` that was traced before, is sprung on
purpose: see `test_an_interceptor_alone_falls_into_the_trap`.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from stylejax.explain.activations import (
    activation_paths,
    edit,
    record,
    with_activations,
)
from stylejax.explain.edits import Add, Scale
from stylejax.explain.marks import mark
from stylejax.models.patch_discriminator import PatchDiscriminator
from stylejax.models.resnet_generator import ResNetGenerator
from stylejax.models.vgg import VGG

NETWORKS = {
    "generator": ResNetGenerator(ngf=4, num_blocks=2),
    "rematerialised generator": ResNetGenerator(ngf=4, num_blocks=2, remat=True),
    "discriminator": PatchDiscriminator(ndf=4, num_layers=2),
    "vgg": VGG(taps=("relu1_2", "conv2_1"), arch="vgg16", width=4),
}


def random_variables(network, *args, seed=0):
    """Variables of random numbers, which compiles nothing."""
    generator = np.random.default_rng(seed)
    shapes = jax.eval_shape(network.init, jax.random.key(0), *args)
    return jax.tree.map(
        lambda s: generator.normal(0, 0.2, s.shape).astype(s.dtype), shapes
    )


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(3).uniform(-1, 1, (2, 1, 16, 16, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def generator(pictures):
    """(network, variables) of the smallest generator."""
    network = ResNetGenerator(ngf=2, num_blocks=1, num_downs=1)
    return network, random_variables(network, pictures[0])


class TwoLayers(nn.Module):
    """`w2 tanh(w1 x)`, in setup style, with one more method."""

    def setup(self):
        self.first = nn.Dense(4, use_bias=False)
        self.second = nn.Dense(1, use_bias=False)

    def __call__(self, x):
        return self.second(self.hidden(x))

    def hidden(self, x):
        return jnp.tanh(self.first(x))

    def _private(self, x):
        return x


@pytest.fixture(scope="module")
def two_layers():
    x = np.array([[0.5, -1.0, 2.0]], np.float32)
    return TwoLayers(), random_variables(TwoLayers(), x), x


# --- reading ------------------------------------------------------------------------


def test_the_listing_has_every_module_in_order(pictures):
    network = NETWORKS["generator"]
    variables = random_variables(network, pictures[0])
    shapes = activation_paths(network, variables, pictures[0])
    inner = [f"block_{i}{part}" for i in (0, 1) for part in ("/conv_0", "/conv_1", "")]
    start, end = ["stem", "down_0", "down_1"], ["up_0", "up_1", "head", "/"]
    assert list(shapes) == [*start, *inner, *end]
    assert shapes["stem"].shape == (1, 16, 16, 4)
    assert shapes["block_1"].shape == shapes["down_1"].shape == (1, 4, 4, 16)
    assert shapes["/"].shape == (1, 16, 16, 3) and shapes["/"].dtype == jnp.float32


@pytest.mark.parametrize("name", NETWORKS)
def test_reading_equals_flax_s_own_capture_and_changes_nothing(name, pictures):
    network = NETWORKS[name]
    variables = random_variables(network, pictures[0])

    @jax.jit
    def both(variables, x):
        captured = network.apply(
            variables, x, capture_intermediates=True, mutable="intermediates"
        )
        return captured, record(network)(variables, x)

    (plain, state), (output, seen) = both(variables, pictures[0])
    jax.tree.map(np.testing.assert_array_equal, output, plain)
    expected = {}
    for path, value in jax.tree_util.tree_leaves_with_path(state["intermediates"]):
        keys = [entry.key for entry in path if hasattr(entry, "key")]
        at = keys.index("__call__")
        tail = "".join(f"[{key}]" for key in keys[at + 1 :])
        expected[("/".join(keys[:at]) or "/") + tail] = value
    assert set(seen) == set(expected)
    jax.tree.map(np.testing.assert_array_equal, seen, expected)


def test_methods_are_named_and_private_ones_and_setup_are_not(two_layers):
    network, variables, x = two_layers
    assert list(activation_paths(network, variables, x)) == [
        *("first", "/.hidden", "second", "/")
    ]
    # A method other than `__call__` may be the one that is applied.
    hidden = lambda v, x: network.apply(v, x, method="hidden")  # noqa: E731
    assert list(record(hidden)(variables, x)[1]) == ["first", "/.hidden"]


class Odd(nn.Module):
    """A shared module, one of several outputs, a mapped one, one in a loop."""

    @nn.compact
    def __call__(self, x):
        shared = nn.Dense(3, name="shared")
        x = shared(shared(x))
        (carry, _), x = nn.OptimizedLSTMCell(3, name="cell")((x, x), x)
        many = nn.vmap(nn.Dense, in_axes=None, axis_size=2, **_SPLIT)
        x = many(3, name="many")(x).sum(axis=0)
        loop = nn.scan(
            lambda module, c, _: (module(c), None),
            variable_broadcast="params",
            split_rngs={"params": False},
            length=2,
        )
        return loop(nn.Dense(3, name="looped"), x, None)[0]


_SPLIT = {"variable_axes": {"params": 0}, "split_rngs": {"params": True}}


@pytest.fixture(scope="module")
def odd():
    x = np.ones((1, 3), np.float32)
    return Odd(), random_variables(Odd(), x), x


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shared", "several arrays have this name; say which: shared#0, shared#1"),
        ("cell", r"say which: cell\[0/0\], cell\[0/1\], cell\[1\]"),
        ("looped", "it is inside a scan"),
        ("shraed#1", "did you mean shared#1"),
        ("first", "expected a name that exists; there are shared#0"),
    ],
)
def test_a_name_that_is_not_one_array_is_refused_in_one_line(odd, name, message):
    network, *args = odd
    for refused in (record(network, names=[name]), edit(network, edits={name: 0.0})):
        with pytest.raises(ValueError, match=message) as error:
            refused(*args)
        assert "\n" not in str(error.value)


def test_a_shared_module_is_edited_call_by_call(odd):
    network, *args = odd
    kernel, bias = (args[0]["params"]["shared"][k] for k in ("kernel", "bias"))
    first = args[1] @ kernel + bias
    edits = {"shared#0": Add(1.0), "many": Scale(0.0)}
    _, seen = jax.jit(with_activations(network))(*args, edits)
    np.testing.assert_allclose(seen["shared#0"], first + 1, rtol=1e-5)
    np.testing.assert_allclose(seen["shared#1"], (first + 1) @ kernel + bias, rtol=1e-5)
    assert seen["many"].shape == (2, 1, 3) and not seen["many"].any()


def test_a_parent_class_s_call_is_the_same_call():
    class Doubled(nn.Dense):
        def __call__(self, x):
            return 2 * super().__call__(x)

    x = np.ones((1, 2), np.float32)
    network = Doubled(2, use_bias=False)
    seen = record(network)({"params": {"kernel": np.eye(2, dtype=np.float32)}}, x)[1]
    assert list(seen) == ["/"]
    np.testing.assert_allclose(seen["/"], 2 * x)


# --- editing ------------------------------------------------------------------------


def test_the_gradient_of_an_additive_edit_is_the_activation_s(two_layers):
    """d/da w2 tanh(a) = w2 (1 - tanh(a)^2), worked out by hand."""
    network, variables, x = two_layers
    run = with_activations(network, names=[])

    @jax.jit
    def gradient(value):
        loss = lambda v: run(variables, x, {"first": Add(v)})[0].sum()  # noqa: E731
        return jax.grad(loss)(value)

    kernels = (variables["params"][k]["kernel"] for k in ("first", "second"))
    first, second = kernels
    expected = second.T * (1 - np.tanh(x @ first) ** 2)
    np.testing.assert_allclose(gradient(np.zeros((1, 4))), expected, rtol=1e-5)


class Recomputed(nn.Module):
    """`w2 tanh(w1 x)` in a block that is rematerialised; compact style."""

    @nn.compact
    def __call__(self, x):
        return nn.remat(TwoLayers)(name="block")(x)


def test_a_gradient_reaches_into_a_rematerialised_block(two_layers):
    """The same as above, two modules deep in a block that is recomputed."""
    _, variables, x = two_layers
    nested = {"params": {"block": variables["params"]}}
    run = with_activations(Recomputed(), names=["block/second"])

    @jax.jit
    def gradient(value):
        loss = lambda v: run(nested, x, {"block/first": Add(v)})[0].sum()  # noqa: E731
        return jax.grad(loss)(value)

    first, second = (variables["params"][k]["kernel"] for k in ("first", "second"))
    expected = second.T * (1 - np.tanh(x @ first) ** 2)
    np.testing.assert_allclose(gradient(np.zeros((1, 4))), expected, rtol=1e-5)


def test_what_all_paths_pass_through_decides_the_output(generator, pictures):
    """With the last block of another picture, the output is that picture's."""
    network, variables = generator

    @jax.jit
    def outputs(one, other):
        output, seen = record(network, names=["block_0"])(variables, other)
        run = with_activations(network, names=[])
        values = jnp.stack([seen["block_0"], jnp.zeros_like(seen["block_0"])])
        return output, jax.lax.map(
            lambda v: run(variables, one, {"block_0": v})[0], values
        )

    expected, (got, without) = outputs(*pictures)
    np.testing.assert_allclose(got, expected, atol=1e-6)
    assert np.abs(without - expected).max() > 1e-3


def test_edits_are_compiled_and_mapped_over_as_arguments(two_layers):
    network, variables, x = two_layers
    run = jax.jit(with_activations(network, names=["first"]))
    masks = jnp.eye(4, dtype=bool)[:, None]
    mapped = jax.vmap(lambda m: run(variables, x, {"first": (m, 0.0)})[0])(masks)
    first, second = (variables["params"][k]["kernel"] for k in ("first", "second"))
    hidden = np.tanh(x @ first)
    expected = [(hidden * (1 - row)) @ second for row in np.eye(4)]
    np.testing.assert_allclose(mapped, expected, rtol=1e-5)


def test_a_function_may_be_an_edit_and_edits_follow_one_another(two_layers):
    network, variables, x = two_layers
    edits = {"first": lambda a: a * 0, "second": Add(3.0)}
    assert edit(network, edits=edits)(variables, x).tolist() == [[3.0]]


# --- any function -------------------------------------------------------------------


def test_it_works_around_a_function_that_pads_crops_and_converts(generator, pictures):
    network, variables = generator

    def translate(image):
        padded = jnp.pad(image * 2 - 1, ((0, 0), (0, 3), (0, 3), (0, 0)), "reflect")
        return (network.apply(variables, padded)[:, :13, :13] + 1) / 2

    @jax.jit
    def outputs(image):
        output, seen = record(translate, names=["head"])(image)
        grey = edit(translate, edits={"head": Scale(0.0)})(image)
        return translate(image), output, seen["head"], grey

    plain, output, head, grey = outputs((pictures[0][:, :13, :13] + 1) / 2)
    np.testing.assert_allclose(output, plain, atol=1e-6)
    assert head.shape == (1, 16, 16, 3)
    np.testing.assert_allclose(output, (np.tanh(head)[:, :13, :13] + 1) / 2, atol=1e-6)
    # tanh(0) is the middle of the range, whatever the picture.
    np.testing.assert_allclose(grey, 0.5)


def test_networks_called_one_after_the_other_and_marks_have_their_names(two_layers):
    network, variables, x = two_layers

    def cycle(x):
        there = network.apply(variables, x)
        there = mark(jnp.tile(there, (1, 3)), name="between")
        return network.apply(variables, there)

    names = list(activation_paths(cycle, x))
    assert names[:5] == ["first#0", "/.hidden#0", "second#0", "/#0", "between"]
    assert names[5:] == ["first#1", "/.hidden#1", "second#1", "/#1"]


def test_an_interceptor_alone_falls_into_the_trap(two_layers):
    """The test of the test below: JAX reuses the trace, and nothing is seen."""
    network, variables, x = two_layers
    apply = jax.jit(network.apply)
    apply(variables, x)
    seen = []
    with nn.intercept_methods(lambda f, a, k, c: (seen.append(c), f(*a, **k))[1]):
        apply(variables, x)
    assert seen == []


@pytest.mark.parametrize(
    "wrap", [jax.jit, lambda f: jax.jit(jax.jit(f)), jax.checkpoint]
)
def test_a_program_traced_before_is_read_and_edited_all_the_same(two_layers, wrap):
    network, variables, x = two_layers
    apply = wrap(network.apply)
    plain = apply(variables, x)
    fn = lambda x: apply(variables, x) + 1  # noqa: E731
    output, seen = with_activations(fn)(x, {"second": Add(10.0)})
    np.testing.assert_allclose(output, plain + 11, rtol=1e-6)
    np.testing.assert_allclose(
        seen["first"], x @ variables["params"]["first"]["kernel"], rtol=1e-5
    )
    # Nor is the caller's own program touched, though it was traced with marks.
    np.testing.assert_array_equal(apply(variables, x), plain)
    assert edit(fn, edits={"second": Add(20.0)})(x) == pytest.approx(plain + 21)


def test_a_program_without_its_python_function_is_refused(two_layers):
    """Where nothing can be seen, it is said, and what to do."""
    network, variables, x = two_layers
    frozen = jax.make_jaxpr(lambda x: network.apply(variables, x))(x)
    fn = lambda x: jax.extend.core.jaxpr_as_fun(frozen)(x)[0]  # noqa: E731
    for refused in (record(fn), edit(fn, edits={"first": 0.0})):
        with pytest.raises(ValueError, match="none ran .* the Python function itself"):
            refused(x)
    with pytest.raises(ValueError, match="none ran"):
        activation_paths(lambda x: x + 1, x)


def test_forgotten_edits_are_refused(two_layers):
    network, variables, x = two_layers
    with pytest.raises(TypeError, match="edits: expected a dictionary .* got ndarray"):
        with_activations(network)(variables, x)
