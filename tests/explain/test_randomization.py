"""The check must pass what looks at the network, and fail what looks at the picture."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from stylejax.explain.baselines import blur_baseline
from stylejax.explain.controls import sobel_explainer
from stylejax.explain.paths import average_gradient
from stylejax.explain.random_params import randomize_params
from stylejax.explain.randomization import compare_maps, randomization_check

KEY = jax.random.key(3)
SIDE, WIDTH, DEPTH = 10, 24, 5


@jax.custom_vjp
def guided_relu(x):
    """Its gradient passes where input and gradient are positive: guided backprop."""
    return jax.nn.relu(x)


guided_relu.defvjp(
    lambda x: (guided_relu(x), x), lambda x, g: (g * ((x > 0) & (g > 0)),)
)


def network(params, images, activation):
    x = images
    for name, layer in params.items():
        x = jax.lax.conv_general_dilated(
            x,
            layer["kernel"],
            (1, 1),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        x = x if name == f"conv_{DEPTH - 1}" else activation(x)
    return x


def random_network(seed):
    generator = np.random.default_rng(seed)
    widths = [3, *[WIDTH] * (DEPTH - 1), 3]
    shapes = [(3, 3, widths[i], widths[i + 1]) for i in range(DEPTH)]
    scales = [np.sqrt(2 / np.prod(s[:3])) for s in shapes]
    return {
        f"conv_{i}": {"kernel": generator.normal(0, scale, shape).astype(np.float32)}
        for i, (scale, shape) in enumerate(zip(scales, shapes, strict=True))
    }


PARAMS = random_network(0)
PROBE = np.random.default_rng(1).normal(size=(1, SIDE, SIDE, 3)).astype(np.float32)


def projection(params, images, activation=jax.nn.relu):
    """The target: one fixed random projection of what the network paints."""
    return (network(params, images, activation) * PROBE).sum(axis=(1, 2, 3))


@jax.jit
def gradient(params, image):
    return jax.grad(lambda x: projection(params, x[None]).sum())(image)


@jax.jit
def guided(params, image):
    return jax.grad(lambda x: projection(params, x[None], guided_relu).sum())(image)


@jax.jit
def integrated(params, image):
    start = blur_baseline(image)
    slope = average_gradient(
        lambda x: projection(params, x), image, start, num_steps=2, chunk=1
    )
    return (image - start) * slope


@jax.jit
def leaf(params, image):
    """A map whose answer is known: parameters, added to the picture."""
    return params["a"]["kernel"] + params["b"] + params["c"] + image


LEAVES = {
    "a": {"kernel": np.random.default_rng(2).normal(size=(4, 5, 1)).astype("float32")},
    "b": np.full((1, 1, 1), 1.5, np.float32),
    "c": np.random.default_rng(3).normal(size=(4, 5, 1)).astype("float32"),
}
DARK = np.zeros((2, 4, 5, 1), np.float32)


def stripes(seed):
    """A picture of two waves and an edge per channel."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    a = np.random.default_rng(seed).uniform(-9, 9, size=(3, 4))
    planes = [
        0.5 + 0.25 * np.sin(p * x + q * y) + 0.12 * np.sign(np.sin(r * x + s * y))
        for p, q, r, s in a
    ]
    return np.stack(planes, axis=-1).astype(np.float32)


IMAGES = np.stack([stripes(seed) for seed in range(3)])


@pytest.fixture(scope="module")
def inputs():
    """`x - x'`, the reference."""
    return IMAGES - np.asarray(jax.vmap(blur_baseline)(jnp.asarray(IMAGES)))


def checked(
    explain_fn, reference, *, params=PARAMS, multiplied=False, num_draws=5, **options
):
    return randomization_check(
        KEY,
        explain_fn,
        params,
        IMAGES,
        reference=reference,
        multiplied=multiplied,
        num_draws=num_draws,
        **options,
    )


@pytest.fixture(scope="module")
def of_gradient(inputs):
    return checked(gradient, inputs, layers=["conv_4"])


@pytest.fixture(scope="module")
def of_guided(inputs):
    return checked(guided, inputs, layers=["conv_4"])


# --- verdicts ------------------------------------------------------------------------


def test_gradients_pass(of_gradient):
    assert of_gradient.passes
    last = of_gradient.stages[-1]
    assert abs(last.signed.mean) < 0.05
    low, high = last.signed.interval
    assert low < last.signed.mean < high


