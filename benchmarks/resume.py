"""Kills a tiny CycleGAN training at random moments and compares what it ends with.

    python -m benchmarks.resume --trials=20

Each trial starts a training as a process of its own, ends it with SIGKILL while it
steps, saves or commits a save, starts it again, lets it finish, and compares every
leaf of its last checkpoint, bit for bit, with that of a training nobody disturbed;
the position in the data and the logged losses as well. Prints one table and writes
the same figures as JSON.
"""

import argparse
import dataclasses
import datetime
import json
import os
import pathlib
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from concurrent import futures

import jax
import numpy as np

from stylejax import trees
from stylejax.train import checkpoint, checkpoint_files, manifest
from stylejax.train.state import CycleGANState

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
AIMS = ("step", "save", "commit")
NUM_STEPS = 24
FLAGS = {
    "dataset": "emoji",
    "image_size": 16,
    "ngf": 4,
    "num_blocks": 1,
    "ndf": 4,
    "num_layers": 1,
    "pool_size": 3,
    "ema_decay": 0.9,
    "num_steps": NUM_STEPS,
    "checkpoint_every": 3,
    "max_to_keep": 2,
    "log_every": 1,
    "sample_every": 0,
    "evaluate_every": 0,
}
PATIENCE = 1200.0


@dataclasses.dataclass(frozen=True)
class Trial:
    """What one killed training did.

    Attributes:
        aim: what it was killed at, see `kill_once`.
        logged: the last step in its log when it was killed.
        left: what the kill left behind: "half a save", "no manifest" or "nothing".
        resumed: the step it went on from, 0 for the beginning.
        differences: how its end differs from the undisturbed one; empty if it does not.
        seconds: how long the trial took.
    """

    aim: str
    logged: int
    left: str
    resumed: int
    differences: list[str]
    seconds: float


def start(workdir: pathlib.Path, *, flags: dict | None = None) -> subprocess.Popen:
    """Returns a training process whose output goes to `WORKDIR.txt`.

    Args:
        workdir: where it trains or goes on.
        flags: of the training script.

    Returns:
        The running process.
    """
    settings = FLAGS | (flags or {}) | {"workdir": workdir}
    arguments = [f"--{name}={value}" for name, value in settings.items()]
    environment = {
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(pathlib.Path(tempfile.gettempdir()) / "jax"),
    } | os.environ
    environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    with open(f"{workdir}.txt", "ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "experiments.train_cyclegan", *arguments],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
        )


def finish(workdir: pathlib.Path, *, flags: dict | None = None) -> None:
    """Trains to the end.

    Args:
        workdir: where it trains or goes on.
        flags: of the training script.

    Raises:
        RuntimeError: it ended with an error.
    """
    status = start(workdir, flags=flags).wait()
    if status != 0:
        last = pathlib.Path(f"{workdir}.txt").read_text().splitlines()[-1:]
        raise RuntimeError(f"training in {workdir} ended with {status}: {last}")


def kill_once(
    workdir: pathlib.Path,
    aim: str,
    generator: random.Random,
    *,
    flags: dict | None = None,
) -> None:
    """Starts a training and ends it with SIGKILL at a random moment.

    Args:
        workdir: an empty place for it.
        aim: "step": a while after some step; "save": a moment after a save has begun;
            "commit": as soon as a save stands under its name without a manifest.
        generator: decides the step, always one after the first finished save, and
            the delay.
        flags: of the training script.

    Raises:
        RuntimeError: it ended by itself before that moment.
    """
    wanted = generator.randrange(1, NUM_STEPS - 8)
    delay = generator.uniform(0.0, 0.2) if aim != "commit" else 0.0
    child = start(workdir, flags=flags)
    try:
        deadline = time.monotonic() + PATIENCE
        while not _is_time(workdir, aim, wanted):
            if child.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"training in {workdir} ended before it was killed")
            time.sleep(0.0005)
        time.sleep(delay)
        if child.poll() is not None:
            raise RuntimeError(f"training in {workdir} ended before it was killed")
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()


def compare(reference: pathlib.Path, workdir: pathlib.Path) -> list[str]:
    """Returns how two finished trainings differ: leaves, data position, log.

    Args:
        reference: the undisturbed one.
        workdir: the other.

    Returns:
        A phrase for each difference; empty if every bit agrees.
    """
    (expected, position), (found, other) = _end(reference), _end(workdir)
    differences = [f"{n} is missing" for n in expected.keys() ^ found.keys()]
    for name in expected.keys() & found.keys():
        x, y = expected[name], found[name]
        if (x.dtype, x.shape, x.tobytes()) != (y.dtype, y.shape, y.tobytes()):
            differences.append(f"{name} differs")
    if position != other:
        differences.append(f"data position {other}, expected {position}")
    if _losses(reference) != _losses(workdir):
        differences.append("the logs differ")
    return differences


