"""One bench for all tests: 4 CPU devices, no silent rank promotion, fixed seeds.

Warnings are errors as well: see `filterwarnings` in pyproject.toml, where every
exception has a comment.
"""

import os
import tempfile
from pathlib import Path

# Before jax is imported: a machine with an accelerator runs the same tests.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Compiled programs are kept between runs; child processes of a test find them too.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR",
    str(Path(tempfile.gettempdir()) / f"stylejax-jax-cache-{os.getuid()}"),
)
# Most of a test's time is compilation: a third less of it without LLVM's optimisation
# (2026-11, jax 0.10.2: 6.8 s of CPU for 10.1 s, the smallest CycleGAN step).
os.environ["XLA_FLAGS"] = " ".join(
    [os.environ.get("XLA_FLAGS", ""), "--xla_backend_optimization_level=0"]
).strip()

import jax
import numpy as np
import pytest

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


def _folder(variable: str) -> Path:
    path = os.environ.get(variable)
    if not path:
        pytest.skip(f"{variable} is unset: it names the folder this test reads")
    if not Path(path).is_dir():
        pytest.fail(f"{variable}={path} is no folder")
    return Path(path)


@pytest.fixture
def data_dir() -> Path:
    """The folder of image sets outside the package, or a skip."""
    return _folder("STYLEJAX_DATA")


@pytest.fixture
def weights_dir() -> Path:
    """The folder of weights outside the package, or a skip."""
    return _folder("STYLEJAX_WEIGHTS")


@pytest.fixture
def generator() -> np.random.Generator:
    """A NumPy generator with a fixed seed."""
    return np.random.default_rng(0)


@pytest.fixture(scope="module", autouse=True)
def _forget_compiled_programs():
    """Every program keeps pages mapped, and Linux allows a process 65,530 mappings.

    A run of the whole suite ended in a segmentation fault (2026-11, jax 0.10.2). The
    tests of four small rooms alone left 11,900 mappings behind, with this 1,400.
    """
    yield
    jax.clear_caches()


@pytest.fixture(scope="session")
def random_state():
    """config -> a CycleGAN state of random numbers, which compiles nothing."""
    from stylejax.methods import cyclegan

    def make(config, *, seed=0):
        generator = np.random.default_rng(seed)
        shapes = jax.eval_shape(
            lambda key: cyclegan.init(key, config), jax.random.key(0)
        )
        return jax.tree.map(
            lambda s: jax.device_put(generator.normal(0, 0.1, s.shape).astype(s.dtype)),
            shapes,
        )

    return make


@pytest.fixture(scope="session")
def small_model(random_state, tmp_path_factory):
    """A weights file of an untrained network: (path, its `Translator`)."""
    from stylejax import api
    from stylejax.methods import cyclegan

    config = cyclegan.CycleGANConfig(ngf=2, num_blocks=1, image_size=16)
    params = random_state(config).generator_params
    model = api.Translator("cyclegan", config, params)
    folder = tmp_path_factory.mktemp("model")
    return model.save(folder / "small.safetensors", dtype="float32"), model


@pytest.fixture(scope="session")
def tiny_gatys(tmp_path_factory):
    """A `GatysConfig` of few steps on a small network of random weights."""
    from stylejax.methods.gatys import GatysConfig
    from stylejax.models import vgg as networks
    from stylejax.pretrained import vgg

    generator = np.random.default_rng(5)
    shapes = jax.eval_shape(
        networks.VGG(taps=("conv2_1",), arch="vgg11", width=6).init,
        jax.random.key(0),
        jax.ShapeDtypeStruct((1, 16, 16, 3), np.float32),
    )
    params = jax.tree.map(
        lambda s: generator.normal(0, (2 / np.prod(s.shape[:-1])) ** 0.5, s.shape),
        shapes,
    )["params"]
    params = jax.tree.map(lambda x: x.astype(np.float32), params)
    weights = vgg.VGGWeights({"params": params}, "vgg11", False, "torch", "conv2_1")
    path = tmp_path_factory.mktemp("tiny") / "vgg11.safetensors"
    return GatysConfig(
        features=str(vgg.save(path, weights)),
        content_layers=("relu2_1",),
        style_layers=("relu1_1", "relu2_1"),
        num_iterations=12,
        check_every=6,
        min_side=16,
        range_weight=1.0,
    )
