"""What the scripts that train stylising networks share: their flags and their run."""

import dataclasses
from collections.abc import Callable
from typing import Any

from stylejax.cli.flags import config_from_flags, define_flags, refuse_arguments
from stylejax.data import style_pictures
from stylejax.data.pipeline import PipelineConfig
from stylejax.data.sources import TwoDomainDataset
from stylejax.data.style_pictures import StylePictures
from stylejax.train.loop import LoopConfig
from stylejax.training import fit


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Where the run lives, and how it begins.

    Attributes:
        workdir: folder of the run: checkpoints, log, samples, events.
        init_from: model to begin with: a shipped name, a .safetensors file or the
            folder of a training.
    """

    workdir: str
    init_from: str = ""


def script(
    method: str,
    config_type: type,
    *,
    complete: Callable[[Any, TwoDomainDataset], Any] = lambda config, data: config,
) -> Callable[[list[str]], None]:
    """The `main` of a script; its flags are defined by now.

    Args:
        method: a key of `stylejax.methods.TRAINED`.
        config_type: the method's dataclass, of which flags are made.
        complete: (configuration from the flags, data) to the configuration.

    Returns:
        Function of the command line that trains as the flags say.
    """
    define_flags(RunConfig, StylePictures, config_type, PipelineConfig, LoopConfig)

    def main(argv: list[str]) -> None:
        refuse_arguments(argv)
        run = config_from_flags(RunConfig)
        data = style_pictures.load(config_from_flags(StylePictures))
        fit(
            data,
            complete(config_from_flags(config_type), data),
            workdir=run.workdir,
            pipeline=config_from_flags(PipelineConfig),
            loop_config=config_from_flags(LoopConfig),
            method=method,
            init_from=run.init_from,
        )

    return main
