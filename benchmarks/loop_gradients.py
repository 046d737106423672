"""Gradients of a convolution inside a loop against the same steps unrolled.

    python -m benchmarks.loop_gradients

Why the explainers are stepped from the host on CPUs, and Gatys' method is not. A step
is the input gradient of a 3 x 3 convolution, or its forward pass, at two of the VGG's
shapes: of `jax.lax` itself, which any user's function may call, and of this package,
whose gradients are not slow in loops. --steps of them are compiled as a scan and
unrolled, and timed in turns. A figure is the median over the rounds of the ratio of the
two. Prints one table and writes JSON.
"""

import json
import statistics
import time
from pathlib import Path

import jax
from absl import flags

from stylejax.cli.flags import refuse_arguments, run_app
from stylejax.nn import conv_forms
from stylejax.nn.conv_primitive import convolve
from stylejax.train.protocol import environment

_ROUNDS = flags.DEFINE_integer("rounds", 7, "Timed rounds, both ways in each.")
_STEPS = flags.DEFINE_integer("steps", 5, "Steps compiled into one program.")
_OUT = flags.DEFINE_string("out", "benchmarks/results/loop_gradients.json", "JSON.")

SHAPES = {"conv2_2": (1, 96, 96, 128), "conv3_2": (1, 48, 48, 256)}


def ours(x, kernel):
    """The package's convolution, of zero-padded maps."""
    return convolve(x, kernel, padding=((1, 1), (1, 1)))


def lax(x, kernel):
    """The same by `jax.lax`."""
    return conv_forms.plain(x, kernel, stride=1, padding=((1, 1), (1, 1)), dilation=1)


def backward(fn):
    """The gradient that reaches the input where `x` reaches the output."""
    return lambda x, kernel: jax.vjp(lambda y: fn(y, kernel), x)[1](x)[0]


def scanned(step, count):
    """`count` steps in a loop of the compiled program."""
    return jax.jit(
        lambda x, k: jax.lax.scan(lambda y, _: (step(y, k), None), x, length=count)[0]
    )


def unrolled(step, count):
    """`count` steps one after the other."""

    def run(x, kernel):
        for _ in range(count):
            x = step(x, kernel)
        return x

    return jax.jit(run)


def seconds(fn, arguments):
    """Seconds of one call that is waited for."""
    start = time.perf_counter()
    jax.block_until_ready(fn(*arguments))
    return time.perf_counter() - start


def main(argv):
    """Returns 0 after the table is printed and the JSON written."""
    refuse_arguments(argv)
    rows = []
    print("layer    pass           loop ms  unrolled ms  ratio")
    for layer, shape in SHAPES.items():
        keys = jax.random.split(jax.random.key(0))
        kernel = 0.03 * jax.random.normal(keys[1], (3, 3, shape[-1], shape[-1]))
        arguments = (jax.random.normal(keys[0], shape), kernel)
        steps = {"lax forward": lax, "lax backward": backward(lax)}
        steps |= {"ours forward": ours, "ours backward": backward(ours)}
        for name, step in steps.items():
            ways = [make(step, _STEPS.value) for make in (scanned, unrolled)]
            for way in ways:
                seconds(way, arguments)
            times = [
                [seconds(w, arguments) for w in ways] for _ in range(_ROUNDS.value)
            ]
            row = {
                "layer": layer,
                "pass": name,
                "loop_ms": 1e3 * statistics.median(t[0] for t in times),
                "unrolled_ms": 1e3 * statistics.median(t[1] for t in times),
                "ratio": statistics.median(t[0] / t[1] for t in times),
            }
            rows.append(row)
            print("{:9}{:13}{:9.1f}{:13.1f}{:7.2f}".format(*row.values()), flush=True)
    result = {"rows": rows, "rounds": _ROUNDS.value, **environment()}
    Path(_OUT.value).parent.mkdir(parents=True, exist_ok=True)
    Path(_OUT.value).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    run_app(main)
