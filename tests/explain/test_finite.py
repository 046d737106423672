"""Which entries of an axis are not finite, said in one line."""

import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain.finite import check_finite


@pytest.mark.parametrize("axis", [0, 2, -1])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_broken_entries_of_the_axis_are_named(axis, value):
    values = np.zeros((5, 4, 5))
    np.moveaxis(values, axis, 0)[[1, 3], 0, 2 if axis == 0 else 1] = value
    match = "^maps: expected finite numbers, got NaN or infinity in units 1, 3$"
    with pytest.raises(ValueError, match=match):
        check_finite(values, name="maps", what="units", axis=axis)


def test_of_many_broken_ones_the_first_are_named():
    with pytest.raises(ValueError, match="in pictures 0, 1, 2, 3, 4, 5, 6, 7, …$"):
        check_finite(np.full(1000, np.nan), name="x", what="pictures")


@pytest.mark.parametrize("dtype", [bool, np.int32, np.float16, jnp.bfloat16])
def test_finite_values_of_any_kind_pass(dtype):
    check_finite(jnp.ones((3, 2), dtype), name="x", what="pictures")
    check_finite(np.ones((0, 2)), name="x", what="pictures")
