"""Pixels of decoded pictures: dtypes and ranges (modes are tested through files)."""

import numpy as np
import pytest

from stylejax.image import decoding, files


def test_bytes_become_fractions_and_floats_pass():
    np.testing.assert_allclose(
        decoding.as_float(np.uint8([0, 51, 255])), [0.0, 0.2, 1.0], rtol=1e-6
    )
    assert decoding.as_float(np.float64([0.5])).dtype == np.float32
    assert files.as_float is decoding.as_float


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ([0.0, 1.0], None),
        ([0.0, 1.5], "outside"),
        ([-0.1, 0.5], "outside"),
        ([np.nan, 0.5], "NaN"),
        ([np.inf, 0.5], "NaN or infinity"),
    ],
)
def test_values_out_of_range_are_named(values, problem):
    found = decoding.range_problem(np.float32(values))
    assert (found is None) if problem is None else (problem in found)
    assert decoding.range_problem(np.uint8([0, 255])) is None
