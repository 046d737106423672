"""Whether training ever waits for pictures: steps on real data and on one batch.

    python -m benchmarks.input_pipeline
    python -m benchmarks.input_pipeline --dataset=folder:PATH --size=128 --ngf=64

The train step of the shipped recipe's size, run as the training loop runs it: the next
batch is taken, put on the device, and the step started without waiting for the last.
Blocks of steps on batches of the pipeline (decoding, crops, flips, as in training) and
on one constant batch alternate; the ratio is the median over the rounds, with its
quartiles. Beside it: milliseconds that the pipeline needs for a batch when nothing
else runs. Prints and writes JSON.
"""

import json
import statistics
import time
from pathlib import Path

import jax
from absl import flags

from stylejax.cli.flags import refuse_arguments, run_app
from stylejax.data import sources
from stylejax.data.pipeline import PipelineConfig, train_iterator
from stylejax.methods import cyclegan
from stylejax.train import parallel
from stylejax.train.protocol import environment

_DATASET = flags.DEFINE_string("dataset", "emoji", "As of a training.")
_SIZE = flags.DEFINE_integer("size", 64, "Side of the crops in pixels.")
_NGF = flags.DEFINE_integer("ngf", 32, "Channels of generator and discriminator.")
_BLOCKS = flags.DEFINE_integer("blocks", 6, "Residual blocks.")
_BATCH = flags.DEFINE_integer("batch", 1, "Pictures of each domain in a batch.")
_STEPS = flags.DEFINE_integer("steps", 10, "Steps of a block.")
_ROUNDS = flags.DEFINE_integer("rounds", 9, "Timed blocks of each kind.")
_OUT = flags.DEFINE_string(
    "out", "benchmarks/results/input_pipeline.json", "JSON file."
)


class Training:
    """The state, its step, and where batches come from."""

    def __init__(self):
        size = _SIZE.value
        config = cyclegan.CycleGANConfig(
            image_size=size,
            ngf=_NGF.value,
            ndf=_NGF.value,
            num_blocks=_BLOCKS.value,
            steps_per_epoch=1000,
        )
        data = sources.load(_DATASET.value)
        pipeline = PipelineConfig(image_size=size, batch_size=_BATCH.value)
        self.mesh = parallel.data_mesh()
        self.batches = train_iterator(data, pipeline)
        self.constant = next(self.batches)
        self.step = parallel.jit_step(cyclegan.make_train_step(config), self.mesh)
        self.state = parallel.replicate(
            cyclegan.init(jax.random.key(0), config), self.mesh
        )

    def seconds(self, batch_of):
        """Seconds of a step, the mean over a block that is waited for at its end."""
        start = time.perf_counter()
        for _ in range(_STEPS.value):
            batch = parallel.place_batch(batch_of(), self.mesh)
            self.state, metrics = self.step(self.state, batch)
        jax.block_until_ready((self.state, metrics))
        return (time.perf_counter() - start) / _STEPS.value


def main(argv):
    """Returns 0 after the figures are printed and the JSON written."""
    refuse_arguments(argv)
    training = Training()
    ways = {
        "data": lambda: next(training.batches),
        "constant": lambda: training.constant,
    }
    for batch_of in ways.values():  # compiles, fills caches
        training.seconds(batch_of)
    times = {name: [] for name in ways}
    for _ in range(_ROUNDS.value):
        for name, batch_of in ways.items():
            times[name].append(training.seconds(batch_of))
    ratios = [a / b for a, b in zip(*times.values(), strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    start = time.perf_counter()
    for _ in range(50):
        next(training.batches)
    report = {
        "command": "python -m benchmarks.input_pipeline",
        **environment(),
        **{
            name: flags.FLAGS[name].value
            for name in ("dataset", "size", "ngf", "blocks", "batch", "steps", "rounds")
        },
        "step_ms": {k: 1e3 * statistics.median(v) for k, v in times.items()},
        "ratio": middle,
        "ratio_quartiles": [low, high],
        "pipeline_alone_ms": 1e3 * (time.perf_counter() - start) / 50,
    }
    print(json.dumps(report, indent=1))
    Path(_OUT.value).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    run_app(main)
