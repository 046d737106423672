"""`stylejax stylize`: pictures painted in the style of others, names kept."""

import contextlib
import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tqdm

from stylejax import stylization, stylizers
from stylejax.cli import (
    account,
    attention_figures,
    jobs,
    stylize_files,
    stylize_options,
)
from stylejax.cli.messages import UsageError
from stylejax.cli.stylize_options import USAGE, Options, mask_files, style_files
from stylejax.image import files, masks
from stylejax.image.resize import fit_longer_side
from stylejax.methods import FIXED, gatys
from stylejax.methods.control import StyleControl
from stylejax.stylizers import Stylizer

__all__ = ["USAGE", "Options", "run"]


def run(options: Options, arguments: Sequence[str]) -> dict[str, Any]:
    """What was painted and what was left out.

    Args:
        options: from the flags.
        arguments: files, folders and globs, or - for standard input.

    Returns:
        Dictionary with `stylized`, `skipped`, `seconds` and what was asked for.

    Raises:
        UsageError: no content or style, an output that exists or is an input, or no
            picture that could be read.
        ValueError: a broken picture, or a control that cannot be obeyed.
        FileNotFoundError: a picture that is not there.
    """
    stylize_options.check(options, arguments)
    planned = stylize_files.plan(
        arguments,
        out=options.out,
        pictures=[*style_files(options), *mask_files(options)],
        has_account=options.explain,
        force=options.force,
    )
    styles: list[Any] = [files.read(path) for path in style_files(options)]
    styles = styles or list(options.style)
    given = {path: stylize_files.read_mask(path) for path in mask_files(options)}
    # What is wrong with flags, files and folders is said before anything is painted.
    keep = given.get(options.keep)
    _control(options, _laid_over(given, options), keep).check(len(styles))
    model = _model(options)
    stems = _check_files(planned, options)
    began = time.monotonic()
    done, skipped = [], []
    for job in planned:
        try:
            content, profile = stylize_files.read(job.source)
            _check_size(job.source, content, options)
        except files.ImageFileError as error:
            if options.on_bad_image == "error":
                raise
            skipped.append({"input": str(job.source), "reason": str(error)})
            continue
        _say_what_is_stretched(given, content, job.source)
        found = _laid_over(given, options)
        if found is None:
            found = _auto_masks(options, content, len(styles))
        entry = _process(
            job,
            content,
            profile,
            styles,
            control=_control(options, found, keep),
            options=options,
            snapshots=stems.get(job.source),
            model=model,
        )
        done.append(entry)
    for entry in skipped:
        print(f"skipped: {entry['reason']}", file=sys.stderr)
    if not done:
        raise UsageError(f"none of {jobs.pictures(len(planned))} could be painted")
    seconds = time.monotonic() - began
    if not options.json and options.out != stylize_files.PIPE:
        left_out = f", {len(skipped)} skipped" if skipped else ""
        many = jobs.pictures(len(done))
        print(f"{many} in {options.out}{left_out}, {seconds:.1f} s")
    return {
        "method": options.method,
        "styles": list(options.style),
        "out": options.out,
        "stylized": done,
        "skipped": skipped,
        "seconds": round(seconds, 3),
    }


def _laid_over(given: dict[str, np.ndarray], options: Options) -> np.ndarray | None:
    return stylize_files.stacked([given[path] for path in options.mask])


def _say_what_is_stretched(
    given: dict[str, np.ndarray], content: np.ndarray, source: Path
) -> None:
    shapes = {path: mask.shape for path, mask in given.items()}
    for path in stylize_files.stretched(shapes, content.shape[:2]):
        print(
            f"note: {path} has other proportions than {source} and is"
            " stretched over it",
            file=sys.stderr,
        )


def _check_files(planned: list[jobs.Job], options: Options) -> dict[Path, Path]:
    """Beginnings of the snapshots' names; refuses files before any work is done."""
    if options.on_bad_image == "error" and len(planned) > 1:
        for job in planned:
            _check_size(job.source, files.read(job.source), options)
    if options.out != stylize_files.PIPE:
        jobs.make_folders([job.target for job in planned])
    if not options.snapshots:
        return {}
    folder = Path(options.snapshots).expanduser()
    return stylize_files.snapshot_stems(planned, folder, force=options.force)