def run_trial(
    reference: pathlib.Path,
    workdir: pathlib.Path,
    *,
    aim: str,
    seed: int,
    flags: dict | None = None,
) -> Trial:
    """Returns what became of a training that was killed once and continued.

    Args:
        reference: an undisturbed training with the same flags, finished.
        workdir: an empty place.
        aim: see `kill_once`.
        seed: of the moment.
        flags: of the training script.

    Returns:
        The figures of the trial.
    """
    began = time.monotonic()
    kill_once(workdir, aim, random.Random(f"{aim} {seed}"), flags=flags)
    logged = max(_losses(workdir), default=0)
    left = _left_behind(workdir)
    finish(workdir, flags=flags)
    said = pathlib.Path(f"{workdir}.txt").read_text()
    resumed = said.partition("resumed at step ")[2].split(" ")[0]
    return Trial(
        aim=aim,
        logged=logged,
        left=left,
        resumed=int(resumed or 0),
        differences=compare(reference, workdir),
        seconds=round(time.monotonic() - began, 1),
    )


def _is_time(workdir: pathlib.Path, aim: str, wanted: int) -> bool:
    """Returns whether the moment has come from which on the delay counts."""
    log = workdir / "log.jsonl"
    num_logged = log.read_bytes().count(b"\n") if log.exists() else 0
    if num_logged < wanted or not _finished(workdir):
        return False
    left = _left_behind(workdir)
    if aim == "commit":
        return left == "no manifest" or num_logged >= NUM_STEPS - 4
    return aim == "step" or left != "nothing"


def _finished(workdir: pathlib.Path) -> bool:
    """Returns whether some save has been finished."""
    return any((workdir / "checkpoints").glob(f"*/{manifest.MANIFEST_NAME}"))


def _left_behind(workdir: pathlib.Path) -> str:
    """Returns what an observer sees of a save that is not finished."""
    folder = workdir / "checkpoints"
    if any(folder.glob(f"*{checkpoint_files.TEMPORARY_MARK}*")):
        return "half a save"
    steps = checkpoint_files.step_directories(folder)
    if any(not (folder / str(s) / manifest.MANIFEST_NAME).exists() for s in steps):
        return "no manifest"
    return "nothing"


def _end(workdir: pathlib.Path) -> tuple[dict[str, np.ndarray], dict]:
    """Returns all leaves of the last checkpoint by name, and the position saved."""
    names = [field.name for field in dataclasses.fields(CycleGANState)]
    tree = checkpoint.restore_params(workdir, step=NUM_STEPS, names=names)
    folder = workdir / "checkpoints" / str(NUM_STEPS)
    position = json.loads((folder / "data_state" / "metadata").read_text())
    leaves = trees.named_leaves(tree)
    return {name: np.asarray(leaf) for name, leaf in leaves.items()}, position


def _losses(workdir: pathlib.Path) -> dict[int, float]:
    """Returns the loss in the log by step; a step that stands twice is refused."""
    losses: dict[int, float] = {}
    path = workdir / "log.jsonl"
    for line in path.read_text().splitlines() if path.exists() else []:
        entry = json.loads(line)
        if entry["kind"] == "train":
            assert entry["step"] not in losses, f"{path}: step {entry['step']} twice"
            losses[entry["step"]] = entry["generator/total"]
    return losses


def _print_table(trials: list[Trial]) -> None:
    print(f"{'trial':>5} {'aim':>5} {'logged':>6} {'left':>12} {'resumed':>7}  result")
    for number, trial in enumerate(trials, 1):
        result = "; ".join(trial.differences) or "bit for bit"
        print(
            f"{number:>5} {trial.aim:>5} {trial.logged:>6} {trial.left:>12} "
            f"{trial.resumed:>7}  {result}"
        )
    equal = sum(not trial.differences for trial in trials)
    print(f"{equal} of {len(trials)} killed trainings ended bit for bit like the other")


def main() -> int:
    """Returns 0 if every killed training ended like the undisturbed one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS / "resume.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        reference = pathlib.Path(folder) / "undisturbed"
        finish(reference)
        num_leaves = len(_end(reference)[0])

        def run(number: int) -> Trial:
            trial = run_trial(
                reference,
                pathlib.Path(folder) / f"killed-{number}",
                aim=AIMS[number % len(AIMS)],
                seed=options.seed + number,
            )
            print(f"trial {number + 1}: {trial}", file=sys.stderr, flush=True)
            return trial

        with futures.ThreadPoolExecutor(options.workers) as pool:
            trials = list(pool.map(run, range(options.trials)))
    _print_table(trials)
    summary = {
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} x {platform.machine()}",
        "jax": jax.__version__,
        "num_steps": NUM_STEPS,
        "num_leaves": num_leaves,
        "equal": sum(not trial.differences for trial in trials),
        "trials": [dataclasses.asdict(trial) for trial in trials],
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(summary, indent=1) + "\n")
    return 0 if summary["equal"] == len(trials) else 1


if __name__ == "__main__":
    sys.exit(main())
