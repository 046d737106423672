import jax.numpy as jnp
import pytest

from stylejax.explain.scalars import Named, Scalar, named
from stylejax.explain.targets import region_mean

RED, GREEN = region_mean("red"), region_mean("green")
IMAGES = jnp.stack([jnp.full((4, 4), v) for v in (0.5, 0.25, 0.0)], axis=-1)[None]


@pytest.mark.parametrize(
    ("target", "value", "name"),
    [
        (RED + GREEN, 0.75, "mean:red + mean:green"),
        (RED - GREEN, 0.25, "mean:red - (mean:green)"),
        (2 * RED, 1.0, "2 (mean:red)"),
        (RED * 0.5, 0.25, "0.5 (mean:red)"),
        (-RED, -0.5, "-1 (mean:red)"),
        (2 * (RED + GREEN) - RED, 1.0, "2 (mean:red + mean:green) - (mean:red)"),
    ],
)
def test_targets_add_up_and_say_so(target, value, name):
    assert float(target(IMAGES)[0]) == pytest.approx(value)
    assert target.name == name
    assert isinstance(target, Scalar)


def test_a_composed_target_goes_behind_a_network():
    target = RED - GREEN
    assert float(target.of(lambda x: 2 * x)(IMAGES)[0]) == pytest.approx(0.5)
    assert float(target.change_of(lambda x: 3 * x)(IMAGES)[0]) == pytest.approx(0.5)


def test_only_targets_and_numbers_compose():
    for attempt in (lambda: RED + 1, lambda: RED * RED, lambda: RED - "x"):
        with pytest.raises(TypeError):
            attempt()


def test_any_function_can_have_a_name():
    peak = named(lambda x: x.max(axis=(1, 2, 3)), name="peak")
    assert isinstance(peak, Named) and peak.name == "peak"
    assert peak(IMAGES).tolist() == [0.5]


@pytest.mark.parametrize(
    ("fn", "got"), [(lambda x: x.sum(), r"\(\)"), (lambda x: x, r"\(1, 4, 4, 3\)")]
)
def test_a_function_that_gives_no_number_a_picture_is_refused(fn, got):
    with pytest.raises(ValueError, match=f"'odd'.*got shape {got}"):
        named(fn, name="odd")(IMAGES)


def test_a_single_picture_is_refused():
    with pytest.raises(ValueError, match=r"expected pictures of shape \(b, h, w, c\)"):
        named(lambda x: x, name="odd")(IMAGES[0])
