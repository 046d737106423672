"""Enlarging and convolving in one against the two steps apart: time and agreement.

    python -m benchmarks.nearest_conv

At the shapes of the emoji network (64 px, 32 channels), forward and with both
gradients. The two ways are timed in turns; a figure is the median over the rounds of
the ratio of ours to the plain way. Prints one table and writes JSON.
"""

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
from stylejax.nn import conv
from stylejax.nn.upsample import nearest_conv2d

_ROUNDS = flags.DEFINE_integer("rounds", 31, "Timed rounds, both ways in each.")
_OUT = flags.DEFINE_string("out", "benchmarks/results/nearest_conv.json", "JSON file.")

SHAPES = {
    "up_0": ((1, 16, 16, 128), (3, 3, 128, 64)),
    "up_1": ((1, 32, 32, 64), (3, 3, 64, 32)),
}


def plain(x, kernel):
    """The enlarged map, padded by reflection and convolved."""
    large = jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
    return conv.conv2d(conv.pad(large, 1, mode="reflect"), kernel)


def with_gradients(fn):
    """A function that returns the output and both gradients of its square."""
    return lambda x, k: jax.value_and_grad(
        lambda *a: jnp.sum(fn(*a) ** 2), argnums=(0, 1)
    )(x, k)


def seconds(fn, arguments):
    """Seconds of one call that is waited for."""
    start = time.perf_counter()
    jax.block_until_ready(fn(*arguments))
    return time.perf_counter() - start


def main(argv):
    """Returns 0 after the table is printed and the JSON written."""
    refuse_arguments(argv)
    rows = []
    print("layer  what                 ours ms  plain ms  ratio  difference")
    for name, shapes in SHAPES.items():
        keys = jax.random.split(jax.random.key(0))
        arguments = [jax.random.normal(k, s) for k, s in zip(keys, shapes, strict=True)]
        outputs = [fn(*arguments) for fn in (nearest_conv2d, plain)]
        largest = jnp.max(jnp.abs(outputs[1]))
        difference = float(jnp.max(jnp.abs(outputs[0] - outputs[1])) / largest)
        for what, wrap in (
            ("forward", lambda f: f),
            ("with gradients", with_gradients),
        ):
            ours, theirs = (jax.jit(wrap(fn)) for fn in (nearest_conv2d, plain))
            seconds(ours, arguments), seconds(theirs, arguments)
            times = [
                (seconds(ours, arguments), seconds(theirs, arguments))
                for _ in range(_ROUNDS.value)
            ]
            row = {
                "layer": name,
                "what": what,
                "ours_ms": 1e3 * statistics.median(t[0] for t in times),
                "plain_ms": 1e3 * statistics.median(t[1] for t in times),
                "ratio": statistics.median(t[0] / t[1] for t in times),
                "relative_difference": difference,
            }
            rows.append(row)
            line = "{:6} {:19}{:9.2f}{:10.2f}{:7.2f}{:12.1e}"
            print(line.format(*row.values()), flush=True)
    result = {
        "rows": rows,
        "rounds": _ROUNDS.value,
        "date": datetime.date.today().isoformat(),
        "device": f"{jax.devices()[0].device_kind}, {platform.machine()}",
        "jax": jax.__version__,
    }
    Path(_OUT.value).parent.mkdir(parents=True, exist_ok=True)
    Path(_OUT.value).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    run_app(main)
