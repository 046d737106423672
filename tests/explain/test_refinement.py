"""Refinement of a path: only what does not add up is halved, within the budget."""

import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain.paths import StraightPath
from stylejax.explain.refinement import refine

IMAGE, START = jnp.ones((1, 1, 1)), jnp.zeros((1, 1, 1))


def kinked(images):
    """Smooth (linear) but for a kink at 0.8."""
    x = images.sum(axis=(1, 2, 3))
    return x + 5 * jnp.maximum(x - 0.8, 0)


def refined(fn, *, allowed, max_steps, num_steps=4):
    path = StraightPath(
        fn, IMAGE, START, num_steps=num_steps, rule="gauss_legendre", chunk=None
    )
    ends = path.value_at(0.0), path.value_at(1.0)
    whole = path.piece(0.0, 1.0, values=ends, num_steps=num_steps)
    return path, *refine(path, [whole], allowed=allowed, max_steps=max_steps)


def test_pieces_get_short_where_the_kink_is():
    path, pieces, met = refined(kinked, allowed=1e-3, max_steps=400)
    assert met
    lengths = [piece.stop - piece.start for piece in pieces]
    assert sum(lengths) == pytest.approx(1)
    shortest = pieces[int(np.argmin(lengths))]
    assert min(lengths) < 0.01 and abs(shortest.start - 0.8) < 0.02
    # What adds up from the start is kept as it is.
    assert max(lengths) == 0.5 and pieces[0].stop == 0.5
    for before, after in zip(pieces, pieces[1:], strict=False):
        assert before.stop == after.start and before.values[1] == after.values[0]
    assert max(abs(piece.error) for piece in pieces) <= 1e-3
    total = sum(float(piece.gradients[0].sum()) for piece in pieces)
    assert total == pytest.approx(path.value_at(1.0) - path.value_at(0.0), abs=1e-3)


def test_a_budget_that_is_spent_says_so():
    _, pieces, met = refined(kinked, allowed=1e-9, max_steps=20)
    assert not met
    assert sum(piece.num_steps for piece in pieces) == 20


def test_what_adds_up_is_left_alone():
    _, pieces, met = refined(lambda x: x.sum(axis=(1, 2, 3)), allowed=1e-5, max_steps=4)
    assert met and len(pieces) == 1


def test_errors_of_two_pieces_that_cancel_are_no_excuse():
    def valley(images):
        x = images.sum(axis=(1, 2, 3)) - 0.5
        return jnp.maximum(x - 0.13, 0) + jnp.maximum(-x - 0.13, 0)

    path = StraightPath(
        valley, IMAGE, START, num_steps=3, rule="gauss_legendre", chunk=None
    )
    ends = [path.value_at(alpha) for alpha in (0.0, 0.5, 1.0)]
    halves = [
        path.piece(0.0, 0.5, values=(ends[0], ends[1]), num_steps=3),
        path.piece(0.5, 1.0, values=(ends[1], ends[2]), num_steps=3),
    ]
    errors = [piece.error for piece in halves]
    assert abs(errors[0]) > 1e-3 and abs(sum(errors)) < 1e-6
    pieces, met = refine(path, halves, allowed=1e-3, max_steps=400)
    assert met and len(pieces) > 4
    assert max(abs(piece.error) for piece in pieces) <= 1e-3
