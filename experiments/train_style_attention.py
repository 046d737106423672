r"""Trains style attention; experiments/configs/style_attention.cfg is the recipe.

Liu et al. 2021, https://arxiv.org/abs/2108.03647.

    python -m experiments.train_style_attention --content=PHOTOS --style=PAINTINGS \
        --flagfile=experiments/configs/style_attention.cfg --workdir=runs/attention

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
from stylejax.methods.style_attention import StyleAttentionConfig
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


define_flags(RunConfig, StylePictures, StyleAttentionConfig, PipelineConfig, LoopConfig)


def main(argv: list[str]) -> None:
    """Trains as the flags say."""
    refuse_arguments(argv)
    run = config_from_flags(RunConfig)
    fit(
        style_pictures.load(config_from_flags(StylePictures)),
        config_from_flags(StyleAttentionConfig),
        workdir=run.workdir,
        pipeline=config_from_flags(PipelineConfig),
        loop_config=config_from_flags(LoopConfig),
        method="style_attention",
        init_from=run.init_from,
    )


if __name__ == "__main__":
    run_app(main)
