"""L*a*b* against published values, there and back, and its gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.image import lab

# sRGB primaries and greys in L*a*b* (D65), as colour calculators give them.
KNOWN = {
    (1.0, 1.0, 1.0): (100.0, 0.0, 0.0),
    (0.0, 0.0, 0.0): (0.0, 0.0, 0.0),
    (1.0, 0.0, 0.0): (53.24, 80.09, 67.20),
    (0.0, 1.0, 0.0): (87.73, -86.18, 83.18),
    (0.0, 0.0, 1.0): (32.30, 79.19, -107.86),
    (0.5, 0.5, 0.5): (53.39, 0.0, 0.0),
    # By hand: on the straight pieces of both curves.
    (0.02, 0.01, 0.03): (0.949, 1.378, -1.696),
}


@pytest.mark.parametrize("rgb", KNOWN)
def test_known_colours(rgb):
    got = lab.to_lab(np.float32([[[rgb]]]))[0, 0, 0]
    np.testing.assert_allclose(got, KNOWN[rgb], atol=0.02)


def test_there_and_back(generator):
    image = generator.random((2, 9, 7, 3), np.float32)
    np.testing.assert_allclose(lab.from_lab(lab.to_lab(image)), image, atol=1e-5)


def test_colours_no_screen_shows_are_clipped():
    loud = jnp.float32([50.0, 120.0, -120.0])[None, None, None]
    shown = lab.from_lab(loud)
    assert float(shown.min()) >= 0
    assert float(shown.max()) <= 1


def test_gradients_are_finite_at_black_and_white():
    for value in (0.0, 1.0, 0.04045):
        image = jnp.full((1, 2, 2, 3), value)
        there = jax.grad(lambda x: lab.to_lab(x).sum())(image)
        back = jax.grad(lambda x: lab.from_lab(lab.to_lab(x)).sum())(image)
        assert np.isfinite(there).all() and np.isfinite(back).all()


def test_chroma_error_is_blind_to_lightness_alone(generator):
    image = generator.uniform(0.3, 0.6, (1, 5, 6, 3)).astype(np.float32)
    colours = np.array(lab.to_lab(image))
    lighter = colours + np.float32([5, 0, 0])
    moved = colours + np.float32([0, 3, 4])
    np.testing.assert_allclose(
        lab.chroma_error(image, lab.from_lab(lighter)), [0.0], atol=1e-3
    )
    np.testing.assert_allclose(
        lab.chroma_error(image, lab.from_lab(moved)), [5.0], rtol=1e-3
    )
    with pytest.raises(ValueError, match="one shape"):
        lab.chroma_error(image, image[:, :-1])
