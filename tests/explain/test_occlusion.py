import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain.occlusion import occlusion, region_effects
from stylejax.image.regions import grid_regions

IMAGE = jax.random.uniform(jax.random.key(0), (8, 8, 3))
START = jax.random.uniform(jax.random.key(1), (8, 8, 3))
LABELS = grid_regions((8, 8), rows=2, columns=2)


def additive(images):
    return (images**3).sum(axis=(1, 2, 3))


def product(images):
    """Of the sums of the left and the right half."""
    return images[:, :, :4].sum(axis=(1, 2, 3)) * images[:, :, 4:].sum(axis=(1, 2, 3))


def test_an_additive_function_has_one_answer():
    found = region_effects(additive, IMAGE, labels=LABELS, baseline=START, chunk=3)
    change = np.asarray(IMAGE**3 - START**3, np.float64)
    expected = [change[LABELS == k].sum() for k in range(4)]
    np.testing.assert_allclose(found.removed, expected, atol=1e-4)
    np.testing.assert_allclose(found.inserted, expected, atol=1e-4)
    assert found.interaction < 1e-5


def test_a_product_has_two_and_their_mean_is_complete():
    halves = grid_regions((8, 8), rows=1, columns=2)
    found = region_effects(product, IMAGE, labels=halves, baseline="zero")
    whole = float(product(IMAGE[None])[0])
    np.testing.assert_allclose(found.removed, [whole, whole], rtol=1e-5)
    np.testing.assert_allclose(found.inserted, [0, 0], atol=1e-5)
    assert float(found.mean.sum()) == pytest.approx(whole, rel=1e-5)
    assert found.interaction == pytest.approx(1.0)
    assert (found.target, found.target_baseline) == (pytest.approx(whole), 0.0)


def test_occlusion_spreads_effects_over_their_regions():
    result = occlusion(additive, IMAGE[None], labels=LABELS, baseline=START)
    assert result.map.shape == (1, 8, 8, 3)
    effects = region_effects(additive, IMAGE, labels=LABELS, baseline=START)
    for k in range(4):
        inside = np.asarray(result.map[0])[LABELS == k]
        assert np.ptp(inside) == 0
        assert inside.sum() == pytest.approx(float(effects.removed[k]), rel=1e-4)
    assert result.absolute_error < 1e-4 * abs(result.sum)
    assert result.method == "occlusion"


def test_occlusion_of_an_interacting_function_shows_its_error():
    result = occlusion(product, IMAGE, baseline="zero")
    assert result.num_steps == 64
    assert result.relative_error > 0.5


def test_functions_need_no_gradient():
    def step(images):
        return jnp.floor(images.sum(axis=(1, 2, 3)))

    result = occlusion(step, IMAGE, labels=LABELS, baseline="zero")
    assert result.sum > 0


@pytest.mark.parametrize("labels", [LABELS[:4], LABELS * 1.0, LABELS - 1])
def test_wrong_labels_are_refused(labels):
    with pytest.raises(ValueError, match="labels: expected whole numbers"):
        region_effects(additive, IMAGE, labels=labels)
