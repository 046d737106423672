"""Quadrature rules against integrals worked out by hand."""

import numpy as np
import pytest

from stylejax.explain.quadrature import (
    RULES,
    coarser_weights,
    node_blocks,
    nodes_and_weights,
)

STEPS = (2, 3, 10, 50)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("num_steps", STEPS)
def test_weights_are_positive_and_sum_to_one(rule, num_steps):
    nodes, weights = nodes_and_weights(rule, num_steps=num_steps)
    assert nodes.shape == weights.shape == (num_steps,)
    assert (weights > 0).all()
    assert abs(weights.sum() - 1) < 1e-14


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("num_steps", STEPS)
def test_nodes_increase_inside_the_unit_interval(rule, num_steps):
    nodes, _ = nodes_and_weights(rule, num_steps=num_steps)
    assert (np.diff(nodes) > 0).all()
    assert nodes[0] >= 0
    assert nodes[-1] <= 1


def test_which_rules_touch_the_ends():
    """A rule that looks at alpha 0 meets a normalisation layer's singular point."""
    touching = {"trapezoid": (0, 1), "left": (0, 0.9), "right": (0.1, 1)}
    for rule in RULES:
        nodes, _ = nodes_and_weights(rule, num_steps=10)
        if rule in touching:
            np.testing.assert_allclose((nodes[0], nodes[-1]), touching[rule])
        else:
            assert 0 < nodes[0]
            assert nodes[-1] < 1


@pytest.mark.parametrize("num_steps", [1, 2, 3, 8])
def test_gauss_legendre_is_exact_up_to_its_degree_and_no_further(num_steps):
    nodes, weights = nodes_and_weights("gauss_legendre", num_steps=num_steps)
    for degree in range(2 * num_steps):
        assert abs(weights @ nodes**degree - 1 / (degree + 1)) < 1e-14
    degree = 2 * num_steps
    assert abs(weights @ nodes**degree - 1 / (degree + 1)) > 1e-12


@pytest.mark.parametrize(
    ("rule", "order"), [("left", 1), ("right", 1), ("midpoint", 2), ("trapezoid", 2)]
)
def test_order_of_convergence(rule, order):
    """Halving the spacing divides the error by 2 to the rule's order."""

    def error(intervals):
        num_steps = intervals + (rule == "trapezoid")
        nodes, weights = nodes_and_weights(rule, num_steps=num_steps)
        return abs(weights @ np.exp(nodes) - (np.e - 1))

    assert np.log2(error(20) / error(40)) == pytest.approx(order, abs=0.05)


def test_left_and_right_average_to_the_trapezoid():
    left, right = (nodes_and_weights(r, num_steps=8) for r in ("left", "right"))
    nodes, weights = nodes_and_weights("trapezoid", num_steps=9)
    both = (left[1] @ left[0] ** 3 + right[1] @ right[0] ** 3) / 2
    assert weights @ nodes**3 == pytest.approx(both, abs=1e-14)


def test_trapezoid_by_hand():
    nodes, weights = nodes_and_weights("trapezoid", num_steps=2)
    assert nodes.tolist() == [0, 1]
    assert weights.tolist() == [0.5, 0.5]


def test_midpoint_by_hand():
    nodes, weights = nodes_and_weights("midpoint", num_steps=2)
    assert nodes.tolist() == [0.25, 0.75]
    assert weights.tolist() == [0.5, 0.5]


def test_gauss_legendre_by_hand():
    nodes, weights = nodes_and_weights("gauss_legendre", num_steps=2)
    np.testing.assert_allclose(nodes, 0.5 + np.array([-1, 1]) / np.sqrt(12))
    np.testing.assert_allclose(weights, [0.5, 0.5])


def test_numpy_integers_are_whole_numbers_too():
    nodes, _ = nodes_and_weights("midpoint", num_steps=np.int64(4))
    assert nodes.shape == (4,)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("num_steps", [0, -3, 2.5, "8"])
def test_a_wrong_number_of_nodes_is_one_clear_line(rule, num_steps):
    with pytest.raises(ValueError, match="num_steps: expected a whole number") as e:
        nodes_and_weights(rule, num_steps=num_steps)
    assert "\n" not in str(e.value)


def test_the_trapezoid_needs_two_nodes():
    with pytest.raises(ValueError, match="at least 2 for rule 'trapezoid', got 1"):
        nodes_and_weights("trapezoid", num_steps=1)
    assert nodes_and_weights("midpoint", num_steps=1)[0].tolist() == [0.5]


def test_an_unknown_rule_lists_what_exists():
    with pytest.raises(ValueError, match="rule: expected one of") as e:
        nodes_and_weights("simpson", num_steps=8)
    assert all(rule in str(e.value) for rule in RULES)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("num_steps", [2, 3, 8, 9, 50, 257])
def test_the_coarser_rule_is_a_rule_on_half_the_nodes(rule, num_steps):
    weights = coarser_weights(rule, num_steps=num_steps)
    assert weights.shape == (num_steps,)
    assert weights.min() >= 0 and weights.sum() == pytest.approx(1, abs=1e-12)
    assert np.count_nonzero(weights) <= num_steps // 2 + 2


@pytest.mark.parametrize("num_steps", [4, 5, 16, 31])
def test_the_coarser_gauss_rule_is_exact_to_its_number_of_nodes(num_steps):
    nodes, _ = nodes_and_weights("gauss_legendre", num_steps=num_steps)
    weights = coarser_weights("gauss_legendre", num_steps=num_steps)
    kept = np.count_nonzero(weights)
    for degree in range(kept):
        assert weights @ nodes**degree == pytest.approx(1 / (degree + 1), abs=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_the_coarser_rule_errs_more(rule):
    """Of an integrand that neither gets right: e to the fifth power of the place."""
    nodes, weights = nodes_and_weights(rule, num_steps=9)
    exact = (np.exp(5) - 1) / 5
    fine, coarse = (
        abs(w @ np.exp(5 * nodes) - exact)
        for w in (weights, coarser_weights(rule, num_steps=9))
    )
    assert coarse > fine or rule in ("left", "right")


def test_one_node_has_no_half():
    assert coarser_weights("midpoint", num_steps=1) is None


@pytest.mark.parametrize("size", [1, 3, 4, 7])
def test_blocks_hold_every_node_once(size):
    nodes, weights = nodes_and_weights("gauss_legendre", num_steps=7)
    blocks = node_blocks(nodes, np.stack([weights, 2 * weights], axis=1), size=size)
    assert all(len(n) == len(w) == size for n, w in blocks)
    total = sum((w * (n**3)[:, None]).sum(axis=0) for n, w in blocks)
    np.testing.assert_allclose(total, [0.25, 0.5], rtol=1e-6)
