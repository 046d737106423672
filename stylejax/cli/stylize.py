"""`stylejax stylize`: pictures painted in the style of others, names kept."""

import contextlib
import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
import tqdm

from stylejax import stylization
from stylejax.cli import account, jobs
from stylejax.cli.messages import UsageError
from stylejax.image import files, masks
from stylejax.losses import terms
from stylejax.methods import control as controls
from stylejax.methods import gatys
from stylejax.methods.control import StyleControl

USAGE = "stylejax stylize CONTENT… --style=PICTURE [--style=…] [--out=DIR_OR_FILE]"
_PIPE = "-"


@dataclasses.dataclass(frozen=True)
class Options:
    """What `stylejax stylize` can be told.

    Attributes:
        style: a style picture; repeat the flag for several.
        style_weight: weight of each style, in their order; none weighs them alike.
        mask: a picture for each style, white where it paints, in their order.
        auto_mask: without --mask, regions for the styles: luminance gives the first
            style the darkest parts, colors gives it the largest cluster of colours.
        keep: a picture, white where the content stays as it is.
        strength: 0 returns the content, 1 paints fully.
        color: style takes the style's colours, luminance keeps the content's,
            histogram, coral and optimal_transport recolour the style first.
        stroke_scale: size of the style picture relative to the content's.
        method: how to paint.
        features: VGG weights: a name from `stylejax weights list` or a file; style is
            taken as deep as they reach.
        size: longer side of the result in pixels; 0 keeps the content's.
        num_iterations: steps at each scale; 0 takes the method's own number.
        optimizer: lbfgs or adam.
        out: folder of the results; with one content also a picture's name, or - for
            PNG on standard output.
        force: replace files that are there.
        explain: draw beside each result which style and which layer pull where.
        snapshots: folder for the picture as it is after every 25 steps; empty: none.
        on_bad_image: error stops at a picture that cannot be read, skip leaves it out.
        json: print what was done as JSON.
        seed: of whatever the method draws.
    """

    style: tuple[str, ...] = ()
    style_weight: tuple[float, ...] = ()
    mask: tuple[str, ...] = ()
    auto_mask: Literal["none", "luminance", "colors"] = "none"
    keep: str = ""
    strength: float = 1.0
    color: Literal["style", "luminance", "histogram", "coral", "optimal_transport"] = (
        "style"
    )
    stroke_scale: float = 1.0
    method: Literal["gatys"] = "gatys"
    features: str = "vgg16"
    size: int = 512
    num_iterations: int = 0
    optimizer: Literal["lbfgs", "adam"] = "lbfgs"
    out: str = "stylized"
    force: bool = False
    explain: bool = False
    snapshots: str = ""
    on_bad_image: Literal["error", "skip"] = "error"
    json: bool = False
    seed: int = 0


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
    if not arguments:
        raise UsageError(f"expected pictures to paint; usage: {USAGE}")
    if not options.style:
        raise UsageError("expected --style=PICTURE, got none")
    planned = plan(arguments, options)
    styles = [files.read(path) for path in options.style]
    given = [_mask(path) for path in options.mask]
    keep = _mask(options.keep) if options.keep else None
    # What is wrong with flags, files and folders is said before anything is painted.
    _control(options, _stacked(given), keep).check(len(styles))
    _check_files(planned, options)
    began = time.monotonic()
    done, skipped = [], []
    for job in planned:
        try:
            content, profile = _read(job.source)
        except files.ImageFileError as error:
            if options.on_bad_image == "error":
                raise
            skipped.append({"input": str(job.source), "reason": str(error)})
            continue
        found = _stacked(given)
        if found is None:
            found = _auto_masks(options, content, len(styles))
        control = _control(options, found, keep)
        done.append(_process(job, content, profile, styles, control, options))
    for entry in skipped:
        print(f"skipped: {entry['reason']}", file=sys.stderr)
    if not done:
        raise UsageError(f"none of {len(planned)} pictures could be read")
    seconds = time.monotonic() - began
    if not options.json and options.out != _PIPE:
        left_out = f", {len(skipped)} skipped" if skipped else ""
        print(f"{len(done)} pictures in {options.out}{left_out}, {seconds:.1f} s")
    return {
        "method": options.method,
        "styles": list(options.style),
        "out": options.out,
        "stylized": done,
        "skipped": skipped,
        "seconds": round(seconds, 3),
    }


def _check_files(planned: list[jobs.Job], options: Options) -> None:
    if options.on_bad_image == "error" and len(planned) > 1:
        for job in planned:
            files.read(job.source)
    if options.out != _PIPE:
        jobs.make_folders([job.target for job in planned])


def _process(
    job: jobs.Job,
    content: np.ndarray,
    profile: bytes | None,
    styles: list[np.ndarray],
    control: StyleControl,
    options: Options,
) -> dict[str, Any]:
    """What is reported of one picture, once it is painted and written."""
    painted = _paint(content, styles, control, options, job)
    entry = _write(job, painted, profile)
    if options.explain:
        entry |= account.explain(
            painted,
            content,
            styles,
            control,
            _config(options),
            job.target,
            names=_names(options.style),
        )
    return entry


