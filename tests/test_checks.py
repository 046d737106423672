"""Checks of arguments: what passes, what is refused and in which words."""

import numpy as np
import pytest

from stylejax import checks

IMAGE = np.zeros((2, 4, 5, 3), np.float32)


def test_check_image_accepts_pictures_and_any_channels_when_told():
    assert checks.check_image(IMAGE) is None
    assert checks.check_image(IMAGE[..., :1], channels=None) is None


def test_check_image_names_what_came_and_what_to_do():
    with pytest.raises(
        ValueError, match=r"photo: expected .*got \(4, 5, 3\).*x\[None\]"
    ):
        checks.check_image(IMAGE[0], name="photo")
    with pytest.raises(ValueError, match="expected 3 channels"):
        checks.check_image(IMAGE.transpose(0, 3, 1, 2))
    with pytest.raises(TypeError, match="uint8.*to_float"):
        checks.check_image(IMAGE.astype(np.uint8))


def test_check_same_shape_names_both():
    checks.check_same_shape(IMAGE, IMAGE)
    with pytest.raises(
        ValueError, match=r"real and fake.*\(2, 4, 5, 3\).*\(1, 4, 5, 3\)"
    ):
        checks.check_same_shape(IMAGE, IMAGE[:1], names=("real", "fake"))


@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_check_positive_refuses(value):
    with pytest.raises(ValueError, match="ngf: expected a number above 0"):
        checks.check_positive(value, name="ngf")


def test_check_positive_accepts():
    assert checks.check_positive(0.1, name="rate") is None


def test_check_choice_lists_what_there_is():
    checks.check_choice("b", choices="ab", name="side")
    with pytest.raises(ValueError, match="side: expected one of a, b; got 'c'"):
        checks.check_choice("c", choices="ab", name="side")
