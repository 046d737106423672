r"""Trains one network for a list of styles; configs/feedforward.cfg is the recipe.

Johnson et al. 2016, https://arxiv.org/abs/1603.08155; Dumoulin et al. 2017,
https://arxiv.org/abs/1610.07629. The styles are all pictures of --style, by name.

    python -m experiments.train_feedforward --content=PHOTOS --style=PAINTINGS \
        --flagfile=experiments/configs/feedforward.cfg --workdir=runs/feedforward

The same command continues a run that was stopped or killed.
"""

import dataclasses

from stylejax.cli.flags import (
    config_from_flags,
    define_flags,
    refuse_arguments,
    run_app,
)
from stylejax.data import style_pictures
from stylejax.data.pipeline import PipelineConfig
from stylejax.data.style_pictures import StylePictures
from stylejax.methods.feedforward import FeedforwardConfig
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


define_flags(RunConfig, StylePictures, FeedforwardConfig, PipelineConfig, LoopConfig)


def main(argv: list[str]) -> None:
    """Trains as the flags say."""
    refuse_arguments(argv)
    run = config_from_flags(RunConfig)
    data = style_pictures.load(config_from_flags(StylePictures))
    config = config_from_flags(FeedforwardConfig)
    if not config.styles:
        config = dataclasses.replace(config, styles=style_pictures.stems(data.train_b))
    fit(
        data,
        config,
        workdir=run.workdir,
        pipeline=config_from_flags(PipelineConfig),
        loop_config=config_from_flags(LoopConfig),
        method="feedforward",
        init_from=run.init_from,
    )


if __name__ == "__main__":
    run_app(main)
