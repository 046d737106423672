"""Marks in plain functions: nothing here knows a library of networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain.edits import Add
from stylejax.explain.marks import evaluate, mark, trace

X = jnp.array([1.0, 2.0, 3.0])


def watched(fn, *args, names=None, edits=()):
    traced = trace(fn, args)
    names = traced.listing.shapes if names is None else names
    return evaluate(traced, args, names=names, edits=dict(edits))


def bare(x):
    """A bare expression with two names in it."""
    return mark(mark(x * 2, name="twice") + 1, name="more") ** 2


def test_a_mark_changes_nothing():
    np.testing.assert_allclose(bare(X), (2 * X + 1) ** 2)
    np.testing.assert_allclose(jax.jit(bare)(X), (2 * X + 1) ** 2)
    gradient = jax.grad(lambda x: bare(x).sum())(X)
    np.testing.assert_allclose(gradient, 4 * (2 * X + 1))
    np.testing.assert_allclose(jax.vmap(bare)(X), (2 * X + 1) ** 2)
    assert mark(3, name="whole").dtype == jnp.int32


def test_a_compiled_program_holds_nothing_of_a_mark():
    text = jax.jit(lambda x: mark(x, name="secret_name")).lower(X).as_text()
    assert "secret_name" not in text


def test_values_are_read_in_the_order_they_run():
    output, seen = watched(bare, X)
    np.testing.assert_allclose(output, (2 * X + 1) ** 2)
    assert list(seen) == ["twice", "more"]
    np.testing.assert_allclose(seen["twice"], 2 * X)
    np.testing.assert_allclose(seen["more"], 2 * X + 1)


def test_an_edit_reaches_what_comes_after_it_and_is_what_is_read():
    output, seen = watched(bare, X, edits={"twice": Add(10.0)})
    np.testing.assert_allclose(output, (2 * X + 11) ** 2)
    np.testing.assert_allclose(seen["twice"], 2 * X + 10)


def test_trees_of_arguments_and_outputs_keep_their_form():
    def fn(tree, number):
        return {"sum": mark(tree["a"] + tree["b"][0], name="s"), "none": None}, number

    output, seen = watched(fn, {"a": X, "b": (X,)}, 2.0)
    assert list(output[0]) == ["none", "sum"] and output[0]["none"] is None
    assert output[1] == 2.0
    np.testing.assert_allclose(seen["s"], 2 * X)


@pytest.mark.parametrize(
    "wrap", [jax.jit, jax.checkpoint, lambda f: jax.jit(jax.jit(f))]
)
def test_inner_programs_are_no_obstacle(wrap):
    inner = wrap(lambda x: mark(jnp.sin(x), name="sine") * 3)
    output, seen = watched(lambda x: inner(x) + 1, X, edits={"sine": Add(1.0)})
    np.testing.assert_allclose(output, 3 * (jnp.sin(X) + 1) + 1, rtol=1e-6)
    np.testing.assert_allclose(seen["sine"], jnp.sin(X) + 1, rtol=1e-6)


def test_an_inner_program_called_twice_has_two_numbered_values():
    """The second call reuses the first one's trace; its value is still its own."""
    inner = jax.jit(lambda x: mark(x + 1, name="m"))
    edits = {"m#1": Add(100.0)}
    output, seen = watched(lambda x: inner(inner(x)), X, edits=edits)
    assert list(seen) == ["m#0", "m#1"]
    np.testing.assert_allclose(seen["m#0"], X + 1)
    np.testing.assert_allclose(output, X + 102)


def test_what_holds_no_wanted_mark_stays_a_call():
    """So a rematerialised block that nobody looks into is still recomputed."""
    block = jax.checkpoint(lambda x: mark(jnp.sin(x), name="in") * 2)

    def fn(x):
        return mark(block(x), name="out")

    def primitives(names):
        run = lambda x: watched(fn, x, names=names)[0]  # noqa: E731
        return {e.primitive.name for e in jax.make_jaxpr(run)(X).eqns}

    assert any("remat" in p or "checkpoint" in p for p in primitives(["out"]))
    assert not any("remat" in p or "checkpoint" in p for p in primitives(["in"]))


