"""One peer in a process of its own, that computes when it is told to.

    python -m benchmarks.peers.worker OPTIONS_AS_JSON

Prints one JSON object a line: first what starting took, then, for each line it reads,
the seconds of so many calls; at the end of its input, its peak memory.
"""

import importlib
import json
import resource
import sys
import time

import numpy as np


def main(options):
    """Serves until its input ends."""
    began = time.perf_counter()
    peer = importlib.import_module(f"benchmarks.peers.{options['peer']}")
    found = {"import_s": time.perf_counter() - began}
    arrays = dict(np.load(options["material"]))

    began = time.perf_counter()
    case = peer.CASES[options["kind"], options["what"]](arrays, options)
    found["build_s"] = time.perf_counter() - began
    began = time.perf_counter()
    case.run()
    found["first_call_s"] = time.perf_counter() - began
    found["since_start_s"] = time.time() - options["started"]
    np.savez(options["outputs"], **case.outputs())
    found |= {"versions": peer.versions(), "device": peer.device()}
    if hasattr(case, "flops") and options["count"]:
        found["flops"] = case.flops()
    say(found)

    for line in sys.stdin:
        count = int(line)
        # Not counted: what the process lost while it waited, such as memory that the
        # system took back, is no part of a call in a row of many.
        case.run()
        began = time.perf_counter()
        for _ in range(count):
            case.run()
        say({"seconds": (time.perf_counter() - began) / count})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say({"peak_mib": peak, "device_peak_mib": peer.device_peak_bytes() / 2**20})


def say(what):
    """Prints one line."""
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
