"""stylejax against PyTorch on a GPU: images a second, share of the card, memory.

    python -m benchmarks.gpu

Ours in float32 and bfloat16; PyTorch in three strengths: eager with TF32, then with
automatic bfloat16 and channels_last, then compiled on top. All run one case in turns,
each in a process of its own, after their outputs have been compared with ours in
float32. The share is of what a large bfloat16 matrix product reaches on the card in the
same run; multiplications are XLA's own count of the case, for both peers. It stops
adding cases after --minutes. Without PyTorch ours is measured alone, and the table says
so. Prints one table and writes JSON.

    python -m benchmarks.gpu --allow_cpu --shrink=8 --out=/tmp/gpu.json   # a rehearsal
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from absl import flags

from benchmarks.peers import material, pairs
from stylejax.cli.flags import refuse_arguments, run_app

_ROUNDS = flags.DEFINE_integer("rounds", 7, "Timed rounds, all in each.")
_MINUTES = flags.DEFINE_float("minutes", 7.0, "After which no case is begun.")
_ALLOW_CPU = flags.DEFINE_bool("allow_cpu", False, "Run where there is no GPU.")
_SHRINK = flags.DEFINE_integer("shrink", 1, "Divides all sides, for a rehearsal.")
_OUT = flags.DEFINE_string("out", "benchmarks/results/gpu.json", "JSON file.")

# kind, what, side in pixels, batch; what matters most comes first.
CASES = [
    ("train_step", "step", 256, 1),
    ("train_step", "step", 128, 8),
    ("generator", "forward", 256, 8),
    ("vgg19", "gradients", 256, 8),
    ("generator", "forward", 512, 1),
    ("attribution", "32 steps", 128, 1),
]
OURS = {
    "ours, float32": {"peer": "ours", "count": True},
    "ours, bfloat16": {"peer": "ours", "dtype": "bfloat16"},
}
HALF = {"dtype": "bfloat16", "channels_last": True}
THEIRS = {
    "PyTorch, TF32": {"peer": "pytorch"},
    "PyTorch, bfloat16": {"peer": "pytorch", **HALF},
    "PyTorch, compiled": {"peer": "pytorch", "compile": True, **HALF},
}

PROBE = """
import json, time, jax, jax.numpy as jnp
n = {side}
x = jnp.ones((n, n), jnp.bfloat16)
fn = jax.jit(lambda x: x @ x)
fn(x).block_until_ready()
times = []
for _ in range(10):
    start = time.perf_counter()
    fn(x).block_until_ready()
    times.append(time.perf_counter() - start)
device = jax.devices()[0]
print(json.dumps(dict(flops=2 * n**3 / min(times), platform=device.platform,
                      device=device.device_kind, jax=jax.__version__)))
"""


def probe():
    """The device, and the multiplications a second of a large matrix product."""
    side = 8192 // max(1, _SHRINK.value**2)
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(side=side)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def has_torch():
    """Whether PyTorch and captum can be imported."""
    command = [sys.executable, "-c", "import torch, captum"]
    return subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0


def started(name, options, folder, environment):
    """A worker, or None with a line on stderr where it ends early."""
    outputs = str(folder / f"{name.replace(', ', '-')}.npz")
    try:
        worker = pairs.Worker(options | {"outputs": outputs}, environment=environment)
    except SystemExit as problem:
        print(f"{name}: {problem}", file=sys.stderr)
        return None
    return worker, dict(np.load(outputs))


def measure(case, ways, folder, environment):
    """A row for each way: seconds, images a second, memory, differences."""
    kind, what, size, batch = case
    np.savez(folder / "material.npz", **material.draw(kind, size=size, batch=batch))
    common = {"kind": kind, "what": what, "material": str(folder / "material.npz")}
    workers, reference = {}, None
    for name, options in ways.items():
        found = started(name, common | options, folder, environment)
        if found is None:
            continue
        workers[name], outputs = found
        reference = outputs if reference is None else reference
        apart = pairs.largest(pairs.differences(outputs, reference))
        workers[name].apart = apart
    once = max(worker.seconds(1) for worker in workers.values())
    count = max(1, round(0.2 / once))
    times = {name: [] for name in workers}
    for _ in range(_ROUNDS.value):
        for name, worker in workers.items():
            times[name].append(worker.seconds(count))
    rows = []
    for name, worker in workers.items():
        seconds = statistics.median(times[name])
        rows.append(
            {
                "case": f"{kind}, {what}, {size} px, batch {batch}",
                "way": name,
                "seconds": seconds,
                "quartiles": pairs.spread(times[name])[::2],
                "images_per_second": batch / seconds,
                "differs_from_ours_float32": worker.apart,
                **worker.start,
                **worker.end(),
            }
        )
    return rows


def print_rows(rows, peak):
    """The table's lines of one case."""
    flops = next((row["flops"] for row in rows if row.get("flops")), None)
    for row in rows:
        share = flops / row["seconds"] / peak if flops else float("nan")
        row["share_of_peak"] = share
        memory = row["device_peak_mib"] or row["peak_mib"]
        print(
            f"{row['case']:38}{row['way']:20}{row['images_per_second']:10.2f}"
            f"{share:9.1%}{memory:9.0f}{row['first_call_s']:8.1f}"
            f"   {row['differs_from_ours_float32']['values']:.0e}"
            f" {row['differs_from_ours_float32']['gradients']:.0e}",
            flush=True,
        )


def main(argv):
    """Returns 0 after the table is printed and the JSON written."""
    refuse_arguments(argv)
    began, found = time.monotonic(), probe()
    if found["platform"] == "cpu" and not _ALLOW_CPU.value:
        raise ValueError("there is no GPU here; benchmarks.side_by_side is for CPUs")
    device = "cpu" if found["platform"] == "cpu" else "cuda"
    ways = OURS | ({k: v | {"device": device} for k, v in THEIRS.items()})
    if not has_torch():
        print("PyTorch or captum is not installed here: ours is measured alone")
        ways = OURS
    environment = os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    print(
        f"{found['device']}, matrix product {found['flops'] / 1e12:.1f} TFLOP/s\n"
        "case                                  way                  images/s    share"
        "      MiB first s   values, gradients differ"
    )
    rows, left_out = [], []
    for kind, what, size, batch in CASES:
        if time.monotonic() - began > 60 * _MINUTES.value:
            left_out.append(f"{kind}, {what}, {size} px, batch {batch}")
            continue
        case = (kind, what, size // _SHRINK.value, batch)
        with tempfile.TemporaryDirectory() as folder:
            rows += measure(case, ways, Path(folder), environment)
        last = [row for row in rows if row["case"] == rows[-1]["case"]]
        print_rows(last, found["flops"])
    report = {"command": "python -m benchmarks.gpu", **found, "rows": rows}
    report |= {"date": time.strftime("%Y-%m-%d"), "left_out": left_out}
    Path(_OUT.value).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    run_app(main, keep_compiled=False)
