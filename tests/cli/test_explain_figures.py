import numpy as np
import pytest

from stylejax import explain
from stylejax.cli import explain_figures as figures
from stylejax.explain.regions import region_maps
from stylejax.image.regions import grid_regions

IMAGE = np.random.default_rng(0).random((8, 8, 3), np.float32)


def test_a_row_for_each_target():
    target = explain.parse_target("mean:red@1,1,3,3")
    answer = explain.integrated_gradients(target, IMAGE, num_steps=1)
    row = (target.name, target.box, answer)
    one = figures.attributions(IMAGE, IMAGE, [row], method="integrated_gradients")
    two = figures.attributions(IMAGE, IMAGE, [row] * 2, method="integrated_gradients")
    assert two.shape[0] > one.shape[0] + 200 and one.shape[1] == two.shape[1]
    assert 0 <= one.min() and one.max() <= 1


def test_the_sheet_shows_each_region_where_it_went():
    """Of a generator that moves everything four pixels right, around the border."""
    labels = grid_regions((8, 8), rows=1, columns=2)
    found = region_maps(
        lambda x: np.float32(1) - jnp_roll(x), IMAGE, labels=labels, num_steps=1
    )
    maps = np.abs(np.asarray(found.maps)).sum(axis=-1)
    assert maps[0, :, :4].max() < 1e-6 < maps[0, :, 4:].max()
    sheet = figures.region_sheet(IMAGE, found, (1, 2))
    assert sheet.ndim == 3 and sheet.shape[1] > 2 * 8 * 16


def jnp_roll(x):
    import jax.numpy as jnp

    return jnp.roll(x, 4, axis=2)


def test_overlays_share_one_scale():
    values = np.zeros((4, 4))
    values[0, 0] = 1.0
    full, weak = (figures.overlay_at(IMAGE[:4, :4], values, top=t) for t in (1.0, 4.0))
    plain = figures.overlay_at(IMAGE[:4, :4], values * 0, top=1.0)
    np.testing.assert_allclose(
        weak[0, 0] - plain[0, 0], (full - plain)[0, 0] / 4, atol=1e-6
    )
    np.testing.assert_allclose(full[1:], plain[1:], atol=1e-6)


@pytest.mark.parametrize(("value", "expected"), [(1.5, 1.5), (float("inf"), None)])
def test_json_gets_no_nan(value, expected):
    assert figures.finite(value) == expected