def test_edges_fail(inputs):
    found = checked(sobel_explainer, inputs, num_draws=2)
    np.testing.assert_allclose(found.stages[-1].signed.values, 1, rtol=1e-6)
    np.testing.assert_allclose(found.stages[-1].absolute.values, 1, rtol=1e-6)
    assert not found.passes
    as_multiplied = dataclasses.replace(found, multiplied=True)
    assert as_multiplied.excess.mean > 0.5
    assert not as_multiplied.passes


def test_guided_backpropagation_fails(of_guided, of_gradient):
    """It recovers the picture: its maps are like `x - x'`, whatever the parameters."""
    last = of_guided.stages[-1]
    assert last.signed.mean > 0.2
    assert last.signed.interval.low > of_gradient.stages[-1].signed.interval.high
    assert last.absolute.mean > 0.2
    assert not of_guided.passes
    assert of_guided.reference.signed.mean > 0.2
    assert abs(of_gradient.reference.signed.mean) < 0.1


def test_another_network_has_the_same_verdicts(inputs):
    """Here it is the likeness without signs that gives guided backpropagation away."""
    params = random_network(5)
    assert checked(gradient, inputs, params=params).passes
    assert not checked(guided, inputs, params=params).passes


def test_random_output_layers_hardly_change_guided_backpropagation(
    of_guided, of_gradient
):
    """What made it the published warning."""
    assert of_guided.stages[0].signed.mean > 0.6
    assert abs(of_gradient.stages[0].signed.mean) < 0.2


def test_multiplied_maps_pass_by_their_excess_and_would_fail_without(inputs):
    """Integrated gradients stay like `x - x'`, since they are multiplied by it."""
    found = checked(integrated, inputs, multiplied=True, num_draws=2)
    assert found.stages[-1].absolute.mean > 0.3
    assert found.reference.absolute.mean > 0.5
    assert found.passes
    assert found.excess.interval.high < 0.05


def test_signs_that_flip_do_not_hide_the_picture():
    """A picture times a random sign: the signed likeness cancels, the other not."""

    def flipping(params, image):
        return jnp.sign(params[0]) * image

    images = DARK + LEAVES["a"]["kernel"]
    found = randomization_check(
        jax.random.key(4),
        flipping,
        np.float32([1, -1]),
        images,
        reference=images[:, ::-1],
        multiplied=False,
        num_draws=24,
    )
    last = found.stages[-1]
    assert abs(last.signed.mean) <= 0.2
    assert last.signed.magnitude == pytest.approx(1)
    assert last.absolute.mean == pytest.approx(1)
    assert not found.passes


# --- what is compared with what ------------------------------------------------------


def rank_correlation(x, y):
    return scipy.stats.spearmanr(np.ravel(x), np.ravel(y))[0]


@pytest.fixture(scope="module")
def of_leaf():
    reference = np.random.default_rng(4).normal(size=DARK.shape).astype(np.float32)
    check = randomization_check(
        KEY,
        leaf,
        LEAVES,
        DARK,
        reference=reference,
        multiplied=False,
        layers=["b", "c", "a"],
        num_draws=3,
    )
    return check, reference


def test_the_numbers_are_scipy_s_on_maps_of_randomized_parameters(of_leaf):
    check, reference = of_leaf
    before = np.asarray(leaf(LEAVES, DARK[0]))
    last = check.stages[-1]
    for i, key in enumerate(jax.random.split(KEY, 3)):
        after = np.asarray(leaf(randomize_params(key, LEAVES), DARK[0]))
        signed = rank_correlation(before, after)
        absolute = rank_correlation(np.abs(before), np.abs(after))
        np.testing.assert_allclose(last.signed.values[i], signed, atol=1e-5)
        np.testing.assert_allclose(last.absolute.values[i], absolute, atol=1e-5)
    against = [rank_correlation(before, r) for r in reference]
    np.testing.assert_allclose(check.reference.signed.values[0], against, atol=1e-5)


def test_a_cascade_keeps_what_is_random(of_leaf):
    check, _ = of_leaf
    only_b, b_and_c, three, everything = check.stages
    assert [s.name for s in check.stages] == ["b", "c", "a", "all"]
    np.testing.assert_allclose(only_b.signed.values, 1, rtol=1e-6)
    assert np.abs(b_and_c.signed.values - everything.signed.values).min() > 1e-3
    np.testing.assert_array_equal(three.signed.values, everything.signed.values)
    assert everything.signed.values.shape == (3, 2)


