"""The averaged gradient: pure, chunked at constant memory, compiled once."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain.paths import PROBES, StraightPath, average_gradient
from stylejax.explain.quadrature import RULES
from stylejax.explain.targets import region_mean

RED = region_mean("red", box=(8, 8, 12, 12))


def cubic(images):
    return (images**3).sum(axis=(1, 2, 3))


def network(images):
    """A norm between two convolutions, enough to need memory for its gradient."""
    first, last = (
        jax.random.normal(jax.random.key(0), (3, 3, *channels))
        for channels in ((3, 16), (16, 3))
    )
    conv = functools.partial(
        jax.lax.conv_general_dilated,
        window_strides=(1, 1),
        padding="SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    hidden = conv(images, first)
    mean = hidden.mean(axis=(1, 2), keepdims=True)
    hidden = jax.nn.silu((hidden - mean) / (hidden - mean).std())
    return RED(conv(hidden, last))


def temporary_bytes(fn, image, *, num_steps, chunk=None):
    """What XLA sets aside besides arguments and results."""
    averaged = functools.partial(average_gradient, fn, num_steps=num_steps, chunk=chunk)
    compiled = jax.jit(averaged).lower(image, image).compile()
    return compiled.memory_analysis().temp_size_in_bytes


def counted(fn):
    """The function, and a list that grows whenever Python runs through it."""
    traces = []

    def counting(images):
        traces.append(images.shape)
        return fn(images)

    return counting, traces


# --- what is averaged ---------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
def test_against_numpy_node_by_node(rule):
    """Gradient of the cube, 3 p^2, at 4 points between two pictures."""
    image = jax.random.uniform(jax.random.key(0), (3, 4, 2))
    baseline = jax.random.uniform(jax.random.key(1), (3, 4, 2))
    alphas, weights = RULES[rule](4)
    points = [(1 - a) * np.asarray(baseline) + a * np.asarray(image) for a in alphas]
    expected = sum(w * 3 * p**2 for w, p in zip(weights, points, strict=True))
    averaged = average_gradient(cubic, image, baseline, num_steps=4, rule=rule)
    np.testing.assert_allclose(averaged, expected, rtol=1e-5)


def test_a_scalar_function_and_one_of_a_batch_are_the_same():
    image = jax.random.uniform(jax.random.key(0), (3, 4, 2))
    per_example, scalar = (
        average_gradient(fn, image, image * 0, num_steps=8)
        for fn in (cubic, lambda x: cubic(x).sum())
    )
    np.testing.assert_array_equal(per_example, scalar)


def test_points_of_a_chunk_do_not_see_each_other():
    """A function that mixes its batch is given one picture at a time all the same."""

    def mixes(images):
        return cubic(images - images.mean(axis=0, keepdims=True) / 2)

    image = jax.random.uniform(jax.random.key(0), (3, 4, 2))
    together, alone = (
        average_gradient(mixes, image, image * 0, num_steps=8, chunk=chunk)
        for chunk in (8, 1)
    )
    np.testing.assert_allclose(together, alone, rtol=1e-5)
    np.testing.assert_allclose(together, image**2 / 8, rtol=1e-5)


def test_half_precision_functions_are_averaged_in_float32():
    def half(images):
        return cubic(images.astype(jnp.bfloat16))

    image = jax.random.uniform(jax.random.key(0), (3, 4, 2))
    averaged = average_gradient(half, image, image * 0, num_steps=8)
    assert averaged.dtype == jnp.float32
    np.testing.assert_allclose(averaged, image**2, rtol=0.03, atol=0.01)


def test_chunks_and_their_padding_change_nothing(picture):
    """Acceptance (f). 20 steps in chunks of 3 and 8 need padding."""
    maps = [
        average_gradient(network, picture, 1 - picture, num_steps=20, chunk=chunk)
        for chunk in (20, 8, 3, 1)
    ]
    scale = float(jnp.abs(maps[0]).max())
    for other in maps[1:]:
        np.testing.assert_allclose(other / scale, maps[0] / scale, atol=1e-5)


# --- pure: what the future explain room builds on -----------------------------------


def test_jit_is_the_same(picture):
    averaged = functools.partial(average_gradient, cubic, num_steps=8)
    np.testing.assert_allclose(
        jax.jit(averaged)(picture, picture * 0),
        averaged(picture, picture * 0),
        rtol=1e-6,
    )


def test_vmap_over_targets(picture):
    """Three colours at once: each moves its own channel alone."""

    def colour(selector):
        def fn(images):
            return (images**2 * selector[None, None, None]).mean(axis=(1, 2, 3))

        return average_gradient(fn, picture, picture * 0, num_steps=4)

    maps = jax.vmap(colour)(jnp.eye(3))
    for index in range(3):
        np.testing.assert_allclose(
            maps[index, :, :, index], picture[:, :, index] / picture.size, rtol=1e-5
        )
        assert float(jnp.abs(maps[index]).sum(axis=(0, 1))[index - 1]) == 0


def test_vmap_over_baselines(picture):
    baselines = jnp.stack([picture * 0, picture / 2])
    averaged = jax.vmap(
        lambda start: average_gradient(cubic, picture, start, num_steps=4)
    )(baselines)
    for start, got in zip(baselines, averaged, strict=True):
        exact = picture**2 + picture * start + start**2
        np.testing.assert_allclose(got, exact, rtol=1e-5)


def test_it_can_be_differentiated():
    """Of 3 x^2 averaged from zero, x^2: twice x."""
    image = jnp.full((1, 1, 1), 0.5)
    slope = jax.grad(lambda x: average_gradient(cubic, x, x * 0, num_steps=4).sum())(
        image
    )
    assert float(slope[0, 0, 0]) == pytest.approx(1.0, abs=1e-5)


def test_double_precision_stays_double():
    with jax.enable_x64(True):
        image = jnp.linspace(0.0, 1.0, 12).reshape(2, 2, 3)
        assert image.dtype == jnp.float64
        averaged = average_gradient(cubic, image, image * 0, num_steps=2)
        np.testing.assert_allclose(averaged, image**2, rtol=1e-14)


# --- constant memory ----------------------------------------------------------------


def test_memory_is_constant_in_the_number_of_steps(picture):
    """The issue's own acceptance: XLA's memory analysis at 32, 128 and 512 steps."""
    used = [temporary_bytes(network, picture, num_steps=n) for n in (32, 128, 512)]
    assert used[0] == used[1] == used[2] > 0


def test_memory_grows_where_all_steps_are_one_chunk(picture):
    """The test of the test above: without chunks the analysis does show it."""
    small, large = (
        temporary_bytes(network, picture, num_steps=n, chunk=n) for n in (16, 64)
    )
    assert large > 3 * small


def test_chunks_shrink_with_large_pictures():
    """Per step the default holds 16 small pictures, two of 256 x 256, one of 512."""

    def chunk(side):
        shapes = []

        def fn(images):
            return cubic(images)

        def spy(images):
            jaxpr = jax.make_jaxpr(
                functools.partial(average_gradient, fn, num_steps=32)
            )(images, images)
            (scan,) = [e for e in jaxpr.eqns if e.primitive.name == "scan"]
            shapes.extend(v.aval.shape for v in scan.invars)
            return images

        jax.eval_shape(spy, jax.ShapeDtypeStruct((side, side, 3), "float32"))
        return [shape for shape in shapes if len(shape) == 2]

    assert chunk(64) == [(2, 16)]
    assert chunk(128) == [(4, 8)]
    assert chunk(256) == [(16, 2)]
    assert chunk(512) == [(32, 1)]


# --- compiled paths -----------------------------------------------------------------


def straight(fn, image, *, num_steps=8, chunk=None, rule="gauss_legendre"):
    return StraightPath(
        fn, image, image * 0, num_steps=num_steps, rule=rule, chunk=chunk
    )


def test_a_path_gives_the_same_as_the_pure_function(picture):
    path = straight(cubic, picture, num_steps=10, chunk=4)
    np.testing.assert_allclose(
        path.average_gradients(num_steps=10)[0], picture**2, rtol=1e-5, atol=1e-7
    )


def test_values_of_a_path_are_those_at_its_ends_and_probes():
    path = straight(cubic, jnp.full((2, 2, 1), 0.5))
    expected = [4 * (0.5 * a) ** 3 for a in (0, *PROBES, 1)]
    np.testing.assert_allclose(path.values(), expected, rtol=1e-6, atol=1e-12)


def test_the_ends_of_a_path_are_met_exactly():
    """Also where x' + (x - x') would round."""
    image = jax.random.uniform(jax.random.key(0), (8, 8, 3))
    baseline = 1e6 * jax.random.uniform(jax.random.key(1), (8, 8, 3))

    def off(images):
        return jnp.abs(images - image[None]).sum()

    path = StraightPath(off, image, baseline, num_steps=2, rule="midpoint", chunk=None)
    assert path.values()[-1] == 0
    assert path.values()[0] == pytest.approx(float(off(baseline[None])), rel=1e-5)


@pytest.mark.parametrize("num_steps", [8, 16, 21, 64])
def test_more_nodes_than_it_was_sized_for_compile_nothing_again(num_steps, picture):
    fn, traces = counted(cubic)
    path = straight(fn, picture, num_steps=8, chunk=4, rule="trapezoid")
    path.average_gradients(num_steps=8)[0]
    before = len(traces)
    averaged = path.average_gradients(num_steps=num_steps)[0]
    assert len(traces) == before
    expected = average_gradient(
        cubic, picture, picture * 0, num_steps=num_steps, rule="trapezoid"
    )
    np.testing.assert_allclose(averaged, expected, rtol=1e-5)


def test_a_jitted_function_is_compiled_once_for_all_pictures(picture):
    fn, traces = counted(cubic)
    fn = jax.jit(fn)
    counts = []
    for image in (picture, picture / 2):
        path = straight(fn, image)
        path.values()
        path.average_gradients(num_steps=8)[0]
        counts.append(len(traces))
    assert counts[0] == counts[1] > 0


def test_a_plain_function_is_read_afresh(picture):
    """What it closes over may have changed since the last call."""
    scale = {"by": 1.0}

    def fn(images):
        return scale["by"] * cubic(images)

    once = straight(fn, picture).values()[-1]
    scale["by"] = 2.0
    assert straight(fn, picture).values()[-1] == pytest.approx(2 * once)


# --- mistakes -----------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [0, -1, 2.5, "all"])
def test_a_wrong_chunk_is_one_clear_line(chunk, picture):
    with pytest.raises(ValueError, match="chunk: expected a whole number") as e:
        average_gradient(cubic, picture, picture, chunk=chunk)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("num_steps", [0, -1])
def test_a_wrong_number_of_steps_is_found_before_compiling(num_steps, picture):
    fn, traces = counted(cubic)
    with pytest.raises(ValueError, match="num_steps: expected a whole number"):
        straight(fn, picture, num_steps=num_steps)
    with pytest.raises(ValueError, match="rule: expected one of"):
        straight(fn, picture, rule="simpson")
    assert traces == []


# --- pieces of a path ---------------------------------------------------------------


def test_pieces_add_up_to_the_whole(picture):
    path = StraightPath(
        cubic, picture, 1 - picture, num_steps=8, rule="gauss_legendre", chunk=None
    )
    whole = path.average_gradients(num_steps=8)
    parts = [
        path.average_gradients(num_steps=8, start=a, stop=b)
        for a, b in ((0.0, 0.3), (0.3, 1.0))
    ]
    np.testing.assert_allclose(parts[0] + parts[1], whole, rtol=1e-5, atol=1e-6)


def test_a_piece_knows_its_own_error(picture):
    """Of a quartic by one node, between 1/4 and 1/2 of a path from black."""

    def quartic(images):
        return (images**4).sum(axis=(1, 2, 3))

    path = StraightPath(
        quartic, picture, picture * 0, num_steps=1, rule="midpoint", chunk=None
    )
    ends = path.value_at(0.25), path.value_at(0.5)
    piece = path.piece(0.25, 0.5, values=ends, num_steps=1)
    power = float((np.asarray(picture, np.float64) ** 4).sum())
    expected = power * (4 * 0.375**3 * 0.25 - (0.5**4 - 0.25**4))
    assert piece.error == pytest.approx(expected, rel=1e-3)
    np.testing.assert_array_equal(piece.gradients[0], piece.gradients[1])
