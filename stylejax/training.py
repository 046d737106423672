"""A whole training run in one call: data, devices, step, checkpoints, log, pictures.

`fit` is what `experiments/train_cyclegan.py` and `stylejax demo` run; everything it
puts together can be put together otherwise.
"""

import contextlib
import dataclasses
import functools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from stylejax import checks, views
from stylejax.data import sources
from stylejax.data.pipeline import (
    PipelineConfig,
    TrainIterator,
    train_iterator,
)
from stylejax.methods import TRAINED
from stylejax.train import loop, parallel, protocol
from stylejax.train.checkpoint import Checkpointer
from stylejax.train.writers import Writer, default_writer
from stylejax.warm_start import warm_start

# Settings of the pipeline that change its speed and not its batches: a run may be
# continued with others.
_SPEED = ("num_threads", "prefetch", "cache_mb", "backend")
# Pictures of each domain by which scales, and first networks, are found.
_CALIBRATED = 16
_FITTED = 48
PROTOCOL_NAME = "protocol.json"
"""Beside the checkpoints: how the evaluations of the training are made."""


@parallel.fail_fast()  # a mistake on one host must not leave the others waiting
def fit(
    dataset: str | sources.TwoDomainDataset,
    config: Any,
    *,
    workdir: str | os.PathLike,
    pipeline: PipelineConfig | None = None,
    loop_config: loop.LoopConfig | None = None,
    method: str = "cyclegan",
    direction: str = "AtoB",
    data_dir: str | None = None,
    init_from: str | os.PathLike = "",
    writer: Writer | None = None,
) -> loop.RunResult:
    """How the training ended; by then it is saved and can be loaded from `workdir`.

    Trains on all devices of all processes and continues what it finds in `workdir`.

    Args:
        dataset: a name that `stylejax.data.sources.load` knows, or two domains.
        config: the method's configuration; `steps_per_epoch` 0 is filled in.
        workdir: gets checkpoints, log.jsonl, TensorBoard events, sample pictures and
            the protocol of the evaluations.
        pipeline: how batches are made; its `image_size` must be that of `config`.
        loop_config: how long, and when to log, sample, evaluate and save; `num_steps` 0
            stands for all epochs of `config`, where the method counts in epochs.
        method: a key of `stylejax.methods.TRAINED`.
        direction: "BtoA" exchanges the two domains.
        data_dir: where prepared `tfds:` sets lie.
        init_from: a model to begin with instead of noise, or of what `config.start`
            asks for, see `warm_start`; a run that is continued has begun already and
            ignores it.
        writer: where to report; the usual files and a progress bar unless told.

    Returns:
        `RunResult`: the last state, why the training ended, its last numbers.

    Raises:
        ValueError: settings or pictures that do not fit each other.
        FileNotFoundError: no such data, or nothing to resume where that was asked.
        TrainingStopped: the losses were not finite too often in a row.
    """
    checks.check_choice(method, choices=TRAINED, name="method")
    pipeline = pipeline or PipelineConfig(image_size=config.image_size)
    mesh = parallel.data_mesh()
    _check_pipeline(pipeline, config, mesh)
    data = _open(dataset, pipeline, direction=direction, data_dir=data_dir)
    index, count = jax.process_index(), jax.process_count()
    iterator = train_iterator(data, pipeline, process_index=index, process_count=count)
    config = _with_epochs(config, iterator)
    settings = _Settings(
        method,
        config,
        _with_end(loop_config or loop.LoopConfig(), config),
        _describe(method, data, config, pipeline) | {"direction": direction},
        init_from,
    )
    with _reporting(Path(workdir), writer, settings.loop_config) as reporting:
        return _train(data, iterator, settings, mesh, Path(workdir), *reporting)


class _Settings(NamedTuple):
    """What a run is, all defaults filled in."""

    method: str
    config: Any
    loop_config: loop.LoopConfig
    described: dict[str, Any]
    init_from: str | os.PathLike


