"""A convolution that each platform computes its own way, differentiable without end.

`convolve` and its gradient by the kernel are bilinear, and every derivative of one is
one of the two again: so forward mode, reverse mode, both of both, and `vmap` stay among
them. On GPU and TPU they are XLA's own convolution; on CPU what is fastest there, see
`stylejax.nn.conv_forms`.

A primitive is used because `jax.custom_vjp` refuses forward mode, which the explainers
use, and because the choice must fall when a program is lowered, not when it is traced.
"""

import functools
from typing import Any

import jax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from stylejax.nn import conv_forms
from stylejax.nn.kernel_gradients import Padding

_NONE: Padding = ((0, 0), (0, 0))


def convolve(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: int = 1,
    padding: Padding = _NONE,
    dilation: int = 1,
) -> jax.Array:
    """The cross-correlation of activations with a kernel.

    Args:
      x: activations `b h w c`.
      kernel: weights `kh kw c o`.
      stride: step along both sides.
      padding: zeros ((above, below), (left, right)); below 0 crops.
      dilation: `dilation - 1` zeros stand between the positions of `x`.

    Returns:
      Array `b h' w' o`. It may be jitted, mapped and differentiated in any order.
    """
    if _varies(x) or _varies(kernel):  # inside jax.shard_map
        return conv_forms.plain(
            x, kernel, stride=stride, padding=padding, dilation=dilation
        )
    return _convolve_p.bind(
        x,
        kernel,
        stride=stride,
        padding=tuple(map(tuple, padding)),
        dilation=dilation,
        turned=False,
        # The surrounding `jax.default_matmul_precision` is over when it is lowered.
        precision=jax.config.jax_default_matmul_precision,  # type: ignore[attr-defined]
    )


def _varies(x: Any) -> bool:
    """Whether it varies over a mesh axis: a type that our primitives do not know."""
    kind = jax.typeof(x)
    # Its name differs between releases of jax (0.10: `mat`, before: `vma`).
    axes = getattr(getattr(kind, "mat", None), "varying", None)
    return bool(getattr(kind, "vma", ()) if axes is None else axes)


_convolve_p = Primitive("stylejax_convolve")
_kernel_p = Primitive("stylejax_kernel_gradient")

_STATIC = ("stride", "padding", "dilation", "precision")
_convolve_p.def_impl(jax.jit(_convolve_p.bind, static_argnames=("turned", *_STATIC)))
_kernel_p.def_impl(jax.jit(_kernel_p.bind, static_argnames=("size", *_STATIC)))


def _shape_of(plain: Any) -> Any:
    def rule(*avals: Any, **options: Any) -> Any:
        shapes = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in avals]
        out = jax.eval_shape(functools.partial(plain, **options), *shapes)
        return jax.core.ShapedArray(out.shape, out.dtype)

    return rule


_convolve_p.def_abstract_eval(_shape_of(conv_forms.plain))
_kernel_p.def_abstract_eval(_shape_of(conv_forms.plain_kernel_gradient))


def _input_gradient(
    cotangent: jax.Array,
    kernel: jax.Array,
    *,
    shape: tuple[int, ...],
    stride: int,
    padding: Padding,
    dilation: int,
    turned: bool,
    precision: Any,
) -> jax.Array:
    """What `convolve` sends back to its input: a convolution with the turned kernel."""
    pads = conv_forms.turned_padding(
        shape,
        cotangent.shape,
        size=kernel.shape[:2],
        stride=stride,
        padding=padding,
        dilation=dilation,
    )
    return _convolve_p.bind(
        cotangent,
        kernel,
        stride=dilation,
        padding=pads,
        dilation=stride,
        turned=not turned,
        precision=precision,
    )


def _convolve_to_input(ct: jax.Array, x: Any, kernel: jax.Array, **options: Any) -> Any:
    return _input_gradient(ct, kernel, shape=x.aval.shape, **options)


def _convolve_to_kernel(
    ct: jax.Array, x: jax.Array, kernel: Any, *, turned: bool, **options: Any
) -> Any:
    found = _kernel_p.bind(x, ct, size=kernel.aval.shape[:2], **options)
    return jax.lax.rev(found, (0, 1)).swapaxes(2, 3) if turned else found


def _kernel_to_input(
    ct: jax.Array, x: Any, output: jax.Array, *, size: Any, **options: Any
) -> jax.Array:
    return _input_gradient(output, ct, shape=x.aval.shape, turned=False, **options)


def _kernel_to_output(
    ct: jax.Array, x: jax.Array, output: Any, *, size: Any, **options: Any
) -> jax.Array:
    return _convolve_p.bind(x, ct, turned=False, **options)


ad.defbilinear(_convolve_p, _convolve_to_input, _convolve_to_kernel)
ad.defbilinear(_kernel_p, _kernel_to_input, _kernel_to_output)


def _convolve_batched(args: Any, dims: Any, **options: Any) -> tuple[jax.Array, int]:
    (x, kernel), (x_dim, kernel_dim) = args, dims
    if kernel_dim is None:  # more pictures
        x = jax.numpy.moveaxis(x, x_dim, 0)
        y = _convolve_p.bind(x.reshape(-1, *x.shape[2:]), kernel, **options)
        return y.reshape(*x.shape[:2], *y.shape[1:]), 0
    if x_dim is None:  # more output channels
        kernel = jax.numpy.moveaxis(kernel, kernel_dim, 2 if options["turned"] else 3)
        out = kernel.shape[2:4] if options["turned"] else kernel.shape[3:]
        rest = (-1, kernel.shape[4]) if options["turned"] else (kernel.shape[2], -1)
        y = _convolve_p.bind(x, kernel.reshape(*kernel.shape[:2], *rest), **options)
        return y.reshape(*y.shape[:3], *out), 3
    plain: Any = functools.partial(conv_forms.plain, **options)
    return jax.vmap(plain, (x_dim, kernel_dim))(x, kernel), 0


def _kernel_batched(args: Any, dims: Any, **options: Any) -> tuple[jax.Array, int]:
    (x, output), (x_dim, output_dim) = args, dims
    if x_dim is None:  # more output channels
        output = jax.numpy.moveaxis(output, output_dim, 3)
        y = _kernel_p.bind(x, output.reshape(*output.shape[:3], -1), **options)
        return y.reshape(*y.shape[:3], *output.shape[3:]), 3
    if output_dim is None:  # more input channels
        x = jax.numpy.moveaxis(x, x_dim, 3)
        y = _kernel_p.bind(x.reshape(*x.shape[:3], -1), output, **options)
        return y.reshape(*y.shape[:2], *x.shape[3:], y.shape[3]), 2
    plain: Any = functools.partial(conv_forms.plain_kernel_gradient, **options)
    return jax.vmap(plain, (x_dim, output_dim))(x, output), 0


batching.primitive_batchers[_convolve_p] = _convolve_batched
batching.primitive_batchers[_kernel_p] = _kernel_batched


def _register() -> None:
    for primitive, everywhere, on_cpu in (
        (_convolve_p, conv_forms.plain, conv_forms.on_cpu),
        (
            _kernel_p,
            conv_forms.plain_kernel_gradient,
            conv_forms.kernel_gradient_on_cpu,
        ),
    ):
        lower = functools.partial(mlir.lower_fun, multiple_results=False)
        mlir.register_lowering(primitive, lower(everywhere))
        mlir.register_lowering(primitive, lower(on_cpu), platform="cpu")


_register()
