"""Every form of a convolution on a CPU, and networks with ours or with XLA's own.

    python -m benchmarks.conv_forms
    python -m benchmarks.conv_forms --networks=False     # single convolutions alone

Single convolutions at the shapes of the networks here: forward, gradient by the input,
gradient by the kernel, each in every form that can compute it, in turns, a few in a row
in one program as in a network. A row tells the form that `stylejax.nn.conv_choice`
takes, how much longer it takes than the fastest, and XLA's own. Then a CycleGAN
generator, forward and with gradients, and VGG-19 with gradients: ours against XLA's
own, the median of the ratios of the rounds. Prints the tables and writes JSON. Run
it where jax or the machine has changed: the rules in `stylejax/nn/conv_choice.py` are
from such tables.
"""

import functools
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
from stylejax.nn import conv_choice, conv_forms
from stylejax.train.protocol import environment

_ROUNDS = flags.DEFINE_integer("rounds", 11, "Timed rounds, both in each.")
_NETWORKS = flags.DEFINE_boolean("networks", True, "Time whole networks as well.")
_OUT = flags.DEFINE_string("out", "benchmarks/results/conv_forms.json", "JSON file.")

LAYERS = 4  # convolutions in one program
FORWARD = ("xla", "padding", "row", "winograd2", "winograd4")
GRADIENT = ("xla", "places", "rows", "winograd2", "winograd4")
# name: input, kernel, stride, padding, dilation
SHAPES = {
    "block, 256 px": ((1, 66, 66, 256), (3, 3, 256, 256), 1, 0, 1),
    "block, 128 px": ((1, 34, 34, 256), (3, 3, 256, 256), 1, 0, 1),
    "block, 64 px": ((1, 18, 18, 256), (3, 3, 256, 256), 1, 0, 1),
    "block, 64 px, 16 of them": ((16, 18, 18, 256), (3, 3, 256, 256), 1, 0, 1),
    "block, emoji": ((4, 18, 18, 128), (3, 3, 128, 128), 1, 0, 1),
    "stem 7x7, 128 px": ((1, 134, 134, 3), (7, 7, 3, 64), 1, 0, 1),
    "head 7x7, 128 px": ((1, 134, 134, 64), (7, 7, 64, 3), 1, 0, 1),
    "down, 128 px": ((1, 128, 128, 64), (3, 3, 64, 128), 2, 1, 1),
    "up, 128 px": ((1, 32, 32, 256), (3, 3, 256, 128), 1, (1, 2), 2),
    "patch 4x4, 128 px": ((1, 64, 64, 64), (4, 4, 64, 128), 2, 1, 1),
    "patch 4x4, 16 px": ((1, 16, 16, 256), (4, 4, 256, 512), 1, 1, 1),
    "VGG conv1_2, 256 px": ((1, 256, 256, 64), (3, 3, 64, 64), 1, 1, 1),
    "VGG conv2_2, 256 px": ((1, 128, 128, 128), (3, 3, 128, 128), 1, 1, 1),
    "VGG conv3_2, 256 px": ((1, 64, 64, 256), (3, 3, 256, 256), 1, 1, 1),
    "VGG conv4_2, 256 px": ((1, 32, 32, 512), (3, 3, 512, 512), 1, 1, 1),
    "VGG conv5_1, 256 px": ((1, 16, 16, 512), (3, 3, 512, 512), 1, 1, 1),
}


def seconds(fn, arguments):
    """Seconds of one call that is waited for."""
    start = time.perf_counter()
    jax.block_until_ready(fn(*arguments))
    return time.perf_counter() - start


def switched(fn, arguments, *, name):
    """The function compiled with our forms or with XLA's own; warmed up."""
    os.environ.pop(conv_choice.SWITCH, None)
    if name == "xla":
        os.environ[conv_choice.SWITCH] = "xla"
    compiled = jax.jit(lambda *a: fn(*a))
    start = time.perf_counter()
    jax.block_until_ready(compiled(*arguments))
    compile_seconds = time.perf_counter() - start
    os.environ.pop(conv_choice.SWITCH, None)
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
    # Over all leaves: biases before a norm have no gradient but rounding.
    above, below = (
        sum(float(jnp.square(x).sum()) for x in leaves)
        for leaves in zip(*((a - b, b) for a, b in pairs), strict=True)
    )
    difference = (above / below) ** 0.5
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


