"""Images per second and memory of the CycleGAN train step, by size.

    python -m benchmarks.train_step --sizes=64 --sizes=128 --sizes=256

Medians of several timed steps on a constant batch after one warm-up; memory is XLA's
own account of the compiled step (arguments, outputs that are not donated, and
temporaries). Prints one table and writes JSON.
"""

import dataclasses
import datetime
import json
import platform
import statistics
import time
from pathlib import Path

import jax
import jax.numpy as jnp
from absl import flags

from stylejax.cli.flags import refuse_arguments, run_app
from stylejax.methods import cyclegan

_SIZES = flags.DEFINE_multi_integer("sizes", [64, 128, 256], "Sides in pixels.")
_NGF = flags.DEFINE_integer("ngf", 64, "Channels of generator and discriminator.")
_BLOCKS = flags.DEFINE_integer("blocks", 9, "Residual blocks.")
_BATCH = flags.DEFINE_integer("batch", 1, "Pictures of each domain in a batch.")
_DTYPE = flags.DEFINE_string("dtype", "float32", "float32 or bfloat16.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Timed steps.")
_OUT = flags.DEFINE_string("out", "benchmarks/results/train_step.json", "JSON file.")


def measure(config, batch_size, repeats):
    """Returns seconds per step (median), compile seconds and bytes of the step."""
    state = cyclegan.init(jax.random.key(0), config)
    shape = (batch_size, config.image_size, config.image_size, 3)
    batch = {"a": jnp.full(shape, 0.25), "b": jnp.full(shape, 0.75)}
    start = time.perf_counter()
    jitted = jax.jit(cyclegan.make_train_step(config), donate_argnums=0)
    step = jitted.lower(state, batch).compile()
    compile_seconds = time.perf_counter() - start
    memory = step.memory_analysis()
    state, metrics = step(state, batch)
    jax.block_until_ready(metrics)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        state, metrics = step(state, batch)
        jax.block_until_ready((state, metrics))
        seconds.append(time.perf_counter() - start)
    used = memory.argument_size_in_bytes + memory.temp_size_in_bytes
    used += memory.output_size_in_bytes - memory.alias_size_in_bytes
    return statistics.median(seconds), compile_seconds, used


def main(argv):
    """Returns 0 after the table is printed and the JSON written."""
    refuse_arguments(argv)
    base = cyclegan.CycleGANConfig(
        ngf=_NGF.value,
        ndf=_NGF.value,
        num_blocks=_BLOCKS.value,
        dtype=_DTYPE.value,
        steps_per_epoch=1000,
    )
    rows = []
    print("  size  images/s  s/step  compile s  memory MiB")
    for size in _SIZES.value:
        config = dataclasses.replace(base, image_size=size)
        seconds, compile_seconds, used = measure(config, _BATCH.value, _REPEATS.value)
        row = {
            "size": size,
            "images_per_second": _BATCH.value / seconds,
            "seconds_per_step": seconds,
            "compile_seconds": compile_seconds,
            "memory_mib": used / 2**20,
        }
        rows.append(row)
        print("{:6d}{:10.3f}{:8.3f}{:11.1f}{:12.0f}".format(*row.values()), flush=True)
    report = {
        "date": datetime.date.today().isoformat(),
        "device": f"{jax.devices()[0].device_kind}, {platform.machine()}",
        "jax": jax.__version__,
        "batch": _BATCH.value,
        "config": dataclasses.asdict(base),
        "rows": rows,
    }
    Path(_OUT.value).parent.mkdir(parents=True, exist_ok=True)
    Path(_OUT.value).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    run_app(main, keep_compiled=False)
