r"""Trains an encoder-decoder with a short content vector on two domains.

    python -m experiments.train_autoencoder --dataset=shapes --workdir=runs/latent \
        --flagfile=experiments/configs/autoencoder_shapes.cfg

The same command continues a run that was stopped or killed.
"""

import dataclasses

from stylejax.cli.flags import (
    config_from_flags,
    define_flags,
    refuse_arguments,
    run_app,
)
from stylejax.data.pipeline import PipelineConfig
from stylejax.methods.autoencoder import AutoencoderConfig
from stylejax.train.loop import LoopConfig
from stylejax.training import fit


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """What is trained on, and where the run lives.

    Attributes:
        workdir: folder of the run: checkpoints, log, samples, events.
        dataset: emoji, folder:PATH, tfds:NAME_OR_DIR, shapes or shapes:key=value,….
        data_dir: where prepared tfds sets lie; empty: where tfds itself keeps them.
        init_from: model to begin with: a .safetensors file or the folder of a training.
    """

    workdir: str
    dataset: str = "shapes"
    data_dir: str = ""
    init_from: str = ""


define_flags(RunConfig, AutoencoderConfig, PipelineConfig, LoopConfig)


def main(argv: list[str]) -> None:
    """Trains as the flags say."""
    refuse_arguments(argv)
    run = config_from_flags(RunConfig)
    fit(
        run.dataset,
        config_from_flags(AutoencoderConfig),
        workdir=run.workdir,
        pipeline=config_from_flags(PipelineConfig),
        loop_config=config_from_flags(LoopConfig),
        method="autoencoder",
        data_dir=run.data_dir or None,
        init_from=run.init_from,
    )


if __name__ == "__main__":
    run_app(main)
