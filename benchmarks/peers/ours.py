"""The cases of the side-by-side benchmark in stylejax.

Each is a class whose constructor puts parameters and pictures on the device, whose
`run()` computes and waits, and whose `outputs()` are compared with the peer's.
"""

import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers import material

COMPARED = (
    "generator/adversarial",
    "generator/cycle",
    "generator/identity",
    "generator/total",
    "discriminator/total",
)

PARTS = ("encoder", "decoder")


def nest(leaves):
    """Slash paths to a tree of dictionaries of jax arrays."""
    tree = {}
    for path, leaf in leaves.items():
        *parents, last = path.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = jnp.asarray(leaf)
    return tree


def flat(tree, prefix):
    """A tree of dictionaries as NumPy arrays by slash path."""
    return {
        "/".join([prefix, *(str(key.key) for key in path)]): np.asarray(leaf)
        for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]
    }


class Generator:
    """A ResNet generator, forward."""

    def __init__(self, arrays, options):
        from stylejax.models.resnet_generator import ResNetGenerator

        network = ResNetGenerator(dtype=options["dtype"])
        self.params = {"params": nest(material.below(arrays, "generator/AtoB"))}
        self.x = jnp.asarray(2 * arrays["a"] - 1)
        self.fn = jax.jit(network.apply)

    def run(self):
        self.y = jax.block_until_ready(self.fn(self.params, self.x))

    def outputs(self):
        return {"y": np.asarray(self.y)}

    def flops(self):
        return counted(self.fn.lower(self.params, self.x))


class TrainStep:
    """One step of the whole CycleGAN: two generators, two discriminators, Adam."""

    def __init__(self, arrays, options):
        from stylejax.methods import cyclegan

        size = arrays["a"].shape[1]
        config = cyclegan.CycleGANConfig(
            image_size=size, steps_per_epoch=1000, dtype=options["dtype"]
        )
        families = {
            f"{family}_params": nest(material.below(arrays, family))
            for family in ("generator", "discriminator")
        }
        state = cyclegan.init(jax.random.key(0), config)
        self.state = state.replace(**families)
        self.batch = {side: jnp.asarray(arrays[side]) for side in "ab"}
        self.fn = jax.jit(cyclegan.make_train_step(config), donate_argnums=0)
        self.first = None

    def run(self):
        self.state, metrics = self.fn(self.state, self.batch)
        jax.block_until_ready((self.state, metrics))
        if self.first is None:
            # Adam's first moment after one step is the gradient by (1 - beta1).
            state = self.state
            self.first = {
                f"loss/{k}": np.asarray(v) for k, v in metrics.items() if k in COMPARED
            }
            for family in ("generator", "discriminator"):
                moments = getattr(state, f"{family}_opt_state")
                self.first |= flat(_first_moment(moments), f"gradient/{family}")

    def outputs(self):
        return self.first

    def flops(self):
        return counted(self.fn.lower(self.state, self.batch))


def counted(lowered):
    """XLA's count of the multiplications and additions of a program."""
    found = lowered.cost_analysis() or {}
    return float(found.get("flops", 0.0))


def _first_moment(opt_state):
    """Adam's running mean of the gradients, wherever in the state it stands."""
    found = [
        part.mu
        for part in jax.tree.leaves(opt_state, is_leaf=lambda x: hasattr(x, "mu"))
        if hasattr(part, "mu")
    ]
    return found[0]


class VGGFeatures:
    """VGG's maps relu1_1 ... relu5_1 by ReLU, forward."""

    def __init__(self, arrays, options):
        from stylejax.models.vgg import VGG

        taps = tuple(f"relu{i}_1" for i in range(1, 6))
        network = VGG(taps=taps, arch=options["kind"], dtype=options["dtype"])
        self.params = {"params": nest(material.below(arrays, "vgg"))}
        self.x = jnp.asarray(arrays["a"])
        self.apply = network.apply
        self.fn = jax.jit(network.apply)

    def run(self):
        self.y = jax.block_until_ready(self.fn(self.params, self.x))

    def outputs(self):
        return {name: np.asarray(y, np.float32) for name, y in self.y.items()}

    def flops(self):
        return counted(self.fn.lower(self.params, self.x))


