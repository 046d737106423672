"""Two peers timed in turns, once they have computed the same.

A B A B ...: so that what else the machine does meets both. A ratio is the median of
the ratios of the rounds; its spread are their quartiles.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.peers import material

OPTIONS = {
    "dtype": "float32",
    "device": "cpu",
    "channels_last": False,
    "compile": False,
    "chunk": 0,
    "count": False,
}
LIMIT = 1e-4
# In a gradient rounding decides on which side of a kink (ReLU, L1) a unit lies, and
# which of two nearly equal positions a max pooling passes on.
GRADIENT_LIMIT = 2e-2
HALF_LIMIT = 0.1


class Worker:
    """A peer's process; see `benchmarks.peers.worker`."""

    def __init__(self, options, *, environment=None):
        options = OPTIONS | options | {"started": time.time()}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.peers.worker", json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.start = self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("a worker ended early; see its message above")
        return json.loads(line)

    def seconds(self, count):
        """Seconds of one call, the mean of `count` in a row."""
        print(count, file=self.process.stdin, flush=True)
        return self._answer()["seconds"]

    def end(self):
        """Its peak memory; the process is over."""
        self.process.stdin.close()
        found = self._answer()
        self.process.wait()
        return found


def differences(ours, theirs):
    """Relative L2 distances between two dictionaries of outputs, by group.

    A group is what a name begins with, up to its second slash: tensors near 0 count by
    their share in it.
    """
    if set(ours) != set(theirs):
        names = sorted(set(ours) ^ set(theirs))
        raise SystemExit(f"outputs differ in name: {', '.join(names[:4])} ...")
    sums = {}
    for name in ours:
        group = sums.setdefault("/".join(name.split("/")[:2]), [0.0, 0.0])
        x, y = (np.asarray(side[name], np.float64) for side in (ours, theirs))
        if x.shape != y.shape:
            raise SystemExit(f"{name}: shapes {x.shape} and {y.shape}")
        group[0] += float(np.square(x - y).sum())
        group[1] += float(np.square(y).sum())
    return {name: (above / below) ** 0.5 for name, (above, below) in sums.items()}


def largest(found):
    """The largest of `differences` among values and among gradients."""
    kinds = {"values": [0.0], "gradients": [0.0]}
    for name, value in found.items():
        kinds["gradients" if name.startswith("gradient") else "values"].append(value)
    return {kind: max(values) for kind, values in kinds.items()}


def check(found, *, dtype):
    """`largest`; refuses what differs by more than rounding explains."""
    limits = {"values": LIMIT, "gradients": GRADIENT_LIMIT}
    apart = largest(found)
    for kind, value in apart.items():
        limit = limits[kind] if dtype == "float32" else HALF_LIMIT
        if not value < limit:
            raise SystemExit(f"ours and the peer's {kind} differ by {value:.1e}")
    return apart


def spread(values):
    """Lower quartile, median, upper quartile."""
    if len(values) < 2:
        return [values[0]] * 3
    return statistics.quantiles(values, n=4, method="inclusive")


def measure(kind, what, *, size, batch, rounds, folder, ours, theirs):
    """A row of the table: both peers on one case.

    `ours` and `theirs` are options of the workers, see `OPTIONS`. Our programs are kept
    on disk, in a folder that is empty at first: a third process then tells how long it
    takes to start with what the first compiled. Raises SystemExit where the two do not
    compute the same.
    """
    folder = Path(folder)
    np.savez(folder / "material.npz", **material.draw(kind, size=size, batch=batch))
    common = {"kind": kind, "what": what, "material": str(folder / "material.npz")}
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.3",
    }
    workers = []
    for options in (ours, theirs):
        outputs = str(folder / f"{options['peer']}.npz")
        options = common | {"outputs": outputs} | options
        workers.append(Worker(options, environment=environment))
    found = (dict(np.load(folder / f"{o['peer']}.npz")) for o in (ours, theirs))
    try:
        apart = check(differences(*found), dtype=ours.get("dtype", "float32"))
    except SystemExit:
        for worker in workers:
            worker.process.kill()
        raise
    once = [worker.seconds(1) for worker in workers]
    count = max(1, round(0.5 / max(once)))
    times = [[worker.seconds(count) for worker in workers] for _ in range(rounds)]
    ends = [worker.end() for worker in workers]
    options = common | {"outputs": str(folder / "again.npz")} | ours
    again = Worker(options, environment=environment)
    again.end()
    ratios = spread([a / b for a, b in times])
    row = {
        "kind": kind,
        "what": what,
        "size": size,
        "batch": batch,
        "ratio": ratios[1],
        "ratio_quartiles": [ratios[0], ratios[2]],
        "difference": apart,
        "rounds": rounds,
    }
    for i, name in enumerate(("ours", "theirs")):
        seconds = statistics.median(t[i] for t in times)
        row[name] = {"seconds": seconds, **workers[i].start, **ends[i]}
    kept = ("first_call_s", "since_start_s")
    row["ours"] |= {f"{name}_warm": again.start[name] for name in kept}
    return row


def header():
    """The first line of a table of `line`s."""
    return (
        "case                       px batch    ours s   peer s  ratio  quartiles"
        "     first call s: cold warm peer   MiB ours peer   differ"
    )


def line(row):
    """One row of the table."""
    ours, theirs = row["ours"], row["theirs"]
    low, high = row["ratio_quartiles"]
    where = "device_peak_mib" if ours["device_peak_mib"] else "peak_mib"
    return (
        f"{row['kind'] + ', ' + row['what']:24}{row['size']:5}{row['batch']:6}"
        f"{ours['seconds']:10.4f}{theirs['seconds']:9.4f}{row['ratio']:7.2f}"
        f"  {low:.2f} - {high:.2f}{ours['first_call_s']:22.1f}"
        f"{ours['first_call_s_warm']:5.1f}{theirs['first_call_s']:5.1f}"
        f"{ours[where]:11.0f}{theirs[where]:5.0f}"
        f"   {row['difference']['values']:.0e} {row['difference']['gradients']:.0e}"
    )


def import_seconds(module, *, rounds):
    """Wall seconds of a process that imports a module and ends; the median."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)
