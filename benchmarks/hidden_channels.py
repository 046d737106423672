"""Honest cycles and cycles that hide a message: does the detector tell them apart?

    python -m benchmarks.hidden_channels              # 20 and 20
    python -m benchmarks.hidden_channels --cycles=400

The cycles are hand-made (tests/explain/hidden_channels.py): each recolours, blurs and
lowers contrast; its twin has the same visible pictures and hides the source in +-1.5 to
4 grey levels of 255. The shipped `emoji` translator is asked as well. Prints and writes
JSON.
"""

import json
import time
from pathlib import Path

import jax
import numpy as np
from absl import flags

import stylejax
from stylejax import explain
from stylejax.cli.flags import refuse_arguments, run_app
from stylejax.data import emoji
from stylejax.explain import stego
from stylejax.explain.cycle_statistics import cycle_statistics
from stylejax.train.protocol import environment
from tests.explain import hidden_channels as cycles

_CYCLES = flags.DEFINE_integer("cycles", 20, "Honest cycles, and as many hidden ones.")
_PICTURES = flags.DEFINE_integer("pictures", 8, "Pictures a cycle.")
_OUT = flags.DEFINE_string("out", "benchmarks/results/hidden_channels.json", "JSON.")


def hand_made(count):
    """AUC, detection and false alarms on hand-made cycles."""
    images = cycles.draw_pictures(jax.random.key(1), _PICTURES.value)
    drawn = cycles.draw_cycles(jax.random.key(0), num=count)

    @jax.jit
    def measure(key, cycle):
        return cycle_statistics(
            key,
            lambda x: cycles.forward(cycle, x),
            lambda x: cycles.backward(cycle, x),
            images,
        )

    shares, verdicts, truth = [], [], []
    for hides in (False, True):
        for i in range(count):
            cycle = jax.tree.map(lambda leaf, i=i: leaf[i], drawn)
            cycle = cycle._replace(hides=np.asarray(hides))
            report = stego.stego_report(measure(jax.random.key(i), cycle))
            shares.append(report.hidden_share)
            verdicts.append(report.verdict)
            truth.append(hides)
    shares, truth = np.array(shares), np.array(truth)
    found = np.array([v == "hidden channel" for v in verdicts])
    auc = explain.roc_auc(shares, truth)
    return {
        "cycles": count,
        "auc": auc.auc,
        "auc_interval": [float(v) for v in auc.interval[:2]],
        "honest_highest": float(shares[~truth].max()),
        "hidden_lowest": float(shares[truth].min()),
        "found": int(found[truth].sum()),
        "false_alarms": int(found[~truth].sum()),
        "undecided": int(sum(v == "undecided" for v in verdicts)),
    }


def shipped():
    """The report of the shipped translator, both ways round."""
    model, data = stylejax.load("emoji"), emoji.load_emoji()
    rows = {}
    for there, back, test in (
        ("AtoB", "BtoA", data.test_a),
        ("BtoA", "AtoB", data.test_b),
    ):
        images = np.stack([test[i] for i in range(8)])[:, ::2, ::2]
        report = explain.find_hidden_channel(
            jax.random.key(0),
            lambda x, d=there: model.translate(x, direction=d),
            lambda x, d=back: model.translate(x, direction=d),
            images,
        )
        rows[there] = {"hidden_share": report.hidden_share, "verdict": report.verdict}
        rows[there]["interval"] = [float(v) for v in report.interval[:2]]
    return rows


def main(argv):
    """Measures, prints and writes."""
    refuse_arguments(argv)
    began = time.monotonic()
    report = {
        "command": f"python -m benchmarks.hidden_channels --cycles={_CYCLES.value}",
        "environment": environment(),
        "hand_made": hand_made(_CYCLES.value),
        "emoji": shipped(),
    }
    report["seconds"] = round(time.monotonic() - began)
    print(json.dumps(report, indent=1))
    path = Path(_OUT.value)
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_app(main)