def _check_size(source: Path, content: np.ndarray, options: Options) -> None:
    """Refuses pictures of which the network leaves nothing, at the size they get."""
    if options.method != "gatys":
        return
    size = options.size or max(content.shape[:2])
    feature_fn = gatys.features(_config(options))
    try:
        jax.eval_shape(
            lambda x: feature_fn(fit_longer_side(x, size)),
            jax.ShapeDtypeStruct((1, *content.shape), np.float32),
        )
    except ValueError as error:
        raise files.ImageFileError(f"{source}: {error}") from None


def _process(
    job: jobs.Job,
    content: np.ndarray,
    profile: bytes | None,
    styles: list[Any],
    *,
    control: StyleControl,
    options: Options,
    snapshots: Path | None,
    model: Stylizer | None,
) -> dict[str, Any]:
    """What is reported of one picture, once it is painted and written."""
    if model is None:
        painted = _paint(content, styles, control, options, job, snapshots)
    else:
        painted = np.asarray(
            stylization.stylize(
                content,
                styles,
                control=control,
                method=options.method,
                checkpoint=model,
                size=options.size or None,
            )
        )
    entry = stylize_files.write(job, painted, profile)
    if options.explain:
        names = stylize_files.style_names(options.style)
        given = (painted, content, styles, control)
        if model is None:
            entry |= account.explain(*given, _config(options), job.target, names=names)
        else:
            entry |= attention_figures.explain(*given, model, job.target, names=names)
    return entry


def _auto_masks(options: Options, content: np.ndarray, count: int) -> Any:
    if options.auto_mask == "luminance":
        return masks.from_luminance(content, count=count)
    if options.auto_mask == "colors":
        return masks.from_colors(content, count=count, seed=options.seed)
    return None


def _control(options: Options, found: Any, keep: Any) -> StyleControl:
    return StyleControl(
        strength=options.strength,
        style_weights=options.style_weight,
        masks=found,
        color=options.color,
        stroke_scale=options.stroke_scale,
        content_weight=keep,
    )


def _model(options: Options) -> Stylizer | None:
    """The trained network, read once for all pictures; None for gatys."""
    if options.method == "gatys":
        return None
    model = stylizers.load(options.checkpoint or options.method)
    if options.method in FIXED and model.method == options.method:
        for name in options.style:
            FIXED[options.method].row_of(name, model.config)
    return model


def _config(options: Options) -> gatys.GatysConfig:
    config = gatys.config_for(options.features)
    config = dataclasses.replace(config, optimizer=options.optimizer)
    if options.num_iterations:
        config = dataclasses.replace(config, num_iterations=options.num_iterations)
    return config


def _paint(
    content: np.ndarray,
    styles: list[np.ndarray],
    control: StyleControl,
    options: Options,
    job: jobs.Job,
    snapshots: Path | None,
) -> np.ndarray:
    config = _config(options)
    quiet = options.json or options.out == stylize_files.PIPE
    with contextlib.closing(
        tqdm.tqdm(unit="step", desc=job.source.name, disable=quiet or None)
    ) as bar:

        def show(progress: Any) -> None:
            bar.total = progress.num_scales * progress.num_iterations
            steps = progress.scale * progress.num_iterations + progress.iteration
            bar.set_postfix(loss=f"{float(progress.loss[0]):.3g}", refresh=False)
            bar.update(steps - bar.n)
            if snapshots is not None:
                name = f"{snapshots.name}-{progress.scale}-{progress.iteration:04}.png"
                shown = np.asarray(progress.images)[0]
                files.write(snapshots.with_name(name), shown)

        return np.asarray(
            stylization.stylize(
                content,
                styles,
                control=control,
                method=options.method,
                config=config,
                size=options.size or None,
                seed=options.seed,
                on_progress=show,
            )
        )
