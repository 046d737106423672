"""Region tensors against closed forms, against each other and against the whole map."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain import integrated_gradients
from stylejax.explain.baselines import blur_baseline
from stylejax.explain.regions import region_maps, region_table
from stylejax.image.regions import grid_regions

QUARTERS = grid_regions((32, 32), rows=2, columns=2)


@pytest.fixture(scope="module")
def small():
    """A quarter of the picture's side, to keep the networks cheap."""
    y, x = jnp.mgrid[0:16, 0:16] / 15
    waves = [jnp.sin(a * x + b * y) for a, b in ((7.0, 2.0), (3.0, 9.0), (11.0, 5.0))]
    return 0.5 + 0.25 * jnp.stack(waves, axis=-1)


@pytest.fixture(scope="module")
def generate(make_generator):
    return make_generator(seed=2, features=4)


@pytest.fixture(scope="module")
def maps(generate, small):
    labels = grid_regions((16, 16), rows=2, columns=2)
    return region_maps(generate, small, labels=labels, num_steps=8)


def shifted(images):
    return jnp.roll(images, (2, -3), axis=(1, 2))


def swapped(images):
    return images[..., ::-1]


@pytest.mark.parametrize("generate", [shifted, swapped, lambda x: 3 * x])
def test_linear_generators_move_each_region_s_own_difference(generate, picture):
    found = region_maps(generate, picture, labels=QUARTERS, num_steps=1)
    difference = picture - blur_baseline(picture)
    for label in range(4):
        own = jnp.where((QUARTERS == label)[..., None], difference, 0)
        np.testing.assert_allclose(found.maps[label], generate(own[None])[0], atol=1e-6)
    assert found.max_error < 1e-6


def test_products_are_shared_as_the_path_says():
    """a b from (0, 0) to (2, 3): each factor gets half of the product."""

    def product(images):
        return images[:, :, :1] * images[:, :, 1:]

    image = jnp.array([[[2.0], [3.0]]])
    found = region_maps(
        product, image, labels=np.array([[0, 1]]), baseline="zero", num_steps=1
    )
    assert found.maps[:, 0, 0, 0].tolist() == pytest.approx([3.0, 3.0])


def test_each_output_pixel_of_a_network_adds_up(maps):
    assert maps.maps.shape == (4, 16, 16, 3)
    assert maps.mean_change > 1e-2
    assert maps.max_error < 1e-3 * maps.mean_change
    total = maps.maps.sum(axis=0)
    change = maps.output - maps.output_baseline
    np.testing.assert_allclose(total, change, atol=maps.max_error + 1e-6)
    assert maps.error_map.shape == (16, 16, 3)
    assert "4 regions" in maps.summary() and "\n" not in maps.summary()


def test_too_few_steps_show_in_the_error(generate, small):
    labels = grid_regions((16, 16), rows=1, columns=2)
    rough = region_maps(generate, small, labels=labels, num_steps=1)
    assert rough.max_error > 1e-2 * rough.mean_change


def test_forward_and_reverse_agree_and_both_are_the_maps_means(generate, small, maps):
    labels = grid_regions((16, 16), rows=2, columns=2)
    outputs = grid_regions((16, 16), rows=1, columns=2)
    forward, reverse = (
        region_table(
            generate,
            small,
            labels=labels,
            output_labels=outputs,
            num_steps=8,
            mode=mode,
        )
        for mode in ("forward", "reverse")
    )
    scale = float(jnp.abs(forward.table).max())
    assert forward.table.shape == (4, 2)
    np.testing.assert_allclose(forward.table / scale, reverse.table / scale, atol=1e-5)
    left = maps.maps[:, :, :8].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(forward.table[:, 0] / scale, left / scale, atol=1e-5)
    assert (forward.num_derivatives, reverse.num_derivatives) == (32, 16)
    assert forward.errors.max() < 1e-3 * float(jnp.abs(forward.change).max())


def test_a_region_s_share_is_the_sum_of_the_usual_map_over_it(generate, small):
    labels = grid_regions((16, 16), rows=2, columns=2)
    table = region_table(
        generate,
        small,
        labels=labels,
        output_labels=np.zeros((16, 16), np.int32),
        num_steps=8,
    )
    assert table.mode == "reverse"
    whole = integrated_gradients(
        lambda x: generate(x).mean(axis=(1, 2, 3)), small, num_steps=8
    )
    sums = [whole.map[labels == label].sum() for label in range(4)]
    scale = max(abs(float(s)) for s in sums)
    np.testing.assert_allclose(
        table.table[:, 0] / scale, np.array(sums) / scale, atol=1e-5
    )


def test_the_cheaper_way_is_taken():
    image = jax.random.uniform(jax.random.key(0), (4, 4, 3))
    halves, cells = (grid_regions((4, 4), rows=1, columns=c) for c in (2, 4))
    options = {"num_steps": 1, "baseline": "noise"}
    few_causes = region_table(
        lambda x: x, image, labels=halves, output_labels=cells, **options
    )
    few_effects = region_table(
        lambda x: x, image, labels=cells, output_labels=halves, **options
    )
    assert (few_causes.mode, few_effects.mode) == ("forward", "reverse")
    assert few_causes.table[0, 2:].tolist() == [0, 0]
    np.testing.assert_allclose(
        few_effects.table.sum(axis=0), few_effects.change, atol=1e-6
    )


def test_chunks_change_nothing(picture):
    labels = grid_regions((32, 32), rows=3, columns=3)

    def network(images):
        return jnp.tanh(images - jnp.roll(images, 1, axis=1)) * images.mean()

    one, many = (
        region_maps(network, picture, labels=labels, num_steps=3, chunk=c).maps
        for c in (1, 4)
    )
    np.testing.assert_allclose(one, many, atol=1e-7)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            np.zeros((4, 5), np.int32),
            r"labels: expected whole numbers of shape \(4, 4\)",
        ),
        (np.zeros((4, 4)), "grid_regions"),
        (np.full((4, 4), -1), "expected whole numbers from 0"),
    ],
)
def test_wrong_labels_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        region_maps(lambda x: x, jnp.ones((4, 4, 3)), labels=labels, baseline="noise")


def test_an_unknown_mode_lists_what_exists():
    labels = np.zeros((4, 4), np.int32)
    with pytest.raises(ValueError, match="auto, forward, reverse"):
        region_table(
            lambda x: x,
            jnp.ones((4, 4, 3)),
            labels=labels,
            output_labels=labels,
            mode="backward",
        )
