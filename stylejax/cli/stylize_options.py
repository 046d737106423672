"""What `stylejax stylize` can be told, and what does not go together."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from stylejax import stylizers
from stylejax.cli import stylize_files
from stylejax.cli.messages import UsageError
from stylejax.methods import FIXED
from stylejax.pretrained import registry

USAGE = (
    "stylejax stylize CONTENT… --style=PICTURE_OR_NAME [--style=…] [--out=DIR_OR_FILE]"
)
DRAWN = ("gatys", "style_attention")
"""Methods that draw how a picture came about."""

_OF_GATYS = ("features", "num_iterations", "optimizer", "snapshots")


@dataclasses.dataclass(frozen=True)
class Options:
    """What `stylejax stylize` can be told.

    Attributes:
        style: a style picture, or the name of a style that the network knows (of
            feedforward); repeat the flag for several.
        style_weight: weight of each style, in their order; none weighs them alike.
        mask: a picture for each style, white where it paints, in their order.
        auto_mask: without --mask, regions for the styles: luminance gives the first
            style the darkest parts, colors gives it the largest cluster of colours.
        keep: a picture, white where the content stays as it is.
        strength: 0 returns the content, 1 paints fully.
        color: style takes the style's colours, luminance keeps the content's,
            histogram, coral and optimal_transport recolour the style first.
        stroke_scale: size of the style picture relative to the content's.
        method: how to paint: slim is a small network for any style, feedforward one for
            a list of paintings; gatys optimises, which takes minutes and comes nearest.
        checkpoint: of a trained network: a name from `stylejax weights list`, a file or
            the folder of a training; empty takes the one named after the method.
        features: of gatys, VGG weights: a name from `stylejax weights list` or a file;
            style is taken as deep as they reach.
        size: longer side of the result in pixels; 0 keeps the content's.
        num_iterations: of gatys, steps at each scale; 0 takes its own number.
        optimizer: of gatys, lbfgs or adam.
        out: folder of the results; with one content also a picture's name, or - for
            PNG on standard output.
        force: replace files that are there.
        explain: draw beside each result how it came about: of gatys, which style and
            which layer pull where; of style_attention, from which parts of the style
            some of its patches were painted.
        snapshots: of gatys, folder for the picture as it is after every 25 steps;
            empty: none.
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
    method: Literal["slim", "feedforward", "gatys", "adain", "style_attention"] = "slim"
    checkpoint: str = ""
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


def check(options: Options, arguments: Sequence[str]) -> None:
    """Returns nothing; refuses flags that are missing or do not go together.

    Args:
        options: from the flags.
        arguments: the pictures that are to be painted.

    Raises:
        UsageError: what is wrong, and what to do.
    """
    if not arguments:
        raise UsageError(f"expected pictures to paint; usage: {USAGE}")
    if not options.style:
        raise UsageError("expected --style=PICTURE, got none")
    if options.mask and options.auto_mask != "none":
        raise UsageError("expected --mask or --auto_mask, got both; drop one")
    if options.out == stylize_files.PIPE and (options.json or options.explain):
        raise UsageError("--out=- writes the picture alone; drop --json, --explain")
    if options.method == "gatys" and options.checkpoint:
        raise UsageError("--checkpoint belongs to trained networks; set --method")
    if options.explain and options.method not in DRAWN:
        raise UsageError(
            f"--explain belongs to {' and '.join(DRAWN)}, got"
            f" --method={options.method}; set --method=gatys or drop it"
        )
    default = Options()
    for name in _OF_GATYS if options.method != "gatys" else ():
        if getattr(options, name) != getattr(default, name):
            raise UsageError(
                f"--{name} belongs to gatys, got --method={options.method}; set"
                " --method=gatys or drop it"
            )
    if options.size < 0:
        raise UsageError(
            f"size: expected pixels, or 0 for the content's, got {options.size}"
        )
    _check_named_styles(options)


def _check_named_styles(options: Options) -> None:
    """Refuses names of styles where files are asked for."""
    for style in style_files(options):
        if Path(style).exists() or Path(style).suffix:
            continue
        for method in sorted(set(FIXED) & set(registry.names())):
            if style in stylizers.load_shipped(method).config.styles:
                raise UsageError(
                    f"--style={style} is a style that {method} knows by name, and"
                    f" --method={options.method} wants a picture's file; set"
                    f" --method={method} or name a file"
                )


def mask_files(options: Options) -> list[str]:
    """The masks' files, that of what is kept too.

    Args:
        options: from the flags.

    Returns:
        Paths.
    """
    return [*options.mask, *([options.keep] if options.keep else [])]


def style_files(options: Options) -> list[str]:
    """The styles' files; none where styles are names.

    Args:
        options: from the flags.

    Returns:
        Paths.
    """
    return [] if options.method in FIXED else list(options.style)
