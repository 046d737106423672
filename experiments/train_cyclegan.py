r"""Trains a CycleGAN on two picture domains; see experiments/configs for recipes.

Zhu et al. 2017, https://arxiv.org/abs/1703.10593. The flags' defaults are the paper's.

    python -m experiments.train_cyclegan --dataset=emoji --workdir=runs/emoji \
        --flagfile=experiments/configs/cyclegan_emoji.cfg

The same command continues a run that was stopped or killed. On several machines start
it once on each: a pod or a cluster is recognised, elsewhere --coordinator,
--num_processes and --process_id name the peers.
"""

import dataclasses

from stylejax.cli.flags import (
    config_from_flags,
    define_flags,
    refuse_arguments,
    run_app,
)
from stylejax.data.pipeline import PipelineConfig
from stylejax.methods.cyclegan import CycleGANConfig
from stylejax.train.loop import LoopConfig
from stylejax.train.parallel import PeersConfig, initialize_distributed
from stylejax.training import fit


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """What is trained on, and where the run lives.

    Attributes:
        workdir: folder of the run: checkpoints, log, samples, events.
        dataset: emoji, folder:PATH, tfds:NAME_OR_DIR, shapes or shapes:key=value,….
        direction: AtoB, or BtoA to exchange the domains.
        data_dir: where prepared tfds sets lie; empty: where tfds itself keeps them.
        init_from: model to begin with: a shipped name, a .safetensors file (generators)
            or the folder of a training (discriminators as well).
    """

    workdir: str
    dataset: str = "emoji"
    direction: str = "AtoB"
    data_dir: str = ""
    init_from: str = ""


define_flags(RunConfig, CycleGANConfig, PipelineConfig, LoopConfig, PeersConfig)


def main(argv: list[str]) -> None:
    """Trains as the flags say."""
    refuse_arguments(argv)
    initialize_distributed(**dataclasses.asdict(config_from_flags(PeersConfig)))
    run = config_from_flags(RunConfig)
    fit(
        run.dataset,
        config_from_flags(CycleGANConfig),
        workdir=run.workdir,
        pipeline=config_from_flags(PipelineConfig),
        loop_config=config_from_flags(LoopConfig),
        direction=run.direction,
        data_dir=run.data_dir or None,
        init_from=run.init_from,
    )


if __name__ == "__main__":
    run_app(main)
