"""Painting a picture in the style of others, by any method: `stylejax.stylize`."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stylejax import stylizers
from stylejax.checks import check_choice, check_image, check_positive
from stylejax.image import resize
from stylejax.methods import FIXED, STYLIZERS
from stylejax.methods.control import StyleControl
from stylejax.pretrained import registry
from stylejax.stylizers import Stylizer
from stylejax.typing import Image


def stylize(
    content: Any,
    style: Any,
    *,
    control: StyleControl | None = None,
    method: str = "gatys",
    config: Any = None,
    checkpoint: str | os.PathLike | Stylizer = "",
    size: int | None = None,
    seed: int = 0,
    on_progress: Callable[[Any], None] | None = None,
) -> Image:
    """The content painted in the style, or in several.

    Args:
        content: one picture (h, w, 3) or several of a size (b, h, w, 3), in [0, 1].
        style: one picture (h, w, 3) or (1, h, w, 3) in [0, 1], or a list of such, of
            any sizes; of feedforward, a name of a style that it knows, or several.
        control: strength, mixture, regions, colours, strokes, what to keep.
        method: a key of `stylejax.methods.STYLIZERS`.
        config: the method's configuration; None takes its defaults.
        checkpoint: of a learned method: a shipped name, a file, the folder of a
            training, or what `stylejax.stylizers.load` gave; "" takes the one that
            ships under the method's name.
        size: longer side of the result in pixels; None keeps the content's size.
        seed: of whatever the method draws.
        on_progress: is called with the method's progress now and then.

    Returns:
        Pictures in [0, 1], float32, of the rank of `content`.

    Raises:
        ValueError: no such pictures, method or seed, or a control that cannot be
            obeyed.
        TypeError: pictures that are not float.
    """
    check_choice(method, choices=STYLIZERS, name="method")
    _check_no_path(content, "content")
    is_single = np.ndim(content) == 3
    pictures = content[None] if is_single else content
    check_image(pictures, name="content")
    _check_range(pictures, "content")
    styles = _listed(style)
    if method not in FIXED:
        styles = [_one_picture(x, f"style {i}") for i, x in enumerate(styles)]
    pictures = jnp.asarray(pictures, jnp.float32)
    if size is not None:
        check_positive(size, name="size")
        if not float(size).is_integer():
            raise ValueError(f"size: expected a whole number of pixels, got {size}")
        pictures = resize.fit_longer_side(pictures, int(size))
    if not -(2**63) <= seed < 2**63:
        raise ValueError(f"seed: expected a number of 64 bits, got {seed}")
    control = control or StyleControl()
    if method in stylizers.PAINTERS:
        model = _stylizer(method, checkpoint, config)
        painted = model.stylize(pictures, styles, control=control)
    else:
        _check_optimized(method, checkpoint)
        options = {} if config is None else {"config": config}
        painted = STYLIZERS[method].stylize(
            jax.random.key(seed),
            pictures,
            styles,
            control=control,
            on_progress=on_progress,
            **options,
        )
    return painted[0] if is_single else painted


def _stylizer(
    method: str, checkpoint: str | os.PathLike | Stylizer, config: Any
) -> Stylizer:
    if not isinstance(checkpoint, Stylizer):
        name = os.fspath(checkpoint) or method
        is_shipped = name in registry.names()
        checkpoint = (
            stylizers.load_shipped(name) if is_shipped else stylizers.load(name)
        )
    if checkpoint.method != method:
        raise ValueError(
            f"checkpoint: expected one of method {method!r}, got one of"
            f" {checkpoint.method!r}; ask for that method"
        )
    if config is None:
        return checkpoint
    return dataclasses.replace(checkpoint, config=config)


def _check_optimized(method: str, checkpoint: Any) -> None:
    if checkpoint != "":
        raise ValueError(
            f"checkpoint: {method} has none, it optimises; expected one of"
            f" {', '.join(stylizers.PAINTERS)} as the method, or no checkpoint"
        )


def _check_no_path(pictures: Any, name: str) -> None:
    if isinstance(pictures, str | os.PathLike):
        raise TypeError(
            f"{name}: expected an array, got the path {os.fspath(pictures)!r};"
            " read it with stylejax.image.files.read"
        )


def _check_range(pictures: Image, name: str) -> None:
    """Refuses what is no picture in [0, 1]; resampling may overshoot it a little."""
    low, high = float(jnp.min(pictures)), float(jnp.max(pictures))
    if not (low > -0.5 and high < 1.5):
        raise ValueError(
            f"{name}: expected values in [0, 1], got {low:.3g} to {high:.3g}; scale"
            " them, or read the file with stylejax.image.files.read"
        )


def _listed(style: Any) -> Sequence[Any]:
    if isinstance(style, list | tuple):
        return style
    if np.ndim(style) == 4 and np.shape(style)[0] > 1:
        return [style[i] for i in range(np.shape(style)[0])]
    return [style]


def _one_picture(style: Any, name: str) -> Image:
    _check_no_path(style, name)
    picture = style[None] if np.ndim(style) == 3 else style
    check_image(picture, name=name)
    _check_range(picture, name)
    if picture.shape[0] != 1:
        raise ValueError(f"{name}: expected one picture, got a batch; give a list")
    return jnp.asarray(picture, jnp.float32)
