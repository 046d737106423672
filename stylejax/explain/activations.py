"""Read and edit what flows inside Flax Linen networks, without changing them.

Works around any function that calls modules, whatever it does before and after them:
`record(fn)(image)` returns the output and every module's output by name, and
`edit(fn, edits=...)` is the function with some of them replaced. Both are pure and may
be jitted, vmapped and differentiated; the gradient with respect to `Add(zeros)` is the
gradient of the activation.

A name is the module's path, `block_0/conv_0`; the outermost module is `/`; a method
other than `__call__` follows a dot, `decoder.sample`. A module that is called more than
once has `conv#0`, `conv#1`, in the order of the calls; one that returns several arrays
has `cell[0]`, `cell[1]`, or `net[relu4_1]` for a dictionary. What is no module, like a
bare `nn.relu`, has no name, unless the function calls `stylejax.explain.marks.mark`.

Modules inside `nn.remat`, `nn.jit`, `nn.vmap` and an inner `jax.jit` are within reach;
those inside a scan or another loop, a branch, or a gradient that the function itself
takes are refused. An inner `jax.jit` that was traced before is traced again: JAX would
else reuse a trace in which no interceptor ran, and nothing would be seen or edited.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax import linen as nn

from stylejax.explain.edits import Edits, Run
from stylejax.explain.marks import Traced, evaluate, mark, trace

_ROOT = "/"
# Part of the key of every cache of traces: marked and unmarked ones are kept apart.
_marking = jax.make_user_context(default_value=None)


def activation_paths(
    fn: Callable | nn.Module, *args: Any
) -> dict[str, jax.ShapeDtypeStruct]:
    """The names that can be read and edited, with shapes, in the order they happen.

    Args:
      fn: a function that calls Flax Linen modules, or a module (then `args` are its
        variables and its inputs).
      *args: what it is called with: arrays or `jax.ShapeDtypeStruct`; nothing is
        computed.

    Returns:
      Dictionary from name to shape and dtype.

    Raises:
      ValueError: no module ran.

    Example:
      >>> variables = {"params": {"kernel": np.ones((3, 4))}}
      >>> activation_paths(nn.Dense(4, use_bias=False), variables, np.ones((1, 3)))
      {'/': ShapeDtypeStruct(shape=(1, 4), dtype=float32)}
    """
    return dict(_trace(fn, args).listing.shapes)


def with_activations(
    fn: Callable | nn.Module, *, names: Sequence[str] | None = None
) -> Run:
    """The function as `run(*args, edits) -> (output, activations)`.

    `edits` goes from names to what `stylejax.explain.edits.apply_edit` takes: an array,
    a pair (mask, value), `Add`, `Scale`, or a function of the activation.

    Args:
      fn: a function of arrays that calls Flax Linen modules, or a module (then `args`
        are its variables and its inputs).
      names: activations to return; None returns all. They are returned as they flow
        on, after an edit. A rematerialised block that holds one is not recomputed.

    Returns:
      `run(*args, edits)`; it raises ValueError for a name that does not exist (the
      message lists what does) or cannot be reached, and for an edit that does not fit.

    Example:
      >>> variables = {"params": {"kernel": np.eye(2)}}
      >>> run = with_activations(nn.Dense(2, use_bias=False))
      >>> run(variables, np.ones((1, 2)), {"/": np.array([[0.0, 3.0]])})[0]
      Array([[0., 3.]], dtype=float32)
    """

    def run(*args: Any) -> tuple[Any, dict[str, jax.Array]]:
        *inputs, edits = args or ((),)
        if not isinstance(edits, Mapping):
            raise TypeError(
                "edits: expected a dictionary from names to edits as last argument,"
                f" got {type(edits).__name__}; {{}} edits nothing"
            )
        traced = _trace(fn, tuple(inputs))
        wanted = traced.listing.shapes if names is None else names
        return evaluate(traced, tuple(inputs), names=wanted, edits=edits)

    return run


def record(
    fn: Callable | nn.Module, *, names: Sequence[str] | None = None
) -> Callable[..., tuple[Any, dict[str, jax.Array]]]:
    """The function that also returns the activations on its way.

    Args:
      fn: a function of arrays that calls Flax Linen modules, or a module.
      names: which, as `activation_paths` lists them; None takes all.

    Returns:
      `recorded(*args) -> (output, {name: array})`.

    Example:
      >>> net = nn.Sequential([nn.Dense(2), nn.Dense(2)])
      >>> variables = net.init(jax.random.key(0), np.ones((1, 3)))
      >>> list(record(net)(variables, np.ones((1, 3)))[1])
      ['layers_0', 'layers_1', '/']
    """
    run = with_activations(fn, names=names)
    return lambda *args: run(*args, {})


def edit(fn: Callable | nn.Module, *, edits: Edits) -> Callable[..., Any]:
    """The function with some activations edited.

    Args:
      fn: a function of arrays that calls Flax Linen modules, or a module.
      edits: from name to edit, see `with_activations`.

    Returns:
      `edited(*args) -> output`.
    """
    run = with_activations(fn, names=())
    return lambda *args: run(*args, edits)[0]


def _trace(fn: Callable | nn.Module, args: tuple[Any, ...]) -> Traced:
    function = fn.apply if isinstance(fn, nn.Module) else fn
    with _marking(True), nn.intercept_methods(_marker()):
        traced = trace(function, args)
    if not traced.listing.shapes and not traced.listing.hidden:
        raise ValueError(
            "fn: expected a function that calls Flax Linen modules, but none ran while"
            " it was traced; hand over the Python function itself, not a program made"
            " from it before (by jax.make_jaxpr, jax.export or a cache of your own)"
        )
    return traced


def _marker() -> Callable[..., Any]:
    """An interceptor that marks what public methods return."""
    running: list[str] = []

    def intercept(method: Callable, args: Any, kwargs: Any, context: Any) -> Any:
        called = context.method_name
        name = "/".join(context.module.path) or _ROOT
        name += "" if called == "__call__" else f".{called}"
        # A call of the parent class's method is the same call, and so is the inside of
        # a lifted module.
        if not _is_public(called) or name in running:
            return method(*args, **kwargs)
        running.append(name)
        try:
            output = method(*args, **kwargs)
        finally:
            running.pop()
        return jax.tree_util.tree_map_with_path(
            lambda path, leaf: _marked(leaf, name + _leaf_name(path)), output
        )

    return intercept


def _is_public(method: str) -> bool:
    named = method.isidentifier() and not method.startswith("_") and method != "setup"
    return named or method == "__call__"


def _leaf_name(path: Any) -> str:
    return f"[{jax.tree_util.keystr(path, simple=True, separator='/')}]" if path else ""


def _marked(leaf: Any, name: str) -> Any:
    return mark(leaf, name=name) if isinstance(leaf, jax.Array | np.ndarray) else leaf
