"""Write `steps.npz`: three updates of the PyTorch reference CycleGAN, several recipes.

    python tests/goldens/make_step_goldens.py

Shared by all: the parameters at the start (`start/...`, our names). For each recipe
CASE: the recipe (`CASE/recipe`, JSON), the uint8 batches (`CASE/batch/a`, step first),
the pools' decisions (`CASE/decisions/a/swap`, `.../index`), the losses of each update
(`CASE/metrics/NAME`), the parameters after the last (`CASE/end/...`), what the pools
then hold (`CASE/pool/a`), and for CASES_WITH_MOMENTS Adam's moments (`CASE/mean/...`,
`CASE/square/...`).

Steps per epoch are 1, with 1 constant and 2 decaying epochs, so each of the three
updates has its own learning rate. The pools hold two pictures: full after one update
of batch 2, or two of batch 1, and every later decision is a real one.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np
import reference_cyclegan
import reference_networks as reference
import torch

Recipe = reference_cyclegan.Recipe
SIZE = 16
NUM_UPDATES = 3
SEED = 9
ODD_WEIGHTS = {"cycle_weight": 4.0, "identity_weight": 0.25}
CASES = {
    "adam_batch_1": (1, Recipe()),
    "adam_batch_2_resize": (
        2,
        Recipe(
            upsample="resize",
            generator_lr=4e-4,
            discriminator_lr=1e-4,
            **ODD_WEIGHTS,
        ),
    ),
    "sgd_batch_2": (
        2,
        Recipe(
            optimizer="sgd", generator_lr=1e-3, discriminator_lr=5e-3, **ODD_WEIGHTS
        ),
    ),
}
CASES_WITH_MOMENTS = ("adam_batch_2_resize",)
MAX_ROUNDING = 1e-4
NUM_TRIALS = 6

# By batch size and domain: (swap, index), one row an update. With batch 1 the pools
# fill in the first two updates; the decisions there must be ignored.
DECISIONS = {
    1: {
        "a": ([[True], [True], [True]], [[1], [0], [0]]),
        "b": ([[False], [True], [True]], [[0], [0], [1]]),
    },
    2: {
        "a": (
            [[True, True], [True, True], [True, False]],
            [[0, 1], [1, 1], [1, 0]],
        ),
        "b": (
            [[False, True], [False, True], [True, True]],
            [[1, 0], [0, 0], [0, 1]],
        ),
    },
}


def draw_batches(batch_size):
    """uint8 pictures `update b h w c` of both domains."""
    shape = (NUM_UPDATES, batch_size, SIZE, SIZE, 3)
    count = NUM_UPDATES * batch_size
    return {
        d: reference.draw_images(SEED + i, count, SIZE).reshape(shape)
        for i, d in enumerate("ab")
    }


def train(batch_size, recipe, start, *, dtype=torch.float32):
    """(the trained model, its batches, one dictionary of metrics an update)."""
    model = reference_cyclegan.CycleGAN(recipe, SEED)
    for network in model.networks.values():
        network.to(dtype)
    model.load_leaves(start)
    batches, metrics = draw_batches(batch_size), []
    for step in range(NUM_UPDATES):
        decisions = {
            d: (swap[step], index[step])
            for d, (swap, index) in DECISIONS[batch_size].items()
        }
        a, b = (reference.to_torch(batches[d][step]).to(dtype) for d in "ab")
        metrics.append(model.update(a, b, decisions))
    return model, batches, metrics


def last_gradients(model):
    """The gradient of every kernel at the last update."""
    return {
        f"{name}/{key}": p.grad.double().numpy()
        for name, network in model.networks.items()
        for key, p in network.named_parameters()
        if key.endswith("weight")
    }


def rounding_error(model, batch_size, recipe, start):
    """The largest relative change of a last gradient that rounding may cause.

    Against float64 runs from the same start and from starts 2e-7 beside it: where an
    activation is that close to zero, its ReLU decides the run by the order of a sum.
    """
    gradients, errors = last_gradients(model), []
    for i in range(NUM_TRIALS):
        random = np.random.default_rng(i)
        scale = 2e-7 if i else 0.0
        beside = {
            k: v * (1 + scale * random.standard_normal(v.shape))
            for k, v in start.items()
        }
        trial, _, _ = train(batch_size, recipe, beside, dtype=torch.float64)
        errors += [
            np.linalg.norm(gradients[k] - v) / np.linalg.norm(v)
            for k, v in last_gradients(trial).items()
        ]
    return max(errors)


def run_case(batch_size, recipe, start):
    """(the arrays stored for one recipe, the trained model)."""
    model, batches, metrics = train(batch_size, recipe, start)
    error = rounding_error(model, batch_size, recipe, start)
    print(f"rounding may change a last gradient by {error:.1e}")
    if error > MAX_ROUNDING:
        raise ValueError("a run decided by rounding is no golden: take another SEED")
    arrays = {"recipe": np.array(json.dumps(dataclasses.asdict(recipe)))}
    for d in "ab":
        swap, index = DECISIONS[batch_size][d]
        arrays[f"batch/{d}"] = batches[d]
        arrays[f"decisions/{d}/swap"] = np.array(swap)
        arrays[f"decisions/{d}/index"] = np.array(index, np.int32)
        arrays[f"pool/{d}"] = np.stack(
            [reference.to_numpy(image[None])[0] for image in model.pools[d].images]
        )
    for name in metrics[0]:
        values = [m[name] for m in metrics]
        arrays[f"metrics/{name}"] = np.array(values, np.float32)
    arrays |= {f"end/{k}": v for k, v in model.leaves().items()}
    return arrays, model


def main():
    reference.make_deterministic()
    start = reference_cyclegan.CycleGAN(Recipe(), SEED).leaves()
    arrays = {f"start/{k}": v for k, v in start.items()}
    for name, (batch_size, recipe) in CASES.items():
        case, model = run_case(batch_size, recipe, start)
        if name in CASES_WITH_MOMENTS:
            case |= model.moments()
        arrays |= {f"{name}/{key}": value for key, value in case.items()}
        for key, value in case.items():
            if key.startswith("metrics/"):
                print(f"{name:20} {key:36} {value}")
        moved = {
            k: np.linalg.norm(case[f"end/{k}"] - v) / np.linalg.norm(v)
            for k, v in start.items()
        }
        print({k: round(float(v), 5) for k, v in moved.items()})
    path = Path(__file__).with_name("steps.npz")
    np.savez_compressed(path, **arrays)
    print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
