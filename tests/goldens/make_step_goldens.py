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

Recipe = reference_cyclegan.Recipe
SIZE = 16
NUM_UPDATES = 3
SEED = 7
CASES = {
    "adam_batch_1": (1, Recipe()),
    "adam_batch_2": (2, Recipe(generator_lr=4e-4, discriminator_lr=1e-4)),
    "sgd_batch_1": (
        1,
        Recipe(optimizer="sgd", generator_lr=2e-3, discriminator_lr=1e-2),
    ),
    "sgd_batch_2_resize": (
        2,
        Recipe(
            optimizer="sgd",
            generator_lr=2e-3,
            discriminator_lr=1e-2,
            upsample="resize",
            cycle_weight=4.0,
            identity_weight=0.25,
        ),
    ),
}
CASES_WITH_MOMENTS = ("adam_batch_2",)

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


def run_case(batch_size, recipe, start):
    """The arrays stored for one recipe."""
    model = reference_cyclegan.CycleGAN(recipe, SEED)
    model.load_leaves(start)
    shape = (NUM_UPDATES, batch_size, SIZE, SIZE, 3)
    count = NUM_UPDATES * batch_size
    batches = {
        d: reference.draw_images(SEED + i, count, SIZE).reshape(shape)
        for i, d in enumerate("ab")
    }
    metrics = []
    for step in range(NUM_UPDATES):
        decisions = {
            d: (swap[step], index[step])
            for d, (swap, index) in DECISIONS[batch_size].items()
        }
        a, b = (reference.to_torch(batches[d][step]) for d in "ab")
        metrics.append(model.update(a, b, decisions))
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
