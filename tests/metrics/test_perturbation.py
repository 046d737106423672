"""How the metrics of explanations call a function: chunks, precision, compilations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.metrics.perturbation import (
    checked_image,
    checked_labels,
    checked_picture,
    compiled,
    in_chosen_regions,
    map_in_chunks,
    value,
)


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_chunks_of_any_size_give_the_same_and_trace_once(chunk):
    traces = []

    def f(inputs):
        traces.append(1)
        key, x = inputs
        return x + jax.random.uniform(key), 2 * x

    inputs = (jax.random.split(jax.random.key(0), 7), jnp.arange(7.0))
    sums, doubles = map_in_chunks(f, inputs, chunk=chunk)
    assert len(traces) == 1
    np.testing.assert_array_equal(doubles, 2 * np.arange(7))
    expected = [i + float(jax.random.uniform(k)) for i, k in enumerate(inputs[0])]
    np.testing.assert_allclose(sums, expected, rtol=1e-6)


def test_a_chunk_bounds_how_many_are_held_at_once():
    def widest(chunk):
        jaxpr = jax.make_jaxpr(
            lambda x: map_in_chunks(lambda i: jnp.full((64, 64), i), x, chunk=chunk)
        )(jnp.arange(20.0))
        (scan,) = [e for e in jaxpr.eqns if e.primitive.name == "scan"]
        body = scan.params["jaxpr"].jaxpr
        return max(v.aval.size for e in body.eqns for v in e.outvars) / 64**2

    assert [widest(chunk) for chunk in (4, 6, 10)] == [4, 5, 10]


def test_a_function_sees_one_picture_at_a_time():
    """One that looks at the batch cannot mix the pictures of a chunk."""

    def relative(images):
        assert images.shape[0] == 1
        return images.sum(axis=(1, 2, 3)) - images.mean()

    pictures = jnp.arange(3.0)[:, None, None, None] * jnp.ones((3, 2, 2, 1))
    found = map_in_chunks(lambda p: value(relative, p), pictures, chunk=3)
    np.testing.assert_allclose(found, [0, 3, 6])


def test_a_scalar_and_a_half_precision_function_have_a_value():
    picture = jnp.ones((2, 2, 1))
    assert value(jnp.sum, picture) == 4
    half = value(lambda x: x.sum(axis=(1, 2, 3)).astype(jnp.bfloat16), picture)
    assert half.dtype == jnp.float32


def test_products_run_at_full_precision():
    jaxpr = jax.make_jaxpr(lambda p: value(lambda x: jnp.sum(x[0, 0] @ x[0, 0]), p))
    assert "HIGHEST" in str(jaxpr(jnp.ones((1, 2, 2))))


def core(fn, x, *, power):
    return fn(x) ** power


def test_a_jitted_function_is_compiled_once_and_a_plain_one_afresh():
    traces = []

    def plain(x):
        traces.append(1)
        return 2 * x

    jitted = jax.jit(plain)
    for _ in range(3):
        assert compiled(core, jitted, power=2)(jnp.array(3.0)) == 36
    assert len(traces) == 1
    assert compiled(core, jitted, power=3)(jnp.array(3.0)) == 216
    for _ in range(2):
        assert compiled(core, plain, power=2)(jnp.array(3.0)) == 36
    assert len(traces) >= 3


def test_a_plain_function_may_change_what_it_closes_over():
    factor = {"by": 2.0}

    def plain(x):
        return factor["by"] * x

    assert compiled(core, plain, power=1)(jnp.array(3.0)) == 6
    factor["by"] = 5.0
    assert compiled(core, plain, power=1)(jnp.array(3.0)) == 15


def test_labels_that_name_no_region_are_never_chosen():
    """Indexing alone would take -1 for the last region, and 9 for it too."""
    labels = jnp.array([[0, 1, 2], [-1, 9, 3]])
    chosen = jnp.array([True, False, True])
    expected = [[True, False, True], [False, False, False]]
    assert in_chosen_regions(labels, chosen).tolist() == expected


def test_channels_are_added_up_with_their_signs():
    image = jnp.zeros((1, 2, 3))
    attribution = jnp.array([[[1.0, -3.0, 1.0], [2.0, 0.0, 0.0]]])
    _, _, totals = checked_picture(image, image, attribution)
    assert totals.tolist() == [[-1, 2]]
    _, _, same = checked_picture(image, image, totals)
    assert same.tolist() == [[-1, 2]]


def test_labels_are_counted_unless_they_are_traced():
    labels = np.array([[0, 4]])
    assert checked_labels(labels, size_hw=(1, 2), num_regions=None)[1] == 5
    assert checked_labels([[0, 1]], size_hw=(1, 2), num_regions=None)[1] == 2
    with pytest.raises(ValueError, match="num_regions: expected the number"):
        jax.jit(lambda x: checked_labels(x, size_hw=(1, 2), num_regions=None)[0])(
            labels
        )


@pytest.mark.parametrize(
    ("labels", "num_regions", "match"),
    [
        ([[0, -1]], None, "from 0 to 0, got -1 to 0"),
        ([[0, -1]], 2, "from 0 to 1, got -1 to 0"),
        ([[0, 3]], 2, "from 0 to 1, got 0 to 3"),
    ],
)
def test_labels_out_of_range_are_refused_unless_they_are_traced(
    labels, num_regions, match
):
    options = {"size_hw": (1, 2), "num_regions": num_regions}
    for of_kind in (np.asarray(labels), jnp.asarray(labels)):
        with pytest.raises(ValueError, match=f"^labels: expected .*{match}$"):
            checked_labels(of_kind, **options)
    if num_regions is not None:
        traced = jax.jit(lambda x: checked_labels(x, **options)[0])(np.array(labels))
        assert traced.tolist() == labels


def test_mistakes_end_in_one_line():
    image = jnp.zeros((2, 3, 1))
    for match, call in {
        "chunk: expected a whole": lambda: map_in_chunks(abs, image, chunk=0),
        "expected image and baseline": lambda: checked_picture(image, image[0], image),
        "attribution: expected shape": lambda: checked_picture(image, image, image[0]),
        "expected one picture": lambda: checked_image(image[None]),
        "labels: expected shape": lambda: checked_labels(
            np.zeros((2, 2), int), size_hw=(2, 3), num_regions=None
        ),
        "two regions or more": lambda: checked_labels(
            np.zeros((2, 3), int), size_hw=(2, 3), num_regions=None
        ),
    }.items():
        with pytest.raises(ValueError, match=match) as e:
            call()
        assert "\n" not in str(e.value)
    with pytest.raises(TypeError, match="to_float"):
        checked_image(np.zeros((2, 3, 1), np.uint8))
    with pytest.raises(TypeError, match="labels: expected whole numbers"):
        checked_labels(np.zeros((2, 3)), size_hw=(2, 3), num_regions=None)
