"""Values marked by name inside any function, to be read or edited from outside.

`mark(x, name="sky")` is an identity that carries a name; it may stand anywhere: in a
layer, a loss, a bare expression. A function with marks is traced, and the trace is
evaluated with the marked values read or replaced. That is pure, and an inner `jax.jit`
or `jax.checkpoint` is no obstacle: their bodies are evaluated in their place.

`stylejax.explain.activations` marks the outputs of Flax modules and is what most people
want. Nothing here knows a library of networks.

Reference: google/flax issue 5538, and `harvest` of the library oryx, whose idea of
  named values in a trace this is; ours edits as well as reads.
"""

import collections
import dataclasses
import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Literal, Primitive
from jax.interpreters import ad, batching, mlir

from stylejax.explain.edits import Edits, apply_edit

_LISTED = 60  # names in an error message
# Their body runs exactly once, so it can stand in the place of the call.
_CALLS = {"jit", "pjit", "closed_call", "core_call", "checkpoint", "remat", "remat2"}

_mark_p = Primitive("mark")
_mark_p.def_impl(lambda x, **_: x)
_mark_p.def_abstract_eval(lambda aval, **_: aval)
mlir.register_lowering(_mark_p, lambda ctx, x, **_: [x])


def _jvp(primals: Any, tangents: Any, *, name: str, inside: str) -> Any:
    # An edit here would change the value and not its derivative.
    return _mark_p.bind(*primals, name=name, inside="a derivative"), tangents[0]


def _batch(args: Any, dims: Any, *, name: str, inside: str) -> Any:
    return _mark_p.bind(jnp.moveaxis(args[0], dims[0], 0), name=name, inside=inside), 0


ad.primitive_jvps[_mark_p] = _jvp
batching.primitive_batchers[_mark_p] = _batch


def mark(x: Any, *, name: str) -> jax.Array:
    """The array itself, under a name by which explainers can read and edit it.

    Args:
      x: an array. Under `jax.vmap` the mapped axis is the first one seen from outside.
      name: what to call it; a name that is passed `n` times is read as `name#0` to
        `name#n-1`.

    Returns:
      `x`; compiled programs contain nothing of the mark.

    Example:
      >>> float(jax.jit(lambda x: mark(x, name="half") * 2)(1.5))
      3.0
    """
    return _mark_p.bind(jnp.asarray(x), name=name, inside="")


@dataclasses.dataclass(frozen=True)
class Listing:
    """The marks of a traced function.

    Attributes:
      shapes: shapes and dtypes of what can be reached, by name, in the order it runs.
      marks: the mark behind each name, without its number.
      counts: how often each mark is passed.
      hidden: marks that cannot be reached, and what they are inside of.
    """

    shapes: dict[str, jax.ShapeDtypeStruct]
    marks: dict[str, str]
    counts: Mapping[str, int]
    hidden: dict[str, str]

    def check(self, names: Iterable[str]) -> None:
        """Refuses names that are not there, in one line; returns nothing."""
        for name in names:
            if name not in self.shapes:
                raise ValueError(f"activation {name!r}: {self._reason(name)}")

    def _reason(self, name: str) -> str:
        parts = [n for n in self.shapes if n.startswith((f"{name}#", f"{name}["))]
        if parts:
            return f"several arrays have this name; say which: {', '.join(parts)}"
        if name in self.hidden:
            return (
                f"it is inside {self.hidden[name]}, where it cannot be told from"
                " outside; take one around it, or call it outside"
            )
        near = difflib.get_close_matches(str(name), self.shapes, n=3)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        listed = ", ".join(list(self.shapes)[:_LISTED])
        left = len(self.shapes) - _LISTED
        more = f" and {left} more, see activation_paths" if left > 0 else ""
        return f"expected a name that exists; {hint}there are {listed}{more}"


class Traced(NamedTuple):
    """A traced function: its equations, its constants, its output's tree, its marks."""

    jaxpr: Any
    consts: Sequence[Any]
    tree: Any
    listing: Listing


def trace(fn: Callable[..., Any], args: tuple[Any, ...]) -> Traced:
    """The trace of a function, and the marks in it.

    Args:
      fn: any function of arrays that JAX can trace.
      args: what it is called with: pytrees of arrays or of `jax.ShapeDtypeStruct`.

    Returns:
      A `Traced`; nothing is computed.
    """
    # A new function each time: what `fn` closes over may have changed.
    closed, shape = jax.make_jaxpr(lambda *a: fn(*a), return_shape=True)(*args)
    jaxpr, consts = _opened(closed)
    return Traced(
        jaxpr, consts, jax.tree.structure(shape), _listing(list(_marks(closed)))
    )


