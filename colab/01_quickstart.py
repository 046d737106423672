# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # stylejax in ten minutes
#
# Train a small CycleGAN on emoji, translate pictures it has never seen, and ask *why*
# one of them looks as it does. Everything below runs on a CPU; a GPU or TPU is used
# if the runtime has one.

# %%
# Install, if this runtime has no stylejax yet: the folder above must be a checkout.
import importlib.util

if importlib.util.find_spec("stylejax") is None:
    # %pip install -q -e ..
    print("installed; restart the runtime if the next cell does not find stylejax")

# %%
# Settings. The small ones finish in about two minutes on two CPU cores; for pictures
# worth keeping use size 64, ngf 32 and 10,000 steps or more.
import os

size = 32  # @param {type:"integer"}
ngf = 8  # @param {type:"integer"}
num_steps = int(os.environ.get("STYLEJAX_NOTEBOOK_STEPS", 200))  # @param

# %% [markdown]
# ## The data
#
# `emoji` ships inside the package: flat drawings (domain A) and 3-D renderings
# (domain B). The training pictures are unpaired, the test pictures are pairs, so a
# translation can be compared with the truth. Your own pictures work the same way:
# `sources.load("folder:PATH")` with trainA, trainB, testA, testB inside.

# %%
import numpy as np
from IPython.display import display
from PIL import Image

from stylejax.data import sources
from stylejax.image import files, panel


def show(picture):
    """Shows a picture `h w 3` in [0, 1]."""
    display(Image.fromarray((255 * np.asarray(picture)).round().astype(np.uint8)))


data = sources.load("emoji")
rows = [[data.test_a[i] for i in range(6)], [data.test_b[i] for i in range(6)]]
show(panel.grid(rows, labels=["flat", "3-D"]))

# %% [markdown]
# ## Training
#
# One dataclass holds every hyper-parameter, one call trains, saves and scores. Stop it
# whenever you like: called again with the same folder it goes on where it was.

# %%
import tempfile

import stylejax
from stylejax.data.pipeline import PipelineConfig
from stylejax.methods.cyclegan import CycleGANConfig
from stylejax.train.loop import LoopConfig

config = CycleGANConfig(
    image_size=size,
    ngf=ngf,
    ndf=ngf,
    num_blocks=2,
    num_layers=2,
    upsample="resize",
    ema_decay=0.99,
)
workdir = tempfile.mkdtemp(prefix="stylejax-")
result = stylejax.fit(
    data,
    config,
    workdir=workdir,
    pipeline=PipelineConfig(image_size=size),
    loop_config=LoopConfig(
        num_steps=num_steps, log_every=20, sample_every=0, evaluate_every=0
    ),
)
print(result.reason, "after", result.step, "steps")

# %% [markdown]
# ## Translation
#
# `load` takes a training folder, a `.safetensors` file or the name of a shipped model.

# %%
model = stylejax.load(workdir)
pictures = np.stack([files.resize_bicubic(x, (size, size)) for x in rows[0]])
pictures = pictures.clip(0, 1)
translated = np.asarray(model.translate(pictures, direction="AtoB"))
show(panel.grid([list(pictures), list(translated)], labels=["flat", "ours"], scale=2))

# %% [markdown]
# ## Why?
#
# Integrated gradients split one number about the output, here the mean red of a box,
# into contributions of the input's pixels. They must add up to the change of that
# number between the picture and its blurred baseline; the error is printed.

# %%
from stylejax import explain

box = (size // 4, size // 4, size // 2, size // 2)
target = explain.parse_target("mean:red@{},{},{},{}".format(*box))


def score(images):
    """Returns the target's value for each picture."""
    return target(model.translate(images, direction="AtoB"))


why = explain.integrated_gradients(score, pictures[0], num_steps=32)
print(f"target {why.target:.3f}, baseline {why.target_baseline:.3f}, sum {why.sum:.3f}")
print(f"completeness error {why.relative_error:.2%} of the change")
overlay = panel.signed_overlay(pictures[0], np.asarray(why.map).sum(axis=-1))
seen = panel.draw_box(translated[0], box)
titles = ["input", "output", "why"]
show(panel.grid([[pictures[0], seen, overlay]], column_titles=titles, scale=4))

# %%
# What must hold, whatever the training: the contributions add up.
assert np.isfinite(why.sum)
assert why.absolute_error <= 0.25 * max(abs(why.target - why.target_baseline), 0.02)
