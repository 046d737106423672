"""Gatys against an equivalent PyTorch script: same weights, layers, losses and start.

    python -m benchmarks.gatys --content=photo.jpg --style=painting.jpg

Adam: time per iteration, five in a row, both in turns; the figure is the median over
the rounds of the ratio of ours to theirs. L-BFGS: the loss (as our code computes it)
after --seconds of optimising, compilation not counted; theirs is `torch.optim.LBFGS` as
the neural-style codes use it: no line search, memory 100; ours rejects steps that do
not decrease and remembers 20. Needs the extra `bench`. Prints a table and writes JSON.
"""

import functools
import json
import resource
import statistics
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from stylejax.cli.flags import refuse_arguments, run_app
from stylejax.image import files
from stylejax.image.resize import fit_longer_side
from stylejax.losses import terms
from stylejax.methods import gatys
from stylejax.methods.control import StyleControl
from stylejax.pretrained import vgg
from stylejax.train.protocol import environment

_CONTENT = flags.DEFINE_string("content", None, "Content picture.", required=True)
_STYLE = flags.DEFINE_string("style", None, "Style picture.", required=True)
_SIZES = flags.DEFINE_multi_integer("size", [256, 384], "Longer sides in pixels.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Timed rounds of Adam, both in each.")
_SECONDS = flags.DEFINE_float("seconds", 60.0, "Of L-BFGS.")
_OUT = flags.DEFINE_string("out", "benchmarks/results/gatys.json", "JSON file.")

STEPS = 5  # in a row: one call of ours, which compiles them as a loop


class Ours:
    """Our method at one size: some steps, and the loss of a picture."""

    def __init__(self, content, style, optimizer):
        self.config = gatys.GatysConfig(optimizer=optimizer, range_weight=0.0)
        self.feature_fn = gatys.features(self.config)
        self.targets = gatys.make_targets(
            content,
            [style],
            config=self.config,
            control=StyleControl(),
            feature_fn=self.feature_fn,
        )
        self.state = jax.vmap(gatys.minimizer(self.config).init)(content)

    def steps(self):
        self.state = jax.block_until_ready(
            gatys.advance(
                self.state,
                self.targets,
                config=self.config,
                feature_fn=self.feature_fn,
                num_steps=STEPS,
            )
        )

    @functools.cached_property
    def loss_fn(self):
        @jax.jit
        def loss(images):
            found = gatys.loss_terms(
                images, self.targets, config=self.config, feature_fn=self.feature_fn
            )
            return terms.total(found)[0]

        return loss

    def loss(self):
        return float(self.loss_fn(self.state.x))


class Theirs:
    """The same optimisation in PyTorch, eager."""

    def __init__(self, content, style, optimizer):
        import torch

        self.torch = torch
        config = gatys.GatysConfig()
        loaded = vgg.load(config.features)
        self.layers = [name for name in loaded.taps() if not name.startswith("norm")]
        self.kernels = {
            name: (
                torch.tensor(np.asarray(leaf["kernel"]).transpose(3, 2, 0, 1).copy()),
                torch.tensor(np.asarray(leaf["bias"])),
            )
            for name, leaf in loaded.variables["params"].items()
        }
        chosen = vgg.PREPROCESSINGS[loaded.preprocessing]
        self.scale = chosen.scale
        self.mean = torch.tensor(chosen.mean).reshape(1, 3, 1, 1)
        self.style_layers, self.beta = config.style_layers, config.style_weight
        content, style = (
            torch.tensor(np.asarray(x).transpose(0, 3, 1, 2).copy())
            for x in (content, style)
        )
        with torch.no_grad():
            self.content_map = self.maps(content)["relu4_2"]
            goal = self.maps(style)
            self.grams = {name: self.gram(goal[name]) for name in self.style_layers}
        self.image = content.clone().requires_grad_(True)
        self.optimizer = (
            torch.optim.Adam([self.image], lr=0.02)
            if optimizer == "adam"
            else torch.optim.LBFGS(
                [self.image],
                max_iter=1,
                history_size=100,
                tolerance_grad=0,
                tolerance_change=0,
            )
        )

    def maps(self, image):
        functional = self.torch.nn.functional
        x, found = self.scale * image - self.mean, {}
        for name in self.layers:
            if name.startswith("conv"):
                x = functional.conv2d(x, *self.kernels[name], padding=1)
            elif name.startswith("relu"):
                x = functional.relu(x)
            else:
                x = functional.max_pool2d(x, 2)
            found[name] = x
            if name == "relu4_2":
                return found

    def gram(self, x):
        flat = x.flatten(2)[0]
        return flat @ flat.T / x.numel()

    def value(self):
        found = self.maps(self.image)
        style = sum(
            (self.gram(found[name]) - self.grams[name]).square().mean()
            for name in self.style_layers
        )
        content = (found["relu4_2"] - self.content_map).square().mean()
        return content + self.beta / len(self.style_layers) * style

    def steps(self):
        def closure():
            self.optimizer.zero_grad()
            loss = self.value()
            loss.backward()
            return loss

        for _ in range(STEPS):
            self.optimizer.step(closure)

    def picture(self):
        return jnp.asarray(self.image.detach().numpy().transpose(0, 2, 3, 1))


