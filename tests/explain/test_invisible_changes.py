"""Noise, rounding, blur, and a JPEG that is held against Pillow's."""

import functools
import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft
from PIL import Image as PILImage

from stylejax.explain.invisible_changes import (
    PERTURBATIONS,
    dct_matrix,
    invisible_changes,
    jpeg,
    round_to_8_bits,
)
from stylejax.image.filters import gaussian_blur
from tests.explain.hidden_channels import some_pictures


@pytest.fixture(scope="module")
def pictures():
    """Sizes that are no multiples of 8."""
    return some_pictures()[:3, :27, :30]


def saved(images, quality):
    """What Pillow reads back of a JPEG without colour subsampling."""
    read = []
    for image in np.asarray(255 * images).round().astype(np.uint8):
        file = io.BytesIO()
        PILImage.fromarray(image).save(file, "JPEG", quality=quality, subsampling=0)
        read.append(np.asarray(PILImage.open(file)))
    return np.stack(read).astype(np.float64)


@pytest.mark.parametrize(("quality", "tolerance"), [(10, 0.1), (50, 0.4), (75, 0.6)])
def test_the_jpeg_is_pillow_s(quality, tolerance, pictures):
    """To a fraction of a grey level: the last bits of decoders' sums differ."""
    ours = 255 * np.asarray(jpeg(pictures, quality=quality))
    theirs = saved(pictures, quality)
    change = np.abs(theirs - 255 * np.asarray(pictures)).mean()
    assert np.abs(ours - theirs).mean() < tolerance < 0.15 * change
    np.testing.assert_allclose(ours, ours.round(), atol=1e-4)


def test_the_best_jpeg_only_rounds(pictures):
    """At quality 100 all steps are 1."""
    found = 255 * (jpeg(pictures, quality=100) - pictures)
    assert 0.3 < float(jnp.abs(found).mean()) < 1
    assert float(jnp.abs(found).max()) < 5


def test_flat_colours_survive_a_jpeg(pictures):
    color = jnp.array([200.0, 40.0, 90.0])[None, None, None] / 255
    flat = jnp.broadcast_to(color, pictures.shape)
    assert float(255 * jnp.abs(jpeg(flat, quality=75) - flat).max()) < 4


@pytest.mark.parametrize("size", [1, 2, 8, 13])
def test_the_cosine_transform_is_scipy_s(size, generator):
    x = generator.normal(size=size)
    expected = scipy.fft.dct(x, norm="ortho")
    np.testing.assert_allclose(dct_matrix(size) @ x, expected, atol=1e-5)


def test_rounding_keeps_8_bits():
    x = jnp.array([-0.1, 0.0, 0.4999 / 255, 0.5001 / 255, 1.0, 1.2])[
        None, None, :, None
    ]
    found = 255 * round_to_8_bits(x).ravel()
    np.testing.assert_allclose(found, [0, 0, 0, 1, 255, 255], atol=1e-4)


def test_every_change_is_what_its_name_says(pictures):
    epsilon = 3 / 256
    found = jax.jit(functools.partial(invisible_changes, num_draws=2))(
        jax.random.key(0), pictures
    )
    assert set(found) == set(PERTURBATIONS)
    assert [len(found[name]) for name in PERTURBATIONS] == [2, 2, 1, 1, 1]
    inside = ((pictures > 0.05) & (pictures < 0.95))[None]
    noise = {k: np.asarray(found[k] - pictures[None]) for k in ("uniform", "gaussian")}
    kept = {k: v[np.broadcast_to(inside, v.shape)] for k, v in noise.items()}
    assert np.abs(kept["uniform"]).max() <= epsilon + 1e-6
    assert kept["uniform"].std() == pytest.approx(epsilon / np.sqrt(3), rel=0.02)
    assert kept["gaussian"].std() == pytest.approx(epsilon, rel=0.02)
    assert np.abs(np.corrcoef(noise["uniform"].reshape(2, -1))[0, 1]) < 0.05
    for changed in found.values():
        assert float(changed.min()) >= 0
        assert float(changed.max()) <= 1
    alone = {
        "rounding": round_to_8_bits(pictures),
        "low_pass": gaussian_blur(pictures, 1.0),
        "jpeg": jpeg(pictures, quality=75),
    }
    for name, expected in alone.items():
        # One grey level of a JPEG may fall on the other side of a rounding.
        difference = np.abs(found[name][0] - expected)
        assert difference.mean() < 1e-4
        assert difference.max() < (0.1 if name == "jpeg" else 1e-6)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"epsilon": 0}, "epsilon: expected a number above 0"),
        ({"num_draws": 0}, "num_draws: expected a number above 0"),
        ({"quality": 0}, "quality: expected a number from 1 to 100, got 0"),
    ],
)
def test_mistakes_end_in_one_clear_line(options, match):
    with pytest.raises(ValueError, match=match):
        jax.eval_shape(
            functools.partial(invisible_changes, **options),
            jax.random.key(0),
            jnp.ones((1, 8, 8, 3)),
        )


def test_grey_pictures_are_refused():
    with pytest.raises(ValueError, match="expected 3 channels"):
        jpeg(jnp.ones((1, 8, 8, 1)))