def plan(arguments: Sequence[str], options: Options) -> list[jobs.Job]:
    """Where each painted picture goes.

    Args:
        arguments: files, folders, globs, or - alone.
        options: `out` and `force`.

    Returns:
        One job per picture.

    Raises:
        UsageError: results that exist, would replace an input or have no place, or
            masks that are both given and asked for.
    """
    if options.mask and options.auto_mask != "none":
        raise UsageError("expected --mask or --auto_mask, got both; drop one")
    out = Path(options.out).expanduser()
    suffix = out.suffix.lower()
    is_file = suffix in jobs.KEPT_SUFFIXES and not out.is_dir()
    if suffix in files.IMAGE_SUFFIXES - jobs.KEPT_SUFFIXES and not out.is_dir():
        written = ", ".join(sorted(jobs.KEPT_SUFFIXES))
        raise UsageError(f"--out={options.out}: expected a folder or one of {written}")
    if _PIPE in arguments and len(arguments) > 1:
        raise UsageError("expected - alone, for one picture on standard input")
    if list(arguments) == [_PIPE]:
        planned = [jobs.Job(Path(_PIPE), out if is_file else out / "stdin.png")]
    elif is_file or options.out == _PIPE:
        planned = jobs.plan(arguments, Path(".stylejax-nowhere"))
        if len(planned) > 1:
            raise UsageError(
                f"expected one picture for --out={options.out}, got {len(planned)};"
                " name a folder"
            )
        planned = [dataclasses.replace(planned[0], target=out)]
    else:
        planned = jobs.plan(arguments, out)
    if options.out == _PIPE:
        if options.json or options.explain:
            raise UsageError("--out=- writes the picture alone; drop --json, --explain")
        return [dataclasses.replace(job, target=Path(_PIPE)) for job in planned]
    outputs = [job.target for job in planned]
    if options.explain:
        outputs += [account.drawing_path(job.target) for job in planned]
    pictures = [
        *options.style,
        *options.mask,
        *([options.keep] if options.keep else []),
    ]
    inputs = [job.source for job in planned] + [Path(name) for name in pictures]
    jobs.check(outputs, inputs, force=options.force)
    return planned


def _read(source: Path) -> tuple[np.ndarray, bytes | None]:
    """A picture and its colour profile.

    The painted pixels are in the content's colour space, whatever that is; so its
    profile goes with them. The EXIF orientation has been applied and is left behind.
    """
    if source == Path(_PIPE):
        data = sys.stdin.buffer.read()
        return files.from_bytes(data, name="standard input"), files.icc_profile(data)
    return files.read(source), files.icc_profile(source)


def _mask(path: str) -> np.ndarray:
    """(h, w) in [0, 1]: the mean of the picture's channels; what is clear is 0."""
    mask = files.read(path, background=0.0).mean(axis=-1)
    if not mask.any():
        raise UsageError(f"{path} is black all over: a mask is white where it holds")
    return mask


def _stacked(found: list[np.ndarray]) -> np.ndarray | None:
    """Masks of any sizes as one array, each stretched over the largest size."""
    if not found:
        return None
    size_hw = tuple(max(mask.shape[i] for mask in found) for i in (0, 1))
    return np.concatenate(
        [
            np.asarray(controls.resize_map(jnp.asarray(mask)[None], size_hw))
            for mask in found
        ]
    )


def _names(paths: Sequence[str]) -> list[str]:
    """Names of the style files, told apart by a number where they are taken."""
    # The first are what an account calls the content's own style and other terms.
    names = [terms.CONTENT_STYLE, "range", "total_variation"]
    reserved = len(names)
    for stem in (Path(path).stem for path in paths):
        name, number = stem, 2
        while name in names:
            name, number = f"{stem}-{number}", number + 1
        names.append(name)
    return names[reserved:]


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
) -> np.ndarray:
    config = _config(options)
    quiet = options.json or options.out == _PIPE
    with contextlib.closing(
        tqdm.tqdm(unit="step", desc=job.source.name, disable=quiet or None)
    ) as bar:

        def show(progress: Any) -> None:
            bar.total = progress.num_scales * progress.num_iterations
            steps = progress.scale * progress.num_iterations + progress.iteration
            bar.set_postfix(loss=f"{float(progress.loss[0]):.3g}", refresh=False)
            bar.update(steps - bar.n)
            if options.snapshots:
                name = f"{job.target.stem}-{progress.scale}-{progress.iteration:04}.png"
                shown = np.asarray(progress.images)[0]
                files.write(Path(options.snapshots).expanduser() / name, shown)

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


def _write(job: jobs.Job, painted: np.ndarray, profile: bytes | None) -> dict[str, Any]:
    if job.target == Path(_PIPE):
        data = files.to_bytes(painted, suffix=".png", icc_profile=profile)
        sys.stdout.buffer.write(data)
    else:
        files.write(job.target, painted, icc_profile=profile)
    height, width = painted.shape[:2]
    return {
        "input": str(job.source),
        "output": str(job.target),
        "size": [width, height],
    }
