"""Nearest-neighbour enlargement against NumPy."""

import numpy as np
import pytest

from stylejax.nn.upsample import nearest


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_nearest_repeats_every_position(generator, factor):
    x = generator.normal(size=(2, 3, 4, 5)).astype(np.float32)
    expected = x.repeat(factor, axis=1).repeat(factor, axis=2)
    np.testing.assert_array_equal(nearest(x, factor=factor), expected)
