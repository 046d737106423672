"""stylejax against PyTorch and captum on this machine, case by case.

    python -m benchmarks.side_by_side
    python -m benchmarks.side_by_side --only=train_step --rounds=3

Each case runs in two processes with the same weights and pictures, which first prove
that they compute the same, and are then timed in turns (A B A B ...), after one call in
each turn that is not counted. The ratio is the median over the rounds of ours by
theirs, with its quartiles. Beside it: the first call, which compiles (with nothing kept
on disk, and with what an earlier process kept), and the most memory a process held.
PyTorch runs eagerly in float32 and contiguous layout (on two cores it was faster than
channels_last), captum with all 32 steps in one batch. The networks are those of the
CycleGAN paper, ngf 64, 9 blocks. Needs the extra `bench`. Prints one table and writes
JSON.
"""

import datetime
import json
import os
import platform
import tempfile
from pathlib import Path

from absl import flags

from benchmarks.peers import material, pairs
from stylejax.cli.flags import refuse_arguments, run_app

_ROUNDS = flags.DEFINE_integer("rounds", 7, "Timed rounds, both in each.")
_ONLY = flags.DEFINE_multi_string("only", [], "Kinds of cases; all by default.")
_OUT = flags.DEFINE_string("out", "benchmarks/results/side_by_side.json", "JSON file.")

# kind, what, side in pixels, batch
CASES = [
    *(("generator", "forward", size, 1) for size in (64, 128, 256, 512)),
    *(("train_step", "step", size, 1) for size in (64, 128, 256)),
    *(("train_step", "step", size, 4) for size in (64, 128)),
    *(
        (arch, what, size, 1)
        for arch in ("vgg16", "vgg19")
        for what in ("forward", "gradients")
        for size in (256, 512)
    ),
    *(("attribution", "32 steps", size, 1) for size in (64, 128)),
    *(("slim", "paint", size, 1) for size in (256, 384, 512, 1024)),
    *(("adain", "paint", size, 1) for size in (256, 512, 1024)),
]


def main(argv):
    """Returns 0 after the table is printed and the JSON written."""
    refuse_arguments(argv)
    rows = []
    print(pairs.header())
    for kind, what, size, batch in CASES:
        if _ONLY.value and kind not in _ONLY.value:
            continue
        slow = ("train_step", "attribution", "adain")
        is_long = kind in slow and size * batch >= 256
        with tempfile.TemporaryDirectory() as folder:
            row = pairs.measure(
                kind,
                what,
                size=size,
                batch=batch,
                rounds=min(3, _ROUNDS.value) if is_long else _ROUNDS.value,
                folder=folder,
                ours={"peer": "ours"},
                theirs={"peer": "pytorch"},
            )
        print(pairs.line(row), flush=True)
        if what == "paint":
            row["multiplications"] = material.multiplications(kind, size=size)
            print(f"{row['multiplications'] / 1e9:.1f} G multiplications")
        rows.append(row)
    imports = {
        name: pairs.import_seconds(module, rounds=_ROUNDS.value)
        for name, module in (
            ("stylejax", "stylejax"),
            ("stylejax, ready to load a model", "stylejax.api"),
            ("torch", "torch"),
        )
    }
    for name, seconds in imports.items():
        print(f"import {name}: {seconds:.2f} s")
    report = {
        "command": "python -m benchmarks.side_by_side",
        "date": datetime.date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "import_seconds": imports,
        "rows": rows,
    }
    Path(_OUT.value).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    run_app(main, keep_compiled=False)
