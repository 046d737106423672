"""The acceptance list of integrated gradients, memory, and captum beside ours.

    python -m benchmarks.attributions        # captum and torch where they are installed

Figures for the published completeness protocol, (a) to (i); the compiler's memory at
32, 128 and 512 steps; forward against reverse region tables and the completeness of
each output pixel; and captum on the same function with the same weights, where both are
right, and in two cases where it is not. Networks are small and of random weights.
Prints one line each and writes JSON.
"""

import json
import time
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from stylejax import explain
from stylejax.cli.flags import refuse_arguments, run_app
from stylejax.explain import memory, regions
from stylejax.image.regions import grid_regions
from stylejax.train.protocol import environment

_OUT = flags.DEFINE_string("out", "benchmarks/results/attributions.json", "JSON.")

SIZE = 32
RED = explain.region_mean("red", box=(8, 8, 12, 12))


# --- networks -----------------------------------------------------------------------


def conv(x, kernel, *, stride=1):
    """A convolution with reflecting borders, as CycleGAN has them.

    So a constant picture stays constant, and a norm after it cancels its size.
    """
    pad = kernel.shape[0] // 2
    x = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode="reflect")
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def instance_norm(x):
    """Each channel of each picture at mean 0 and deviation 1."""
    mean = x.mean(axis=(1, 2), keepdims=True)
    return (x - mean) * jax.lax.rsqrt(x.var(axis=(1, 2), keepdims=True) + 1e-5)


def kernels(seed, *, width=8):
    """Weights of three convolutions: 3 to `width` to `width` to 3 channels."""
    shapes = [(5, 5, 3, width), (3, 3, width, width), (3, 3, width, 3)]
    keys = jax.random.split(jax.random.key(seed), len(shapes))
    return [
        jax.random.normal(k, s) * np.sqrt(2 / np.prod(s[:3]))
        for k, s in zip(keys, shapes, strict=True)
    ]


def generator(seed, *, activation=jax.nn.silu, norm=instance_norm):
    """A small generator of random weights."""
    weights = kernels(seed)

    def generate(images):
        x = images * 2 - 1
        for kernel in weights[:-1]:
            x = activation(norm(conv(x, kernel)))
        return (jnp.tanh(conv(x, weights[-1])) + 1) / 2

    return generate


def picture(seed=7):
    """Soft waves, an edge and a little noise."""
    y, x = jnp.mgrid[0:SIZE, 0:SIZE] / (SIZE - 1)
    waves = [jnp.sin(a * x + b * y) for a, b in ((7.0, 2.0), (3.0, 9.0), (11.0, 5.0))]
    image = 0.5 + 0.25 * jnp.stack(waves, axis=-1)
    image = image.at[8:20, 10:24].add(0.2)
    noise = jax.random.uniform(jax.random.key(seed), image.shape)
    return jnp.clip(image + 0.1 * (noise - 0.5), 0, 1)


# --- the acceptance list ------------------------------------------------------------


def acceptance():
    """One figure for each letter of the list."""
    image = picture()
    weights = jax.random.normal(jax.random.key(1), image.shape)
    linear = lambda x: (x * weights[None]).sum(axis=(1, 2, 3))  # noqa: E731
    quartic = lambda x: (x**4).sum(axis=(1, 2, 3))  # noqa: E731
    smooth = [RED.of(generator(seed)) for seed in range(3)]
    kinked = [RED.of(generator(seed, activation=jax.nn.relu)) for seed in range(3)]
    ig = explain.integrated_gradients
    rules = {
        rule: max(
            ig(linear, image, baseline="zero", rule=rule, num_steps=n).relative_error
            for n in (2, 3, 10, 50)
        )
        for rule in explain.RULES
    }
    refused = 0
    for fn in (*smooth, *kinked):
        for constant in ("zero", "grey", "white"):
            try:
                ig(fn, image, baseline=constant)
            except ValueError:
                refused += 1
    maps = [ig(smooth[0], image, chunk=c).map for c in (1, 8, 32)]
    scale = float(jnp.abs(maps[0]).max())
    tiles = [
        explain.region_mean(0, box=(x, y, 16, 16)) for x in (0, 16) for y in (0, 16)
    ]
    net = generator(0)
    parts = sum(ig(tile.of(net), image).map for tile in tiles) / 4
    whole = ig(explain.region_mean(0).of(net), image).map
    twice = ig(lambda x: 2 * smooth[0](x), image).map
    still = ig(smooth[0], image, baseline=image)
    tiny = ig(lambda x: 5 + 1e-4 * (x**2).mean(axis=(1, 2, 3)), image, baseline="zero")
    return {
        "a linear functions, worst relative error by rule": rules,
        "b quartic with two Gauss-Legendre nodes": ig(
            quartic, image, baseline="zero", num_steps=2
        ).relative_error,
        "c smooth generators with norms, blur, 32 nodes": [
            ig(fn, image).relative_error for fn in smooth
        ],
        "d ReLU generators, 128 nodes: relative error, absolute error, change": [
            sizes(ig(fn, image, num_steps=128)) for fn in kinked
        ],
        "d the same to a tolerance of 0.1 %: relative error, nodes": [
            [found.relative_error, found.num_steps]
            for found in (ig(fn, image, tolerance=1e-3) for fn in kinked)
        ],
        "e constant baselines refused, of 18": refused,
        "f chunks of 1, 8 and 32 differ by": max(
            float(jnp.abs(m - maps[0]).max()) / scale for m in maps[1:]
        ),
        "g four tiles against the whole": float(
            jnp.abs(parts - whole).max() / jnp.abs(whole).max()
        ),
        "h twice the function": float(jnp.abs(twice - 2 * maps[2]).max()) / scale,
        "h a picture against itself": float(jnp.abs(still.map).max()),
        "i relative error of a tiny change is undefined": bool(
            np.isnan(tiny.relative_error)
        ),
    }