def in_turn(fn):
    """`LAYERS` calls one after the other, the last output: memory is used again."""

    def program(x, other):
        factor = 1.0
        for _ in range(LAYERS):
            y = fn(x * factor, other * factor)
            factor = 1 + 1e-6 * y.max()  # of all, or parts are never computed
        return y

    return program


def timed_forms(case, what, functions, x, other, chosen):
    """A row: milliseconds of each form, what the rule takes, what that costs."""
    compiled, expected = {}, None
    for name, fn in functions.items():
        compiled[name] = jax.jit(in_turn(fn))
        first = compiled[name](x, other)
        expected = first if expected is None else expected
        apart = float(jnp.abs(first - expected).max() / jnp.abs(expected).max())
        if not apart < 1e-4:
            raise SystemExit(f"{case}, {what}, {name}: differs by {apart:.1e}")
    times = {name: [] for name in compiled}
    for _ in range(_ROUNDS.value):
        for name, fn in compiled.items():
            times[name].append(seconds(fn, (x, other)))
    found = {name: 1e3 * statistics.median(t) / LAYERS for name, t in times.items()}
    row = {"case": case, "what": what, "ms": found, "chosen": chosen}
    row["over_fastest"] = found[chosen] / min(found.values())
    row["over_xla"] = found[chosen] / found["xla"]
    forms = "  ".join(f"{name} {ms:.1f}" for name, ms in found.items())
    print(
        f"{case:26}{what:15}{chosen:10}{row['over_fastest']:6.2f}"
        f"{row['over_xla']:6.2f}   {forms}",
        flush=True,
    )
    return row


def forced(rule, form, fn):
    """`fn` in one form, whatever the rule says; XLA's own for "xla"."""

    def run(*arguments, **options):
        kept = getattr(conv_forms, rule), os.environ.get(conv_choice.SWITCH)
        setattr(conv_forms, rule, lambda *a, **o: form)
        if form == "xla":
            os.environ[conv_choice.SWITCH] = "xla"
        try:
            return fn(*arguments, **options)
        finally:
            setattr(conv_forms, rule, kept[0])
            os.environ.pop(conv_choice.SWITCH, None)

    return run


def functions_of(rule, fn, names, options):
    """For each form a function of two arrays."""
    return {
        name: functools.partial(forced(rule, name, fn), **options) for name in names
    }


def convolution_rows():
    """Single convolutions, forward and both gradients, each in every form."""
    rows = []
    for case, (shape, kernel_shape, stride, pad, dilation) in SHAPES.items():
        pads = pad if isinstance(pad, tuple) else (pad, pad)
        options = {"stride": stride, "padding": (pads, pads), "dilation": dilation}
        x, kernel = drawn(0, shape), drawn(1, kernel_shape)
        output = drawn(2, conv_forms.plain(x, kernel, **options).shape)
        size = kernel_shape[:2]
        is_tiled = size == (3, 3) and stride == dilation == 1
        # Back to the input: strides become dilations, and the kernel is turned.
        back = {"stride": dilation, "dilation": stride, "turned": True}
        back["padding"] = conv_forms.turned_padding(
            shape, output.shape, size=size, **options
        )
        for what, first, given in (
            ("forward", x, options | {"turned": False}),
            ("by the input", output, back),
        ):
            count = 2 if given["stride"] > 1 or given["dilation"] > 1 else 3
            names = FORWARD if is_tiled else FORWARD[:count]
            forms = functions_of("forward_form", conv_forms.on_cpu, names, given)
            rule = conv_choice.forward_form(first.shape, kernel_shape, **given)
            rows.append(timed_forms(case, what, forms, first, kernel, rule))
        names = GRADIENT if is_tiled else GRADIENT[: 3 if stride * dilation == 1 else 2]
        given = options | {"size": size}
        by_kernel = conv_forms.kernel_gradient_on_cpu
        forms = functions_of("gradient_form", by_kernel, names, given)
        del given["padding"]
        rule = conv_choice.gradient_form(shape, output.shape, **given)
        rows.append(timed_forms(case, "by the kernel", forms, x, output, rule))
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
        "case                      what           takes     over fastest, XLA's   ms of"
        " each form"
    )
    rows, networks = convolution_rows(), []
    if _NETWORKS.value:
        print(
            "network               what              ours ms   XLA ms  ratio   differs"
            "  first calls, s"
        )
        networks = network_rows()
    report = {
        "command": "python -m benchmarks.conv_forms",
        "environment": environment(),
        "rounds": _ROUNDS.value,
        "rows": rows,
        "networks": networks,
    }
    path = Path(_OUT.value)
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_app(main, keep_compiled=False)