def _train(
    data: sources.TwoDomainDataset,
    iterator: TrainIterator,
    settings: _Settings,
    mesh: Any,
    workdir: Path,
    writer: Writer,
    checkpointer: Checkpointer,
) -> loop.RunResult:
    method, config, loop_config, described, _ = settings
    module = TRAINED[method]
    viewer = views.make(method, module, config, data, iterator, loop_config)
    if viewer.evaluator and jax.process_index() == 0:
        pinned = protocol.protocol_of(
            viewer.evaluator, dataset=data.name, checkpoint="last"
        )
        protocol.write_protocol(workdir / PROTOCOL_NAME, pinned)
    state = module.init(jax.random.key(config.seed), config)
    if not checkpointer.steps():  # else all of it is in the checkpoint
        began = time.monotonic()
        state = _begun(state, data, iterator, settings)
        if (seconds := time.monotonic() - began) > 1:
            writer.write_message(f"first networks after {seconds:.0f} s")
    result = loop.run(
        parallel.replicate(state, mesh),
        _jitted_step(method, config, mesh),
        iterator,
        config=loop_config,
        config_dict=described,
        workdir=workdir,
        checkpointer=checkpointer,
        writer=writer,
        evaluate_fn=viewer.evaluate if viewer.evaluates else None,
        sample_fn=viewer.draw,
        place_batch=functools.partial(parallel.place_batch, mesh=mesh),
    )
    if data.report.count:
        writer.write_message(data.report.summary())
    return result


def _begun(
    state: Any,
    data: sources.TwoDomainDataset,
    iterator: TrainIterator,
    settings: _Settings,
) -> Any:
    """The state of a run that begins: what is found from the data, or a model given."""
    module, config = TRAINED[settings.method], settings.config
    if hasattr(module, "calibrate"):
        images = _some_pictures(iterator, _CALIBRATED)
        state = module.calibrate(state, images, data.train_b, config=config)
    if settings.init_from:
        return warm_start(state, settings.init_from, method=settings.method)
    if hasattr(module, "first_networks"):
        pictures = functools.partial(_some_pictures, iterator, _FITTED)
        state = module.first_networks(state, pictures, config=config)
    return state


def _some_pictures(iterator: TrainIterator, count: int) -> np.ndarray:
    """`count` training pictures of each domain, the same on every host."""
    samples = [iterator.sampler(i) for i in range(count)]
    return np.stack([sample[domain] for sample in samples for domain in "ab"])


def _check_pipeline(pipeline: PipelineConfig, config: Any, mesh: Any) -> None:
    if pipeline.image_size != config.image_size:
        raise ValueError(
            f"image_size: expected one for data and networks, got {pipeline.image_size}"
            f" and {config.image_size}; set both to the same"
        )
    parallel.check_batch(pipeline.batch_size, mesh)


# Kept, so that a run that is continued in the same process compiles nothing twice.
@functools.lru_cache(maxsize=4)
def _jitted_step(method: str, config: Any, mesh: Any) -> Callable:
    return parallel.jit_step(TRAINED[method].make_train_step(config), mesh)


@contextlib.contextmanager
def _reporting(
    workdir: Path, writer: Writer | None, loop_config: loop.LoopConfig
) -> Iterator[tuple[Writer, Checkpointer]]:
    """The writer and the checkpoints of a run, closed in order at the end."""
    writer = writer or default_writer(workdir, process_index=jax.process_index())
    with contextlib.closing(writer):
        checkpointer = Checkpointer(
            workdir / "checkpoints",
            max_to_keep=loop_config.max_to_keep,
            on_report=writer.write_message,
        )
        with checkpointer:
            yield writer, checkpointer


def _open(
    dataset: str | sources.TwoDomainDataset,
    pipeline: PipelineConfig,
    *,
    direction: str,
    data_dir: str | None,
) -> sources.TwoDomainDataset:
    if not isinstance(dataset, str):
        return dataset if direction == "AtoB" else dataset.swapped()
    return sources.load(
        dataset,
        direction=direction,
        on_bad_image=pipeline.on_bad_image,
        data_dir=data_dir,
    )


def _with_epochs(config: Any, iterator: TrainIterator) -> Any:
    if config.steps_per_epoch:
        return config
    return dataclasses.replace(config, steps_per_epoch=iterator.steps_per_epoch)


def _with_end(loop_config: loop.LoopConfig, config: Any) -> loop.LoopConfig:
    if loop_config.num_steps or not hasattr(config, "decay_epochs"):
        return loop_config
    epochs = config.constant_epochs + config.decay_epochs
    return dataclasses.replace(loop_config, num_steps=epochs * config.steps_per_epoch)


def _describe(
    method: str,
    data: sources.TwoDomainDataset,
    config: Any,
    pipeline: PipelineConfig,
) -> dict[str, Any]:
    """What is written beside every checkpoint: all that shapes the training."""
    settings = dataclasses.asdict(pipeline)
    return {
        "method": method,
        "dataset": data.name,
        "config": dataclasses.asdict(config),
        "pipeline": {k: v for k, v in settings.items() if k not in _SPEED},
    }