def sizes(found):
    """Relative error, absolute error, and the change they are errors of."""
    change = found.target - found.target_baseline
    return [found.relative_error, found.absolute_error, change]


def memory_table():
    """Temporary bytes of the compiled scan, by steps and chunk."""
    fn = RED.of(generator(0))
    return {
        f"chunk {chunk}": {
            str(n): memory.temporary_bytes(fn, picture(), num_steps=n, chunk=chunk)
            for n in (32, 128, 512)
        }
        for chunk in (1, 8)
    }


def region_figures():
    """Forward against reverse, and completeness at each output value."""
    net, image = generator(0), picture()
    labels = grid_regions((SIZE, SIZE), rows=4, columns=4)
    outputs = grid_regions((SIZE, SIZE), rows=3, columns=3)
    found = regions.region_maps(net, image, labels=labels)
    tables = {}
    for mode in ("forward", "reverse"):
        began = time.perf_counter()
        tables[mode] = regions.region_table(
            net, image, labels=labels, output_labels=outputs, mode=mode
        ).table
        tables[f"{mode}_seconds"] = round(time.perf_counter() - began, 2)
    scale = float(jnp.abs(tables["forward"]).max())
    gap = float(jnp.abs(tables["forward"] - tables["reverse"]).max())
    return {
        "per output value, mean error": found.mean_error,
        "per output value, largest error": found.max_error,
        "mean change": found.mean_change,
        "forward against reverse, of the largest entry": gap / scale,
    }


# --- captum -------------------------------------------------------------------------


def captum_figures():
    """Captum on the same functions, or why there is none."""
    try:
        import torch
        from captum.attr import IntegratedGradients
    except ImportError as error:
        return {"not done": str(error)}
    weights = kernels(3)
    layers = [torch.tensor(np.array(w.transpose(3, 2, 0, 1))) for w in weights]

    def torch_conv(x, kernel):
        pads = [kernel.shape[-1] // 2] * 4
        padded = torch.nn.functional.pad(x, pads, mode="reflect")
        return torch.nn.functional.conv2d(padded, kernel)

    def torch_net(images, norm):
        x = images * 2 - 1
        for kernel in layers[:-1]:
            x = torch_conv(x, kernel)
            if norm:
                x = torch.nn.functional.instance_norm(x, eps=1e-5)
            x = torch.nn.functional.silu(x)
        x = torch_conv(x, layers[-1])
        return ((torch.tanh(x) + 1) / 2)[:, 0, 8:20, 8:20].mean(dim=(1, 2))

    image = picture()
    start = explain.blur_baseline(image)
    as_torch = lambda x: torch.tensor(np.array(x)).permute(2, 0, 1)[None]  # noqa: E731
    given, baseline = as_torch(image), as_torch(start)

    def theirs(fn, *, base, method="gausslegendre", n=32):
        found, delta = IntegratedGradients(fn).attribute(
            given, base, n_steps=n, method=method, return_convergence_delta=True
        )
        return found[0].permute(1, 2, 0).detach().numpy(), abs(float(delta))

    figures = {}
    for norm in (False, True):
        kind = instance_norm if norm else (lambda x: x)
        ours = explain.integrated_gradients(RED.of(generator(3, norm=kind)), image)
        other, _ = theirs(lambda x, norm=norm: torch_net(x, norm), base=baseline)
        scale = float(np.abs(other).max())
        name = "with norms" if norm else "without norms"
        figures[f"same maps, {name}, of the largest value"] = float(
            np.abs(np.asarray(ours.map) - other).max() / scale
        )
    slope = torch.tensor(np.random.default_rng(0).normal(size=given.shape))
    line = lambda x: (x.double() * slope).sum(dim=(1, 2, 3))  # noqa: E731
    zero = torch.zeros_like(given)
    change = float(line(given) - line(zero))
    for n in (10, 50):
        _, delta = theirs(line, base=zero, method="riemann_trapezoid", n=n)
        figures[f"captum's trapezoid on a linear function, {n} steps, misses"] = (
            delta / abs(change)
        )
    normed = lambda x: torch_net(x, True)  # noqa: E731
    with torch.no_grad():
        moved = abs(float(normed(given) - normed(zero)))
    _, delta = theirs(normed, base=zero, n=50)
    figures["captum's default baseline with norms, 50 steps, misses"] = delta / moved
    try:
        explain.integrated_gradients(
            RED.of(generator(3)), image, baseline="zero", num_steps=50
        )
        figures["ours refuses that baseline"] = False
    except ValueError:
        figures["ours refuses that baseline"] = True
    return figures


def main(argv):
    """Measures, prints and writes."""
    refuse_arguments(argv)
    began = time.monotonic()
    report = {
        "command": "python -m benchmarks.attributions",
        "environment": environment(),
    }
    parts = {
        "acceptance": acceptance,
        "memory": memory_table,
        "regions": region_figures,
        "captum": captum_figures,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", explain.CompletenessWarning)
        for name, part in parts.items():
            report[name] = part()
            for text, figure in report[name].items():
                print(f"{name}: {text}: {figure}", flush=True)
    report["seconds"] = round(time.monotonic() - began)
    path = Path(_OUT.value)
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_app(main)