def evaluate(
    traced: Traced, args: tuple[Any, ...], *, names: Iterable[str], edits: Edits
) -> tuple[Any, dict[str, jax.Array]]:
    """The function's output and its marked values, some of them edited on the way.

    Args:
      traced: what `trace` returned.
      args: arrays of the shapes that it was traced with.
      names: marked values to return, after their edit.
      edits: from name to edit, see `stylejax.explain.edits`.

    Returns:
      The output, and a dictionary from name to array.

    Raises:
      ValueError: a name that does not exist or cannot be reached, or an edit that does
        not fit.

    Example:
      >>> traced = trace(lambda x: mark(x + 1, name="sum") * 2, (1.0,))
      >>> output, seen = evaluate(traced, (1.0,), names=["sum"], edits={"sum": 5.0})
      >>> float(output), float(seen["sum"])
      (10.0, 5.0)
    """
    names = set(names)
    traced.listing.check(sorted({*names, *edits}))
    evaluation = _Evaluation(traced.listing, names, edits)
    flat = evaluation.run(traced.jaxpr, traced.consts, jax.tree.leaves(args))
    return jax.tree.unflatten(traced.tree, flat), evaluation.values


def _opened(jaxpr: Any) -> tuple[Any, Sequence[Any]]:
    """A jaxpr and its constants, whether they come as one or not."""
    return getattr(jaxpr, "jaxpr", jaxpr), getattr(jaxpr, "consts", ())


def _bodies(eqn: Any) -> Iterator[Any]:
    """The jaxprs among an equation's parameters."""
    for leaf in jax.tree.leaves(list(eqn.params.values())):
        if hasattr(_opened(leaf)[0], "eqns"):
            yield leaf


def _marks(jaxpr: Any, *, inside: str = "") -> Iterator[tuple[str, Any, str]]:
    """(name, shape and dtype, what it is hidden in) of all marks, in order."""
    for eqn in _opened(jaxpr)[0].eqns:
        if eqn.primitive is _mark_p:
            aval = eqn.outvars[0].aval
            shape = jax.ShapeDtypeStruct(aval.shape, aval.dtype)
            yield eqn.params["name"], shape, inside or eqn.params["inside"]
        hides = "" if eqn.primitive.name in _CALLS else f"a {eqn.primitive.name}"
        for body in _bodies(eqn):
            yield from _marks(body, inside=inside or hides)


def _listing(marks: list[tuple[str, Any, str]]) -> Listing:
    reachable = [(mark, shape) for mark, shape, inside in marks if not inside]
    counts = collections.Counter(mark for mark, _ in reachable)
    passed: collections.Counter[str] = collections.Counter()
    shapes, names = {}, {}
    for name, shape in reachable:
        numbered = _numbered(name, counts, passed)
        shapes[numbered], names[numbered] = shape, name
    hidden = {name: inside for name, _, inside in marks if inside}
    return Listing(shapes, names, counts, hidden)


def _numbered(name: str, counts: Mapping[str, int], passed: collections.Counter) -> str:
    """The name of this pass of a mark; the pass is counted."""
    passed[name] += 1
    return name if counts[name] == 1 else f"{name}#{passed[name] - 1}"


class _Evaluation:
    """Runs a traced function, reading and replacing what is marked."""

    def __init__(self, listing: Listing, names: set[str], edits: Edits) -> None:
        self.values: dict[str, jax.Array] = {}
        self._listing, self._names, self._edits = listing, names, edits
        self._wanted = {listing.marks[name] for name in {*names, *edits}}
        self._passed: collections.Counter[str] = collections.Counter()

    def run(self, jaxpr: Any, consts: Sequence[Any], args: Sequence[Any]) -> list[Any]:
        """The outputs of a jaxpr, its equations evaluated one by one."""
        env = dict(zip(jaxpr.constvars, consts, strict=True))
        env.update(zip(jaxpr.invars, args, strict=True))

        def read(atom: Any) -> Any:
            return atom.val if isinstance(atom, Literal) else env[atom]

        for eqn in jaxpr.eqns:
            outputs = self._step(eqn, [read(atom) for atom in eqn.invars])
            env.update(zip(eqn.outvars, outputs, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _step(self, eqn: Any, inputs: list[Any]) -> Sequence[Any]:
        primitive, params = eqn.primitive, eqn.params
        if primitive is _mark_p:
            seen = not params["inside"] and params["name"] in self._wanted
            return [self._visit(params["name"], inputs[0])] if seen else inputs
        # What holds no wanted mark stays a call: compiled, or recomputed, as it was.
        if primitive.name in _CALLS and self._holds_wanted(eqn):
            (body,) = _bodies(eqn)
            return self.run(*_opened(body), inputs)
        with eqn.ctx.manager:
            outputs = primitive.bind(*inputs, **primitive.get_bind_params(params))
        return outputs if primitive.multiple_results else [outputs]

    def _holds_wanted(self, eqn: Any) -> bool:
        marks = (mark for body in _bodies(eqn) for mark, *_ in _marks(body))
        return not self._wanted.isdisjoint(marks)

    def _visit(self, mark: str, x: jax.Array) -> jax.Array:
        name = _numbered(mark, self._listing.counts, self._passed)
        if name in self._edits:
            x = apply_edit(x, self._edits[name], name=name)
        if name in self._names:
            self.values[name] = x
        return x