def scanned(x):
    return jax.lax.scan(lambda c, _: (mark(c + 1, name="m"), None), x, None, length=3)[
        0
    ]


def branched(x):
    return jax.lax.cond(x[0] > 0, lambda y: mark(y + 1, name="m"), lambda y: y, x)


def derived(x):
    return jax.grad(lambda y: mark(y**2, name="m").sum())(x)


@jax.custom_jvp
def ruled(x):
    return mark(x**2, name="m")


ruled.defjvp(lambda primals, tangents: (ruled(*primals), 5.0 * tangents[0]))


@pytest.mark.parametrize(
    ("fn", "where"),
    [
        (scanned, "a scan"),
        (branched, "a cond"),
        (derived, "a derivative"),
        (ruled, "a custom_jvp_call"),
    ],
)
def test_what_cannot_be_told_from_outside_is_refused_and_still_runs(fn, where):
    with pytest.raises(ValueError, match=f"'m': it is inside {where}"):
        watched(fn, X, names=["m"])
    with pytest.raises(ValueError, match=f"'m': it is inside {where}"):
        watched(fn, X, edits={"m": Add(1.0)})
    output, seen = watched(fn, X)
    assert seen == {}
    np.testing.assert_allclose(output, fn(X))


def test_a_name_inside_and_outside_a_loop_is_the_one_outside():
    fn = lambda x: mark(scanned(x) * 2, name="m")  # noqa: E731
    output, seen = watched(fn, X, edits={"m": Add(1.0)})
    np.testing.assert_allclose(output, 2 * (X + 3) + 1)
    np.testing.assert_allclose(seen["m"], output)


def test_a_rule_of_differentiation_survives():
    """The function's own rule says 5; the true derivative would be 2 x."""
    run = lambda x: watched(lambda y: mark(ruled(y), name="o"), x)[0].sum()  # noqa: E731
    np.testing.assert_allclose(jax.grad(run)(X), 5.0)


def test_the_mapped_axis_is_the_first_one_seen():
    def fn(x):  # maps over the last axis
        return jax.vmap(lambda c: mark(c * 2, name="m"), in_axes=1, out_axes=1)(x)

    x = jnp.arange(6.0).reshape(2, 3)
    output, seen = watched(fn, x, edits={"m": Add(jnp.arange(3.0)[:, None])})
    np.testing.assert_allclose(seen["m"], 2 * x.T + np.arange(3)[:, None])
    np.testing.assert_allclose(output, 2 * x + np.arange(3)[None])


def test_what_a_function_closes_over_is_looked_at_anew():
    box = {"factor": 2.0}
    fn = lambda x: mark(x * box["factor"], name="m")  # noqa: E731
    first = watched(fn, X)[0]
    box["factor"] = 3.0
    np.testing.assert_allclose(watched(fn, X)[0] / first, 1.5)


def test_derivatives_reach_closed_over_values():
    def loss(factor):
        inner = jax.jit(lambda x: mark(x * factor, name="m"))
        return watched(inner, X, edits={"m": Add(factor)})[0].sum()

    np.testing.assert_allclose(jax.grad(loss)(2.0), X.sum() + 3)


def test_run_under_jit_vmap_and_grad_together():
    def effect(value, x):
        return watched(bare, x, names=[], edits={"twice": Add(value)})[0].sum()

    values = jnp.stack([jnp.zeros(3), jnp.ones(3)])
    gradient = jax.jit(jax.vmap(jax.grad(effect), in_axes=(0, None)))(values, X)
    np.testing.assert_allclose(gradient, 2 * (2 * X + 1)[None] + 2 * values)


def test_a_wrong_name_gets_close_matches_and_all_names():
    with pytest.raises(ValueError, match="did you mean twice.*there are twice, more"):
        watched(bare, X, names=["twcie"])


def test_a_long_list_of_names_is_cut():
    def many(x):
        for i in range(70):
            x = mark(x, name=f"m{i:02}")
        return x

    with pytest.raises(ValueError, match="m59 and 10 more"):
        watched(many, X, names=["zzz"])
