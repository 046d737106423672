"""Rules that turn an integral over [0, 1] into a weighted sum.

Nodes and weights are NumPy float64, made on the host: they depend on no picture. The
weights of every rule sum to one, so that every rule is exact for a linear function
(whose gradient along the path is constant). Every rule has a coarser one on half its
nodes: the difference of the two is an error estimate that costs no evaluation.
"""

from collections.abc import Callable

import numpy as np

from stylejax.checks import check_choice

Rule = tuple[np.ndarray, np.ndarray]


def _gauss_legendre(n: int) -> Rule:
    nodes, weights = np.polynomial.legendre.leggauss(n)
    return (nodes + 1) / 2, weights / weights.sum()


def _midpoint(n: int) -> Rule:
    return (np.arange(n) + 0.5) / n, np.full(n, 1 / n)


def _trapezoid(n: int) -> Rule:
    # n nodes span n - 1 intervals: dividing by n instead loses 1/n of the integral.
    weights = np.full(n, 1 / (n - 1))
    weights[[0, -1]] /= 2
    return np.linspace(0, 1, n), weights


def _left(n: int) -> Rule:
    return np.arange(n) / n, np.full(n, 1 / n)


def _right(n: int) -> Rule:
    return (np.arange(n) + 1) / n, np.full(n, 1 / n)


RULES: dict[str, Callable[[int], Rule]] = {
    "gauss_legendre": _gauss_legendre,
    "midpoint": _midpoint,
    "trapezoid": _trapezoid,
    "left": _left,
    "right": _right,
}
"""From a rule's name to the function of the number of nodes that makes it."""


def nodes_and_weights(rule: str, *, num_steps: int) -> Rule:
    """Nodes `alpha_i` and weights `w_i` with `sum w_i g(alpha_i) ~ int_0^1 g`.

    `gauss_legendre` is exact for polynomials of degree `2 num_steps - 1`, `midpoint`
    and `trapezoid` err by O(1/n^2), `left` and `right` by O(1/n).

    Args:
      rule: a name in `RULES`.
      num_steps: number of nodes, at least 1 (`trapezoid`: at least 2).

    Returns:
      Two float64 arrays of length `num_steps`: increasing nodes in [0, 1], and
      positive weights that sum to one.

    Raises:
      ValueError: unknown rule, or too few nodes for it.

    Example:
      >>> nodes, weights = nodes_and_weights("trapezoid", num_steps=3)
      >>> nodes.tolist(), weights.tolist()
      ([0.0, 0.5, 1.0], [0.25, 0.5, 0.25])
    """
    check_choice(rule, choices=RULES, name="rule")
    fewest = 2 if rule == "trapezoid" else 1
    if not isinstance(num_steps, int | np.integer) or num_steps < fewest:
        raise ValueError(
            f"num_steps: expected a whole number of at least {fewest} for rule"
            f" {rule!r}, got {num_steps}"
        )
    return RULES[rule](int(num_steps))


def coarser_weights(rule: str, *, num_steps: int) -> np.ndarray | None:
    """Weights of a rule on half the nodes of `rule`, zero at the others.

    Gauss-Legendre: the interpolating rule on every other node, exact to the degree of
    its number. The others: the integral of the straight lines between every other node.

    Args:
      rule: a name in `RULES`.
      num_steps: number of nodes of the full rule.

    Returns:
      float64 of length `num_steps`, non-negative, summing to one; None for one node,
      of which there is no half.

    Raises:
      ValueError: unknown rule, or too few nodes for it.

    Example:
      >>> coarser_weights("trapezoid", num_steps=5).tolist()
      [0.25, 0.0, 0.5, 0.0, 0.25]
    """
    nodes, _ = nodes_and_weights(rule, num_steps=num_steps)
    if num_steps < 2:
        return None
    weights = np.zeros(num_steps)
    if rule == "gauss_legendre":
        # The inner nodes of an odd rule: symmetric, as the rule itself.
        kept = np.arange(num_steps % 2, num_steps, 2)
        polynomials = np.polynomial.legendre.legvander(2 * nodes[kept] - 1, len(kept))
        moments = np.eye(1, len(kept))[0]
        weights[kept] = np.linalg.solve(polynomials[:, :-1].T, moments)
        return weights
    kept = np.unique([*range(0, num_steps, 2), num_steps - 1])
    edges = np.concatenate([[0], (nodes[kept][1:] + nodes[kept][:-1]) / 2, [1]])
    weights[kept] = np.diff(edges)
    return weights


def node_blocks(nodes: np.ndarray, weights: np.ndarray, *, size: int) -> list[Rule]:
    """Nodes and weights in blocks of one size, for a compiled function of that size.

    Args:
      nodes: (n,).
      weights: (n, r), of one or several rules.
      size: nodes of a block.

    Returns:
      Pairs of float32 arrays (size,) and (size, r). The last is filled up with its last
      node, which is as finite as a real one, at weight zero.

    Example:
      >>> blocks = node_blocks(np.array([0.1, 0.5, 0.9]), np.ones((3, 1)), size=2)
      >>> blocks[1][0].tolist(), blocks[1][1][:, 0].tolist()
      ([0.8999999761581421, 0.8999999761581421], [1.0, 0.0])
    """
    padding = -len(nodes) % size
    nodes = np.pad(nodes.astype(np.float32), (0, padding), mode="edge")
    weights = np.pad(weights.astype(np.float32), ((0, padding), (0, 0)))
    pairs = nodes.reshape(-1, size), weights.reshape(-1, size, weights.shape[-1])
    return list(zip(*pairs, strict=True))