def seconds(peer):
    """Seconds of one step, the mean of a few in a row."""
    start = time.perf_counter()
    peer.steps()
    return (time.perf_counter() - start) / STEPS


def adam_row(content, style, size):
    """Median milliseconds of an iteration of both, and the median ratio."""
    both = Ours(content, style, "adam"), Theirs(content, style, "adam")
    first = float(both[1].value().detach()), both[0].loss()
    for peer in both:
        peer.steps()
    times = [[seconds(peer) for peer in both] for _ in range(_ROUNDS.value)]
    return {
        "size": size,
        "ours_ms": 1e3 * statistics.median(t[0] for t in times),
        "pytorch_ms": 1e3 * statistics.median(t[1] for t in times),
        "ratio": statistics.median(t[0] / t[1] for t in times),
        "relative_difference_of_the_first_loss": abs(first[0] - first[1]) / first[0],
    }


def lbfgs_row(content, style, size):
    """The loss that each reaches in equal time, judged by our code."""
    row = {"size": size, "seconds": _SECONDS.value}
    ours = Ours(content, style, "lbfgs")
    row["start"] = ours.loss()
    start = ours.state
    ours.steps()
    ours.state = start
    theirs = Theirs(content, style, "lbfgs")
    theirs.value().backward()
    for name, peer in (("ours", ours), ("pytorch", theirs)):
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < _SECONDS.value:
            peer.steps()
            count += STEPS
        row[f"{name}_steps"] = count
    row["ours"] = ours.loss()
    row["ours_rejected"] = int(ours.state.num_rejected[0])
    row["pytorch"] = float(ours.loss_fn(theirs.picture()))
    row["ratio"] = row["ours"] / row["pytorch"]
    return row


def main(argv):
    """Returns 0 after the table is printed and the JSON written."""
    refuse_arguments(argv)
    import torch

    result = {"adam": [], "lbfgs": []}
    pictures = [files.read(path)[None] for path in (_CONTENT.value, _STYLE.value)]
    for size in _SIZES.value:
        content, style = (fit_longer_side(jnp.asarray(x), size) for x in pictures)
        for name, measure in (("adam", adam_row), ("lbfgs", lbfgs_row)):
            result[name].append(measure(content, style, size))
            print(name, json.dumps(result[name][-1]), flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result |= {
        "content": Path(_CONTENT.value).name,
        "style": Path(_STYLE.value).name,
        "rounds": _ROUNDS.value,
        "peak_mb_of_both_together": round(peak),
        **environment(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    Path(_OUT.value).parent.mkdir(parents=True, exist_ok=True)
    Path(_OUT.value).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    run_app(main, keep_compiled=False)
