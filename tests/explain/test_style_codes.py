"""What each coordinate of a code painted, against decoders that say so themselves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain.quadrature import RULES
from stylejax.explain.style_codes import code_attribution

START, END = jnp.array([0.5, -1.0, 2.0, 0.3]), jnp.array([1.5, 0.5, -1.0, 0.3])


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


STROKES = normal(0, 4, 5, 6, 3)


def linear(code):
    """A picture 1 5 6 3: a weighted sum of four strokes on a ground."""
    return jnp.tensordot(code, STROKES, axes=1, precision="highest")[None] + 0.25


def bent(code):
    """Strokes that interact smoothly."""
    return jax.nn.sigmoid(2 * linear(code) + jnp.sin(code).prod())


# --- linear and polynomial decoders are exact ---------------------------------------


@pytest.mark.parametrize("rule", RULES)
def test_a_linear_decoder_gives_each_coordinate_its_own_stroke(rule):
    result = code_attribution(linear, START, END, rule=rule, num_steps=3)
    expected = (END - START)[:, None, None, None] * STROKES
    np.testing.assert_allclose(result.maps, expected, rtol=1e-5, atol=1e-6)
    assert float(result.max_error) < 5e-6


@pytest.mark.parametrize(("degree", "num_steps"), [(2, 1), (4, 2), (8, 4)])
def test_polynomials_are_exact_with_half_their_degree_of_nodes(degree, num_steps):
    """Coordinates that do not meet: each paints the difference of its own powers."""

    def decode(code):
        return (code**degree)[:, None, None] * jnp.ones((4, 2, 1))

    start, end = jnp.array([0.2, 1.0, 0.5, 0.7]), jnp.array([1.1, 0.1, 0.5, 1.2])
    result = code_attribution(decode, start, end, num_steps=num_steps)
    powers = np.asarray(end, np.float64) ** degree - np.asarray(start) ** degree
    expected = np.einsum("i,ih->ih", powers, np.eye(4))[:, :, None, None]
    np.testing.assert_allclose(
        result.maps, np.broadcast_to(expected, (4, 4, 2, 1)), atol=5e-6
    )
    assert float(result.max_error) < 5e-6


def test_the_path_runs_from_the_start_to_the_end():
    """One node at the left is the derivative at the start: 2 a (b - a) of a square."""
    a, b = jnp.array([0.5, 2.0]), jnp.array([1.5, -1.0])
    result = code_attribution(
        lambda z: (z**2).sum() * jnp.ones((1, 1, 1)), a, b, rule="left", num_steps=1
    )
    np.testing.assert_allclose(result.maps.ravel(), 2 * a * (b - a), rtol=1e-6)


def test_a_node_too_few_is_not_exact_and_the_result_says_so():
    def decode(code):
        return (code**4)[:, None, None] * jnp.ones((4, 2, 1))

    result = code_attribution(decode, START, END, num_steps=1)
    assert float(result.max_error) > 0.1
    assert f"{float(result.max_error):.2e} at most" in result.summary()


def test_a_product_is_shared_between_its_factors():
    """uv from (1, 1) to (3, 2): u gets 2 x 1.5 = 3, v gets 1 x 2 = 2, of 5 in all."""

    def decode(code):
        return code.prod() * jnp.ones((1, 1, 1))

    result = code_attribution(
        decode, np.array([1.0, 1.0]), np.array([3.0, 2.0]), num_steps=1
    )
    np.testing.assert_allclose(result.maps.ravel(), [3, 2], rtol=1e-6)


# --- adaptive instance norm with known statistics ------------------------------------


def content(channels=2):
    x = normal(5, 4, 4, channels)
    return (x - x.mean((0, 1), keepdims=True)) / x.std((0, 1), keepdims=True)


def test_statistics_of_an_adaptive_norm_paint_what_the_algebra_says():
    """sigma n + mu: the mean paints a flat shift, the deviation the relief."""
    n = content()
    a, b = jnp.array([0.5, 0.2, 1.0, 2.0]), jnp.array([0.1, 0.8, 3.0, 0.5])
    result = code_attribution(
        lambda code: (code[None, None, 2:] * n + code[None, None, :2])[None],
        a,
        b,
        num_steps=1,
    )
    change = np.asarray(b - a)
    for channel in range(2):
        own = np.eye(2)[channel]
        np.testing.assert_allclose(
            result.maps[channel],
            np.broadcast_to(change[channel] * own, n.shape),
            atol=1e-6,
        )
        np.testing.assert_allclose(
            result.maps[2 + channel],
            change[2 + channel] * own * np.asarray(n),
            atol=2e-6,
        )
    assert float(result.max_error) < 5e-6


def test_behind_a_square_they_are_weighed_at_the_middle_of_the_path():
    """(sigma n + mu)^2: 2 (mean of both ends) times the own part; one node is exact."""
    n = content(1)
    a, b = jnp.array([0.5, 1.0]), jnp.array([-0.4, 2.0])
    result = code_attribution(
        lambda code: (code[1] * n + code[0]) ** 2, a, b, num_steps=1
    )
    middle = 1.5 * n + 0.05
    np.testing.assert_allclose(result.maps[0], 2 * middle * -0.9, atol=5e-6)
    np.testing.assert_allclose(result.maps[1], 2 * middle * n, atol=5e-6)
    np.testing.assert_allclose(result.end, (2 * n - 0.4) ** 2, atol=1e-6)


# --- any decoder --------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole():
    return code_attribution(bent, START, END, num_steps=32)


def test_maps_sum_to_the_change_at_every_pixel(whole):
    change = bent(END)[0] - bent(START)[0]
    np.testing.assert_allclose(whole.maps.sum(axis=0), change, atol=2e-6)
    np.testing.assert_allclose(whole.end - whole.start, change, atol=1e-6)
    assert float(whole.mean_change) == pytest.approx(float(jnp.abs(change).mean()))
    assert float(whole.mean_change) > 0.1


def test_the_errors_are_those_of_the_sum():
    rough = code_attribution(bent, START, END, num_steps=2, rule="left")
    missed = np.asarray(rough.maps.sum(axis=0) - (rough.end - rough.start))
    np.testing.assert_allclose(rough.errors, missed, atol=1e-6)
    assert float(rough.max_error) == pytest.approx(np.abs(missed).max(), rel=1e-4)
    assert float(rough.mean_error) == pytest.approx(np.abs(missed).mean(), rel=1e-4)
    assert float(rough.max_error) > 0.01


def test_maps_are_those_of_reverse_mode_at_every_pixel(whole):
    """The same integral by dense Jacobians and NumPy."""
    nodes, weights = np.polynomial.legendre.leggauss(32)
    jacobian = jax.jit(jax.jacrev(lambda z: bent(z)[0]))
    points = [(1 - t) * START + t * END for t in (nodes + 1) / 2]
    mean = sum(
        w / 2 * np.asarray(jacobian(jnp.asarray(p, jnp.float32)), np.float64)
        for w, p in zip(weights, points, strict=True)
    )
    expected = np.moveaxis(mean * np.asarray(END - START), -1, 0)
    np.testing.assert_allclose(whole.maps, expected, atol=2e-6)


def test_what_does_not_change_paints_nothing(whole):
    assert float(jnp.abs(whole.maps[3]).max()) == 0
    assert all(float(jnp.abs(whole.maps[i]).max()) > 0.05 for i in range(3))


def test_groups_are_the_sums_of_their_coordinates(whole):
    grouped = code_attribution(
        bent, START, END, num_steps=32, labels=np.array([1, 0, 1, 0])
    )
    assert grouped.maps.shape[0] == 2
    np.testing.assert_allclose(
        grouped.maps[0], whole.maps[1] + whole.maps[3], atol=2e-6
    )
    np.testing.assert_allclose(
        grouped.maps[1], whole.maps[0] + whole.maps[2], atol=2e-6
    )


@pytest.mark.parametrize("chunk", [1, 3])
def test_the_chunk_changes_nothing(chunk, whole):
    again = code_attribution(bent, START, END, num_steps=32, chunk=chunk)
    np.testing.assert_allclose(again.maps, whole.maps, atol=1e-6)


def test_the_way_back_paints_the_opposite(whole):
    back = code_attribution(bent, END, START, num_steps=32)
    np.testing.assert_allclose(back.maps, -whole.maps, atol=2e-6)


def memory(num_steps):
    codes = jnp.zeros(6), jnp.ones(6)
    strokes = normal(1, 6, 64, 64, 3)

    def decode(code):
        return jnp.tanh(jnp.tensordot(code, strokes, axes=1))

    def run(a, b):
        return code_attribution(decode, a, b, num_steps=num_steps).maps

    return jax.jit(run).lower(*codes).compile().memory_analysis().temp_size_in_bytes


def test_memory_does_not_grow_with_the_number_of_nodes():
    """256 nodes kept at once would take 256 x 6 maps of 48 KiB, 75 MiB."""
    few, many = memory(4), memory(256)
    assert many < few + 100_000


# --- mistakes -----------------------------------------------------------------------


def refuses(match, decode=linear, start=START, end=END, **options):
    with pytest.raises(ValueError, match=match) as e:
        code_attribution(decode, start, end, **options)
    assert "\n" not in str(e.value)


def test_codes_must_be_flat_and_alike():
    refuses("expected start and end of one shape", end=END[:3])
    refuses("start: expected a code of shape", start=START[None], end=END[None])


@pytest.mark.parametrize(
    "labels", [np.zeros(3, int), np.zeros(4), np.array([0, -1, 0, 0])]
)
def test_labels_must_fit(labels):
    refuses("labels: expected 4 whole numbers of at least 0", labels=labels)


def test_the_decoder_must_give_one_picture():
    refuses(r"decode: expected one picture .* got shape \(\)", lambda z: z.sum())
    refuses(r"got shape \(2, 5, 6, 3\)", lambda z: linear(z).repeat(2, axis=0))


def test_numbers_and_names_that_do_not_exist():
    refuses("rule: expected one of gauss_legendre", rule="simpson")
    refuses("chunk: expected a whole number of at least 1, got 0", chunk=0)
    refuses("num_steps: expected a whole number", num_steps=0)
