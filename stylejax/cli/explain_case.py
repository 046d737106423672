"""One picture under one translator, explained as `stylejax explain` was asked to."""

import dataclasses
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stylejax import api, explain
from stylejax.explain import curves, gradients, occlusion, regions
from stylejax.explain.baselines import make_baseline
from stylejax.image import files
from stylejax.image.regions import grid_regions


@dataclasses.dataclass(frozen=True)
class Case:
    """One picture under one model."""

    model: api.Translator
    image: np.ndarray
    given: str | np.ndarray
    options: Any

    @property
    def baseline(self) -> Any:
        """A name, or the given picture at this one's size."""
        if isinstance(self.given, str):
            return self.given
        resized = files.resize_bicubic(self.given, self.image.shape[:2])
        return jnp.asarray(resized.clip(0, 1))

    def translate(self, images: jax.Array) -> jax.Array:
        """The pictures in the other domain."""
        return self.model.translate(images, direction=self.options.direction)


def answer(case: Case, target: explain.Target) -> explain.Attribution:
    """A target's value on the translation, attributed to the picture's pixels.

    Args:
        case: picture, model and options.
        target: of the output, or of its change where the options say so.

    Returns:
        What the method found.

    Raises:
        ValueError: a baseline that this network cancels.
    """
    options, baseline = case.options, case.baseline
    behind = target.change_of if options.change else target.of
    fn = behind(case.translate)
    name = options.method
    image = jnp.asarray(case.image)
    if name in ("blur_path", "statistics_path"):
        if name == "blur_path":
            sigma = max(1.0, min(image.shape[:2]) / 16)
            curve = curves.blur_curve(image, sigma=sigma)
        else:
            start = make_baseline(baseline, image=image)
            curve = curves.statistics_curve(image, start)
        return curves.curve_gradients(
            fn, curve, num_steps=options.num_steps, rule=options.rule
        )
    if name == "guided_path":
        return curves.guided_gradients(
            fn, case.image, baseline=baseline, num_steps=options.num_steps
        )
    if name == "smooth_gradient":
        return gradients.smooth_gradient(
            jax.random.key(options.seed),
            fn,
            case.image,
            baseline=baseline,
            num_samples=options.num_steps,
        )
    simple = {
        "gradient": gradients.gradient,
        "input_x_gradient": gradients.input_x_gradient,
        "occlusion": occlusion.occlusion,
    }
    if name in simple:
        return simple[name](fn, case.image, baseline=baseline)
    with warnings.catch_warnings():
        # The error is printed and drawn, met or not.
        warnings.simplefilter("ignore", explain.CompletenessWarning)
        return explain.integrated_gradients(
            fn,
            case.image,
            baseline=baseline,
            num_steps=options.num_steps,
            rule=options.rule,
            tolerance=options.tolerance or None,
        )


def by_region(case: Case, grid: tuple[int, int]) -> regions.RegionMaps:
    """What each cell of a grid of the input made of every output pixel.

    Args:
        case: picture, model and options.
        grid: rows and columns.

    Returns:
        A map for each cell, and how well they add up.

    Raises:
        ValueError: a baseline that this network cancels.
    """
    size = case.image.shape[:2]
    labels = grid_regions(size, rows=grid[0], columns=grid[1])
    return regions.region_maps(
        case.translate,
        case.image,
        labels=labels,
        baseline=case.baseline,
        num_steps=case.options.num_steps,
        rule=case.options.rule,
    )
