"""The ground-truth suite: every proof that an explanation is right, on one page.

    python -m benchmarks.proof               # runs the parts, then writes docs/proof.md
    python -m benchmarks.proof --run=False   # writes the page from the last results

Each part is a benchmark of its own, run as its own process and written as JSON beside
the others; the page holds nothing that is not in those files.
"""

import json
import subprocess
import sys
from pathlib import Path

from absl import flags

from stylejax.cli.flags import refuse_arguments, run_app

_RUN = flags.DEFINE_boolean("run", True, "Run the parts first.")
_OUT = flags.DEFINE_string("out", "docs/proof.md", "The page.")

RESULTS = Path("benchmarks/results")
# A mark that moves the target by less has not been learnt as a shortcut.
_LEARNT = 0.05
PARTS = ("attributions", "planted_twins", "hidden_channels", "probe_emoji")

HEAD = """# Are the explanations right?

Cases whose answer is known, and what the explainers say about them. Every figure comes
from a JSON file in `benchmarks/results`; `python -m benchmarks.proof` makes them again.
What is not here yet is listed at the end.
"""
TAIL = """
## Not here yet

- Trained hidden channels (four CycleGANs).
- The hallucination mix with trained models and its dose-response; the audit itself is
  tested on hand-made translators that draw discs.
- Probes on the `shapes` world, and directions that move its factors through a decoder.
- Data randomisation with models trained on shuffled pairs.
"""


def figure(value):
    """A number as people read it."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "undefined"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.2g}" if abs(value) < 1e-2 else f"{value:.3f}"
    if isinstance(value, list):
        return ", ".join(figure(v) for v in value)
    if isinstance(value, dict):
        return ", ".join(f"{k} {figure(v)}" for k, v in value.items())
    return str(value)


def table(rows, heads):
    """A table in Markdown."""
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    lines += ["| " + " | ".join(map(figure, row)) + " |" for row in rows]
    return "\n".join(lines)


def origin(report):
    """Where and when figures were made."""
    made = report["environment"]
    took = f", {report['seconds']} s" if "seconds" in report else ""
    return f"`{report['command']}`, {made['date']}, {made['device']}{took}."


def attributions(report):
    """Integrated gradients: acceptance list, memory, regions, captum."""
    parts = [f"## Integrated gradients\n\n{origin(report)}\n"]
    for name in ("acceptance", "memory", "regions", "captum"):
        parts.append(f"### {name.capitalize()}\n")
        parts.append(table(report[name].items(), ("what", "figure")) + "\n")
    return "\n".join(parts)


def planted_twins(report):
    """Shortcuts, model pairs, blind test, controls, triangle."""
    rows = []
    for kind in ("visible", "invisible"):
        if kind not in report:
            continue
        found = report[kind]
        if abs(found["flip_planted"]) < _LEARNT:
            lead = f"{kind} mark: not learnt by the models in training"
            rows.append((lead, "nothing was planted: what follows says so, no more"))
        rows += [
            (
                f"{kind} mark: share of the map on it, planted models",
                found["share_planted"],
            ),
            (f"{kind} mark: the same, clean twins", found["share_clean_twin"]),
            (f"{kind} mark: its share of the area", found["area"]),
            (
                f"{kind} mark: what it does to the output, planted",
                found["flip_planted"],
            ),
            (f"{kind} mark: the same, clean", found["flip_clean"]),
            (
                f"{kind} mark: planted above clean twin, share of pictures",
                found["contrast_positive"],
            ),
            (
                f"{kind} mark: blind test, right of {found['models']} [95 %]",
                [found["blind_right"], found["blind_interval"]],
            ),
            (
                f"{kind} mark: missed, false alarms",
                [found["missed"], found["false_alarms"]],
            ),
            (
                f"{kind} mark: AUC of the share [95 %]",
                [found["auc"], found["auc_interval"]],
            ),
        ]
    controls = dict(report["controls"])
    pictures, ours = controls.pop("pictures"), controls.pop("ours")
    rows.append((f"deletion area of our map ({pictures} pictures; low is good)", ours))
    rows += [
        (
            f"deletion area of the {name} map: area, p of ours being lower",
            [c["area"], c["p"]],
        )
        for name, c in controls.items()
    ]
    triangle = report["triangle"]
    rows.append(
        (
            "agreement with occlusion and insertion, Pearson",
            triangle["pearson"][0][1:],
        )
    )
    return f"## Planted shortcuts\n\n{origin(report)}\n\n" + table(
        rows, ("what", "figure")
    )


def hidden_channels(report):
    """The detector of hidden messages."""
    rows = list(report["hand_made"].items())
    for direction, found in report["emoji"].items():
        rows.append(
            (
                f"shipped emoji, {direction}: {found['verdict']}, hidden share [95 %]",
                [found["hidden_share"], found["interval"]],
            )
        )
    return f"## Hidden messages\n\n{origin(report)}\n\n" + table(
        rows, ("what", "figure")
    )


def probe_emoji(report):
    """What each layer of the shipped network carries."""
    rows = [
        (
            f"{r['direction']} {r['factor']}",
            r["layer"],
            r["score"],
            r["interval"],
            r["majority"],
            r["moments"],
            r["random_network"],
        )
        for r in report["rows"]
    ]
    heads = ("factor", "layer", "score", "95 %", "majority", "pixel moments", "random")
    return f"## Probes of the shipped CycleGAN\n\n{origin(report)}\n\n" + table(
        rows, heads
    )


def main(argv):
    """Runs the parts where asked to, and writes the page."""
    refuse_arguments(argv)
    sections = []
    for name in PARTS:
        if _RUN.value:
            subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
        path = RESULTS / f"{name}.json"
        if path.exists():
            report = json.loads(path.read_text(encoding="utf-8"))
            sections.append(globals()[name](report))
    page = HEAD + "\n" + "\n\n".join(sections) + "\n" + TAIL
    Path(_OUT.value).parent.mkdir(parents=True, exist_ok=True)
    Path(_OUT.value).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    run_app(main)