def test_independent_layers_are_random_alone():
    check = randomization_check(
        KEY,
        leaf,
        LEAVES,
        DARK,
        reference=DARK,
        multiplied=False,
        layers=["a", "b"],
        mode="independent",
        draw="permutation",
        num_draws=3,
    )
    only_a, only_b, _ = (s.signed.values for s in check.stages)
    before = leaf(LEAVES, DARK[0])
    for i, key in enumerate(jax.random.split(KEY, 3)):
        new = randomize_params(key, LEAVES, names=["a"], draw="permutation")
        after = leaf(new, DARK[0])
        expected = rank_correlation(before, after)
        np.testing.assert_allclose(only_a[i], expected, atol=1e-5)
    np.testing.assert_allclose(only_b, 1, rtol=1e-6)
    # A reference that is constant has no rank correlation, and nothing passes by it.
    assert np.isnan(check.reference.signed.mean)
    assert not check.passes


def test_stacked_networks_and_chunks_change_nothing(of_leaf):
    check, reference = of_leaf
    other = randomization_check(
        KEY,
        leaf,
        LEAVES,
        DARK,
        reference=reference,
        multiplied=False,
        layers=["b", "c", "a"],
        num_draws=3,
        chunk=1,
        stack=4,
    )
    for first, second in zip(check.stages, other.stages, strict=True):
        np.testing.assert_allclose(first.signed.values, second.signed.values, atol=1e-6)


def test_only_the_pixels_of_the_mask_are_compared():
    """A map that is zero outside a box for any parameters looks like itself."""
    inside = np.zeros((4, 5), bool)
    inside[1, 1:3] = inside[2, 3] = True

    @jax.jit
    def local(params, image):
        return jnp.where(inside[..., None], jnp.abs(params["a"]["kernel"]), 0) + image

    after = compare_maps(
        local,
        LEAVES,
        {**LEAVES, "a": {"kernel": -LEAVES["a"]["kernel"][::-1]}},
        DARK,
        reference=DARK + LEAVES["a"]["kernel"],
        multiplied=False,
    )
    assert after.stages[0].signed.mean > 0.7
    masked = compare_maps(
        local,
        LEAVES,
        {**LEAVES, "a": {"kernel": -LEAVES["a"]["kernel"][::-1]}},
        DARK,
        reference=DARK + LEAVES["a"]["kernel"],
        multiplied=False,
        mask=inside,
    )
    before = np.abs(LEAVES["a"]["kernel"])
    expected = rank_correlation(before[inside], before[::-1][inside])
    np.testing.assert_allclose(masked.stages[0].signed.values, expected, atol=1e-6)
    against = rank_correlation(before[inside], LEAVES["a"]["kernel"][inside])
    np.testing.assert_allclose(masked.reference.signed.values, against, atol=1e-6)


def test_maps_of_two_sets_of_parameters(inputs):
    """Networks that were trained differently; the same one is like itself."""
    options = {"reference": inputs, "multiplied": False}
    same = compare_maps(gradient, PARAMS, PARAMS, IMAGES, **options)
    assert not same.passes
    np.testing.assert_allclose(same.stages[0].signed.values, 1, rtol=1e-6)
    assert [s.name for s in same.stages] == ["other"]
    other = compare_maps(gradient, PARAMS, random_network(1), IMAGES, **options)
    assert other.passes
    maps = [np.asarray(gradient(p, IMAGES[2])) for p in (PARAMS, random_network(1))]
    found = other.stages[0].signed.values[0, 2]
    assert found == pytest.approx(rank_correlation(*maps), abs=1e-3)


# --- mistakes ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"mode": "random"}, "expected one of cascading, independent"),
        ({"draw": "uniform"}, "expected one of normal, permutation"),
        ({"num_draws": 0}, "num_draws: expected a number above 0"),
        ({"layers": ["d"]}, "got 'd', which none has; at the top there are a, b"),
        ({"mask": np.ones((4, 4))}, "mask: expected shape \\(4, 5\\)"),
        ({"mask": np.zeros((4, 5))}, "mask: expected two pixels or more, got 0"),
        ({"reference": DARK[0]}, "reference: expected a map of the input for each"),
        ({"images": DARK[0]}, "images: expected pictures"),
        ({"explain_fn": lambda p, x: x.sum()}, "explain_fn: expected a map of shape"),
    ],
)
def test_mistakes_end_in_one_line(options, match):
    given = {"explain_fn": leaf, "images": DARK, "reference": DARK, **options}
    explain_fn, images = given.pop("explain_fn"), given.pop("images")
    with pytest.raises(ValueError, match=match) as e:
        randomization_check(KEY, explain_fn, LEAVES, images, multiplied=False, **given)
    assert "\n" not in str(e.value)
