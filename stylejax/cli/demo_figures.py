"""The two pictures that `stylejax demo` draws, and what they are made from."""

import warnings

import jax.numpy as jnp
import numpy as np

from stylejax import api, explain
from stylejax.explain import targets
from stylejax.image import panel
from stylejax.metrics import pixel
from stylejax.train.evaluate import Evaluator

_TOLERANCE = 0.01
_ROWS = 8


def distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The mean absolute error of each pair, on the scale 0..255.

    Args:
        x: `n h w 3` in [0, 1].
        y: the same shape.

    Returns:
        `n`, not reduced over the pairs.
    """
    return np.asarray(pixel.mean_absolute_error(jnp.asarray(x), jnp.asarray(y)))


def explain_one(
    model: api.Translator,
    evaluator: Evaluator,
    output: np.ndarray,
    *,
    target_text: str = "",
) -> tuple[np.ndarray, float | None, str]:
    """A figure of the input pixels behind one region of one translation.

    The picture is the one whose translation came closest to its true partner, against
    the unchanged input; the region is where its translation changed most.

    Args:
        model: the translator.
        evaluator: the held-out pairs.
        output: the translations of `evaluator.test_a`.
        target_text: region to explain, or "" to choose it.

    Returns:
        (figure `h w 3` in [0, 1], the relative completeness error or None where it is
        undefined, what was found in one line).
    """
    truth = evaluator.test_b
    gain = distances(evaluator.test_a, truth) - distances(output, truth)
    i = int(np.argmax(gain))
    source = evaluator.test_a[i]
    target = explain.parse_target(target_text or changed_region(source, output[i]))
    with warnings.catch_warnings():
        # The error is printed and drawn, met or not.
        warnings.simplefilter("ignore", explain.CompletenessWarning)
        answer = explain.integrated_gradients(
            target.of(model.translate), source, baseline="blur", tolerance=_TOLERANCE
        )
    scale = max(1, 256 // source.shape[0])
    boxed = output[i] if target.box is None else panel.draw_box(output[i], target.box)
    overlay = panel.signed_overlay(source, np.asarray(answer.map).sum(axis=-1))
    figure = panel.grid(
        [[source, boxed, overlay]],
        column_titles=["input", "output, region framed", "red raises it, blue lowers"],
        scale=scale,
    )
    text = f"{target.name} of the output: {answer.summary()}"
    is_defined = np.isfinite(answer.relative_error)
    error = answer.relative_error if is_defined else None
    return panel.caption(figure, text), error, text


def changed_region(source: np.ndarray, output: np.ndarray) -> str:
    """The target "mean of a channel in a box" where a translation changed most.

    Args:
        source: picture `h w 3`.
        output: its translation.

    Returns:
        Text that `parse_target` reads; the box is a quarter of the picture wide.
    """
    change = np.asarray(output - source)
    side = max(1, min(change.shape[:2]) // 4)
    windows = np.lib.stride_tricks.sliding_window_view(change, (side, side), (0, 1))
    means = windows.mean(axis=(-2, -1))
    y, x, channel = np.unravel_index(np.abs(means).argmax(), means.shape)
    return f"mean:{targets.CHANNELS[channel]}@{x},{y},{side},{side}"


def draw_grid(
    trained: api.Translator,
    evaluator: Evaluator,
    outputs: dict[str, np.ndarray],
    *,
    num_steps: int,
) -> np.ndarray:
    """The grid of held-out pictures, their translations and their true partners.

    Args:
        trained: the model trained in this demo.
        evaluator: the held-out pairs.
        outputs: translations by the checkpoint.
        num_steps: how long `trained` was trained, for the titles.

    Returns:
        `h w 3` in [0, 1].
    """
    count = min(_ROWS, len(evaluator.test_a))
    rows = np.linspace(0, len(evaluator.test_a) - 1, count).round().astype(int)
    flat, solid = evaluator.test_a[rows], evaluator.test_b[rows]
    columns = {
        "flat": flat,
        f"3D: {num_steps} steps": trained.translate(flat),
        "3D: checkpoint": outputs["AtoB"][rows],
        "3D: true": solid,
        f"flat: {num_steps} steps": trained.translate(solid, direction="BtoA"),
        "flat: checkpoint": outputs["BtoA"][rows],
    }
    cells = [list(row) for row in zip(*map(np.asarray, columns.values()), strict=True)]
    scale = max(1, 128 // flat.shape[1])
    return panel.grid(cells, column_titles=list(columns), scale=scale)
