import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain.completeness import floor_of, measure

VALUES = jnp.array([[[1.0, -0.25]]])


def test_the_errors_are_worked_out():
    found = measure(VALUES, ends=(2.0, 1.0), num_steps=3, method="m")
    assert (found.sum, found.absolute_error, found.relative_error) == (0.75, 0.25, 0.25)
    assert found.error_map is None and np.isnan(found.error_estimate)
    assert found.method == "m" and found.error_kind == ""


def test_a_total_of_its_own():
    found = measure(VALUES, ends=(2.0, 1.0), num_steps=1, method="m", total=1.5)
    assert (found.sum, found.absolute_error) == (1.5, 0.5)


def test_the_error_estimate_is_relative_to_the_map():
    error = jnp.array([[[0.1, 0.15]]])
    found = measure(
        VALUES,
        ends=(2.0, 1.0),
        num_steps=3,
        method="m",
        error_map=error,
        error_kind="rule",
    )
    assert found.error_estimate == pytest.approx(0.2)
    assert "pixels within 2.0e-01 (rule)" in found.summary()


def test_a_map_of_zeros_has_no_error():
    found = measure(
        VALUES * 0,
        ends=(1.0, 1.0),
        num_steps=3,
        method="m",
        error_map=VALUES * 0,
        error_kind="rule",
    )
    assert found.error_estimate == 0


@pytest.mark.parametrize(
    ("ends", "defined"), [((1.0, 0.9985), True), ((1, 0.9995), False)]
)
def test_changes_below_the_floor_have_no_relative_error(ends, defined):
    found = measure(VALUES, ends=ends, num_steps=1, method="m")
    assert found.floor == floor_of(*ends) == pytest.approx(1e-3)
    assert np.isnan(found.relative_error) != defined
