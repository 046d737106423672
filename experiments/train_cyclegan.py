"""Trains a CycleGAN on two picture domains; see experiments/configs for recipes.

    python -m experiments.train_cyclegan --dataset=emoji --workdir=runs/emoji \
        --flagfile=experiments/configs/cyclegan_emoji.cfg
"""

import dataclasses
import functools
from pathlib import Path

import jax
import numpy as np
from absl import flags

from stylejax.cli.flags import config_from_flags, define_flags, refuse_arguments, run_app
from stylejax.data import sources
from stylejax.data.pipeline import PipelineConfig, train_iterator
from stylejax.image import panel
from stylejax.methods import cyclegan
from stylejax.train import loop, parallel
from stylejax.train.checkpoint import Checkpointer
from stylejax.train.evaluate import make_evaluator
from stylejax.train.writers import default_writer

_DATASET = flags.DEFINE_string("dataset", "emoji", "emoji, folder:PATH, tfds:NAME, shapes")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.", required=True)
define_flags(cyclegan.CycleGANConfig, PipelineConfig, loop.LoopConfig, parallel.PeersConfig)


def main(argv):
    refuse_arguments(argv)
    peers = config_from_flags(parallel.PeersConfig)
    parallel.initialize_distributed(**dataclasses.asdict(peers))
    config = config_from_flags(cyclegan.CycleGANConfig)
    pipeline, loop_config = (config_from_flags(c) for c in (PipelineConfig, loop.LoopConfig))
    dataset = sources.load(_DATASET.value)
    iterator = train_iterator(
        dataset,
        pipeline,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    config = dataclasses.replace(config, steps_per_epoch=iterator.steps_per_epoch)
    epochs = config.constant_epochs + config.decay_epochs
    if not loop_config.num_steps:
        loop_config = dataclasses.replace(
            loop_config, num_steps=epochs * iterator.steps_per_epoch
        )
    mesh = parallel.data_mesh()
    parallel.check_batch(pipeline.batch_size, mesh)
    state = parallel.replicate(cyclegan.init(jax.random.key(config.seed), config), mesh)
    step = parallel.jit_step(cyclegan.make_train_step(config), mesh)

    predict = jax.jit(cyclegan.predict, static_argnames=("config", "direction"))
    sample = jax.jit(cyclegan.sample, static_argnames="config")
    evaluator = make_evaluator(dataset, image_size=config.image_size)

    def evaluate(state):
        params = cyclegan.generator_params(state)
        return evaluator(
            lambda x, d: predict(params, x, config=config, direction=d)
        )

    def draw(state):
        shown = {"a": evaluator.test_a[:8], "b": evaluator.test_b[:8]}
        out = sample(cyclegan.generator_params(state), shown, config=config)
        out = {k: np.asarray(v) for k, v in (out | shown).items()}
        a = [out[k] for k in ("a", "fake_b", "cycled_a", "identity_a")]
        b = [out[k] for k in ("b", "fake_a", "cycled_b", "identity_b")]
        titles = ["real", "fake", "cycled", "identity"] * 2
        rows = [list(row) for row in zip(*a, *b, strict=True)]
        return {"translation": panel.grid(rows, column_titles=titles)}

    workdir = Path(_WORKDIR.value)
    config_dict = {
        "method": "cyclegan",
        "dataset": _DATASET.value,
        "config": dataclasses.asdict(config),
        "pipeline": dataclasses.asdict(pipeline),
    }
    with Checkpointer(workdir / "checkpoints", max_to_keep=loop_config.max_to_keep) as saver:
        writer = default_writer(workdir, process_index=jax.process_index())
        with parallel.fail_fast():
            result = loop.run(
                state, step, iterator,
                config=loop_config, config_dict=config_dict, workdir=workdir,
                checkpointer=saver, writer=writer,
                evaluate_fn=evaluate, sample_fn=draw,
                place_batch=functools.partial(parallel.place_batch, mesh=mesh),
            )
        writer.close()
    return 0


if __name__ == "__main__":
    run_app(main)
