import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain.pictures import check_function, one_picture, scalar_at


def test_a_leading_axis_of_one_is_taken_off():
    assert one_picture(np.ones((1, 2, 3, 4), np.float32)).shape == (2, 3, 4)


def test_half_precision_becomes_float32():
    assert one_picture(jnp.ones((2, 3, 4), jnp.bfloat16)).dtype == jnp.float32


@pytest.mark.parametrize("out", [1, (1,)])
def test_scalars_and_batches_of_one_are_numbers(out):
    def fn(images):
        total = images.sum(axis=(1, 2, 3)).astype(jnp.bfloat16)
        return total if out == (1,) else total[0]

    value = scalar_at(fn, jnp.ones((1, 2, 3)))
    assert value.shape == () and value.dtype == jnp.float32 and value == 6


def test_the_refusal_lists_what_exists():
    with pytest.raises(ValueError, match=r"mean\|energy.*network_targets"):
        check_function(lambda x: x, jnp.ones((2, 2, 3)))