class VGGGradients(VGGFeatures):
    """The gradient of the mean square of all maps by the picture."""

    def __init__(self, arrays, options):
        super().__init__(arrays, options)

        def loss(x, params):
            maps = self.apply(params, x)
            return sum(jnp.square(y.astype(jnp.float32)).mean() for y in maps.values())

        self.fn = jax.jit(jax.value_and_grad(loss))

    def run(self):
        self.y = jax.block_until_ready(self.fn(self.x, self.params))

    def outputs(self):
        return {"loss": np.asarray(self.y[0]), "gradient": np.asarray(self.y[1])}

    def flops(self):
        return counted(self.fn.lower(self.x, self.params))


class Attribution(Generator):
    """Integrated gradients of the mean red of a region of a generator's output."""

    def __init__(self, arrays, options):
        super().__init__(arrays, options)
        from stylejax import explain

        quarter = self.x.shape[1] // 4
        box = (slice(None), slice(quarter, 2 * quarter), slice(quarter, 2 * quarter), 0)

        # Wrapped once, so that it is compiled once.
        target = jax.jit(lambda x: self.fn(self.params, x)[box].mean((1, 2)))
        baseline = jnp.asarray(2 * arrays["b"][0] - 1)

        def attribute():
            return explain.integrated_gradients(
                target, self.x[0], baseline=baseline, num_steps=32
            )

        self.attribute = attribute

    def run(self):
        self.y = jax.block_until_ready(self.attribute().map)

    def outputs(self):
        return {"gradient": np.asarray(self.y)}

    def flops(self):
        # A forward and a backward pass to the input at each of 32 points.
        return 32 * 2 * super().flops()


class Painter:
    """A learned stylising network: content and style to the painted picture."""

    def __init__(self, arrays, options):
        from stylejax.methods import LEARNED, fusing
        from stylejax.methods.control import StyleControl

        kind = options["kind"]
        method, (params, config) = LEARNED[kind], self.network(kind, arrays)
        plan = fusing.plan(StyleControl(), 1, arrays["a"].shape[1:3])

        def paint(params, content, style):
            goals = method.encode_style(params, style, config=config)
            return method.predict(
                params, content, [goals], plan, config=config, partial=False
            )

        self.given = (params, jnp.asarray(arrays["a"]), jnp.asarray(arrays["b"]))
        self.fn = jax.jit(paint)

    def network(self, kind, arrays):
        from stylejax.methods import adain, slim
        from stylejax.pretrained import vgg

        parts = {n: nest(material.below(arrays, f"{kind}/{n}")) for n in PARTS}
        if kind == "slim":
            return parts, slim.SlimConfig()
        weights = vgg.VGGWeights(
            {"params": parts["encoder"]}, "vgg16", False, "none", "conv4_1"
        )
        # Kept as long as this one: weights are looked up by their file.
        self.folder = tempfile.TemporaryDirectory()
        path = str(vgg.save(Path(self.folder.name) / "vgg.safetensors", weights))
        config = adain.AdaINConfig(features=path)
        params = {"decoder": parts["decoder"]}
        widths = dict(zip(adain.TAPS, (64, 128, 256, 512), strict=True))
        params["scales"] = {tap: jnp.ones(c) for tap, c in widths.items()}
        return params, config

    def run(self):
        self.y = jax.block_until_ready(self.fn(*self.given))

    def outputs(self):
        return {"y": np.asarray(self.y)}

    def flops(self):
        return counted(self.fn.lower(*self.given))


CASES = {
    ("slim", "paint"): Painter,
    ("adain", "paint"): Painter,
    ("generator", "forward"): Generator,
    ("train_step", "step"): TrainStep,
    ("vgg16", "forward"): VGGFeatures,
    ("vgg16", "gradients"): VGGGradients,
    ("vgg19", "forward"): VGGFeatures,
    ("vgg19", "gradients"): VGGGradients,
    ("attribution", "32 steps"): Attribution,
}


def versions():
    """What this peer is made of."""
    import stylejax

    return {"stylejax": stylejax.__version__, "jax": jax.__version__}


def device():
    """Its device in words."""
    return jax.devices()[0].device_kind


def device_peak_bytes():
    """The most memory the device has held, where it tells."""
    stats = jax.devices()[0].memory_stats() or {}
    return stats.get("peak_bytes_in_use", 0)
