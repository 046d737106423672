"""Our convolution on a CPU against XLA's own, and whole networks with either.

    python -m benchmarks.conv_forms
    python -m benchmarks.conv_forms --networks=False     # single convolutions alone

Single convolutions at the shapes of the networks here: forward, gradient by the input,
gradient by the kernel; then a CycleGAN generator, forward and with gradients, and
VGG-19 with gradients. Ours and XLA's are timed in turns; a figure is the median of
the ratios of the rounds. The largest difference stands beside it. Prints
one table and writes JSON. Run it where jax or the machine has changed: the choice of
forms in `stylejax/nn/conv_forms.py` is from such tables.
"""

import json
import os
import statistics
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from stylejax.cli.flags import refuse_arguments, run_app
from stylejax.models.resnet_generator import ResNetGenerator
from stylejax.models.vgg import VGG
from stylejax.nn import conv_forms
from stylejax.nn.conv_primitive import convolve
from stylejax.train.protocol import environment

_ROUNDS = flags.DEFINE_integer("rounds", 11, "Timed rounds, both in each.")
_NETWORKS = flags.DEFINE_boolean("networks", True, "Time whole networks as well.")
_OUT = flags.DEFINE_string("out", "benchmarks/results/conv_forms.json", "JSON file.")

# name: input, kernel, stride, padding, dilation
SHAPES = {
    "block, 256 px": ((1, 66, 66, 256), (3, 3, 256, 256), 1, 0, 1),
    "block, 128 px": ((1, 34, 34, 256), (3, 3, 256, 256), 1, 0, 1),
    "block, emoji": ((1, 18, 18, 128), (3, 3, 128, 128), 1, 0, 1),
    "stem 7x7, 128 px": ((1, 134, 134, 3), (7, 7, 3, 64), 1, 0, 1),
    "head 7x7, 128 px": ((1, 134, 134, 64), (7, 7, 64, 3), 1, 0, 1),
    "down, 128 px": ((1, 128, 128, 64), (3, 3, 64, 128), 2, 1, 1),
    "up, 128 px": ((1, 32, 32, 256), (3, 3, 256, 128), 1, (1, 2), 2),
    "patch 4x4, 128 px": ((1, 64, 64, 64), (4, 4, 64, 128), 2, 1, 1),
    "VGG conv1_2, 256 px": ((1, 256, 256, 64), (3, 3, 64, 64), 1, 1, 1),
    "VGG conv2_2, 256 px": ((1, 128, 128, 128), (3, 3, 128, 128), 1, 1, 1),
    "VGG conv4_2, 256 px": ((1, 32, 32, 512), (3, 3, 512, 512), 1, 1, 1),
}


def seconds(fn, arguments):
    """Seconds of one call that is waited for."""
    start = time.perf_counter()
    jax.block_until_ready(fn(*arguments))
    return time.perf_counter() - start


def switched(fn, arguments, *, name):
    """The function compiled with our forms or with XLA's own; warmed up."""
    os.environ.pop(conv_forms.SWITCH, None)
    if name == "xla":
        os.environ[conv_forms.SWITCH] = "xla"
    compiled = jax.jit(lambda *a: fn(*a))
    start = time.perf_counter()
    jax.block_until_ready(compiled(*arguments))
    compile_seconds = time.perf_counter() - start
    os.environ.pop(conv_forms.SWITCH, None)
    return compiled, compile_seconds


def row(case, what, fn, arguments):
    """One line: times of both, their ratio, their difference."""
    (ours, first), (theirs, second) = (
        switched(fn, arguments, name=name) for name in ("ours", "xla")
    )
    pairs = zip(
        jax.tree.leaves(ours(*arguments)),
        jax.tree.leaves(theirs(*arguments)),
        strict=True,
    )
    difference = max(
        float(jnp.abs(a - b).max() / (jnp.abs(b).max() + 1e-30)) for a, b in pairs
    )
    times = [
        (seconds(ours, arguments), seconds(theirs, arguments))
        for _ in range(_ROUNDS.value)
    ]
    found = {
        "case": case,
        "what": what,
        "ours_ms": 1e3 * statistics.median(t[0] for t in times),
        "xla_ms": 1e3 * statistics.median(t[1] for t in times),
        "ratio": statistics.median(t[0] / t[1] for t in times),
        "difference": difference,
        "ours_first_call_s": first,
        "xla_first_call_s": second,
    }
    print(
        "{case:22}{what:18}{ours_ms:9.1f}{xla_ms:9.1f}{ratio:7.2f}{difference:10.1e}"
        "{ours_first_call_s:8.1f}{xla_first_call_s:8.1f}".format(**found),
        flush=True,
    )
    return found


def drawn(seed, shape):
    """Normal numbers."""
    return jax.random.normal(jax.random.key(seed), shape)


def convolution_rows():
    """Single convolutions, each in three ways."""
    rows = []
    for case, (shape, kernel_shape, stride, pad, dilation) in SHAPES.items():
        pads = pad if isinstance(pad, tuple) else (pad, pad)
        x, kernel = drawn(0, shape), drawn(1, kernel_shape)

        def forward(x, kernel, stride=stride, pads=pads, dilation=dilation):
            return convolve(
                x, kernel, stride=stride, padding=(pads, pads), dilation=dilation
            )

        output = drawn(2, jax.eval_shape(forward, x, kernel).shape)

        def by_input(x, kernel, g, forward=forward):
            return jax.vjp(lambda x: forward(x, kernel), x)[1](g)

        def by_kernel(x, kernel, g, forward=forward):
            return jax.vjp(lambda k: forward(x, k), kernel)[1](g)

        rows.append(row(case, "forward", forward, (x, kernel)))
        rows.append(row(case, "by the input", by_input, (x, kernel, output)))
        rows.append(row(case, "by the kernel", by_kernel, (x, kernel, output)))
    return rows


def network_rows():
    """Generators and VGG-19, with random parameters."""
    rows = []
    generator = ResNetGenerator()
    x = jax.random.uniform(jax.random.key(0), (1, 256, 256, 3))
    params = jax.jit(generator.init)(jax.random.key(1), x[:, :64, :64])
    rows.append(row("generator, 256 px", "forward", generator.apply, (params, x)))

    def with_gradients(params, x):
        return jax.grad(lambda p: (generator.apply(p, x) ** 2).mean())(params)

    rows.append(
        row(
            "generator, 128 px",
            "with gradients",
            with_gradients,
            (params, x[:, :128, :128]),
        )
    )
    vgg = VGG(taps=("relu5_1",), arch="vgg19")
    shapes = jax.eval_shape(vgg.init, jax.random.key(0), x)
    rng = np.random.default_rng(0)
    weights = jax.tree.map(
        lambda s: np.float32(
            rng.normal(0, (2 / np.prod(s.shape[:-1])) ** 0.5, s.shape)
        ),
        shapes,
    )

    def features(weights, x):
        return jax.grad(lambda x: (vgg.apply(weights, x)["relu5_1"] ** 2).mean())(x)

    rows.append(row("VGG-19, 256 px", "with gradients", features, (weights, x)))
    return rows


def main(argv):
    """Measures, prints and writes."""
    refuse_arguments(argv)
    print(
        "case                  what              ours ms   XLA ms  ratio   differs"
        "  first calls, s"
    )
    rows = convolution_rows()
    if _NETWORKS.value:
        rows += network_rows()
    report = {
        "command": "python -m benchmarks.conv_forms",
        "environment": environment(),
        "rounds": _ROUNDS.value,
        "rows": rows,
    }
    path = Path(_OUT.value)
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_app(main)
