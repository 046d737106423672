"""Drawing which style and which layer pull at each pixel of a painted picture."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from stylejax.explain import loss_accounting
from stylejax.image import files, panel
from stylejax.image.resize import fit_longer_side, resize
from stylejax.losses import statistics
from stylejax.methods import control as controls
from stylejax.methods import gatys
from stylejax.methods.control import StyleControl

# More pixels make the maps no clearer, and each term costs a gradient.
_MAX_SIDE = 384
# Pixels; single ones say little, see `Account.shares`.
BLUR = 4.0


def explain(
    painted: np.ndarray,
    content: np.ndarray,
    styles: Sequence[np.ndarray],
    control: StyleControl,
    config: gatys.GatysConfig,
    target: Path,
    *,
    names: Sequence[str],
) -> dict[str, Any]:
    """The account of a painted picture, and where its maps were drawn.

    Args:
        painted: (h, w, 3) in [0, 1].
        content: (h', w', 3), as it came.
        styles: the style pictures.
        control: what it was painted with.
        config: of the method.
        target: the painted picture's file; the drawing goes beside it.
        names: of the styles.

    Returns:
        Dictionary with `account` (a PNG's name), `loss` by term, and the two errors of
        the sums.
    """
    found = of_picture(painted, content, styles, control, config, names=names)
    drawing = drawing_path(target)
    files.write(drawing, draw(found, painted))
    return {
        "account": str(drawing),
        "loss": {str(name): value for name, value in found.values.items()},
        "loss_sum_error": found.value_error,
        "gradient_sum_error": found.gradient_error,
    }


def drawing_path(target: Path) -> Path:
    """Where the drawing of a painted picture goes.

    Args:
        target: the painted picture's file.

    Returns:
        A PNG beside it.
    """
    return target.with_name(f"{target.stem}-account.png")


def of_picture(
    painted: np.ndarray,
    content: np.ndarray,
    styles: Sequence[np.ndarray],
    control: StyleControl,
    config: gatys.GatysConfig,
    *,
    names: Sequence[str],
) -> loss_accounting.Account:
    """The account of the loss that painted a picture, at most 384 pixels long.

    Pictures too thin to be made so small keep their size. Where colours were kept, what
    was painted is the picture in grey.

    Args:
        painted: (h, w, 3) in [0, 1].
        content: (h', w', 3), as it came.
        styles: the style pictures.
        control: what it was painted with.
        config: of the method.
        names: of the styles.

    Returns:
        An `Account` by `stylejax.losses.terms.Term`.
    """
    feature_fn = gatys.features(config)
    result = jnp.asarray(painted)[None]
    smaller = fit_longer_side(result, min(_MAX_SIDE, max(result.shape)))
    sizes = [smaller.shape[1:3], result.shape[1:3]]
    least = statistics.get(config.style_statistic).least_side
    if len(controls.sizes_that_fit(sizes, feature_fn, least_side=least)) == 2:
        result = smaller
    result = controls.prepare_content(result, control)
    original = jnp.asarray(content)[None]
    if original.shape != result.shape:  # sides that were rounded twice may be one off
        original = resize(original, result.shape[1:3]).clip(0.0, 1.0)
    targets = gatys.make_targets(
        original,
        [jnp.asarray(style)[None] for style in styles],
        config=config,
        control=control,
        feature_fn=feature_fn,
        names=names,
    )
    terms_fn = functools.partial(
        gatys.loss_terms, targets=targets, config=config, feature_fn=feature_fn
    )
    return loss_accounting.account(terms_fn, result)


def draw(found: loss_accounting.Account, painted: np.ndarray) -> np.ndarray:
    """The picture with maps of who pulls where: by style picture, and by layer.

    Args:
        found: from `of_picture`.
        painted: (h, w, 3) in [0, 1].

    Returns:
        (h', w', 3): a grid of maps, each from its least (black) to its most (pale); the
        mean share of all pulls stands below.
    """
    height, width = found.gradient.shape[:2]
    shown = files.resize_bicubic(painted, (height, width)).clip(0, 1)

    def row(part: Any) -> list[np.ndarray]:
        shares = found.by(part).shares(sigma=BLUR)
        maps = [shown]
        for name, share in shares.items():
            text = f"{name or 'other'}: {share.mean():.0%}"
            maps.append(panel.caption(panel.heatmap(share), text))
        return maps

    def source(term: Any) -> str:
        return term.style if term.kind == "style" else term.kind

    return panel.grid([row(source), row("layer")], labels=["source", "layer"])
