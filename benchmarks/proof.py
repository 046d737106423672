"""The ground-truth suite: every proof that an explanation is right, on one page.

    python -m benchmarks.proof               # runs the parts, then writes docs/proof.md
    python -m benchmarks.proof --run=False   # writes the page from the last results
    python -m benchmarks.proof --quick       # reduced forms, apart from the others

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
_QUICK = flags.DEFINE_boolean(
    "quick", False, "Reduced forms, into --folder, and the page into it as well."
)
_FOLDER = flags.DEFINE_string("folder", "runs/proof", "Results of the reduced forms.")

RESULTS = Path("benchmarks/results")
PAGE = Path("docs/proof.md")
# A mark that moves the target by less has not been learnt as a shortcut.
_LEARNT = 0.05
# What is run, and the flags of its reduced form.
PARTS = {
    "attributions": [],
    "planted_twins": ["--models=8", "--pictures=8"],
    "shuffled_pairs": ["--pairs=2", "--steps=100"],
    "hidden_channels": ["--cycles=10", "--pictures=4"],
    "probe_emoji": ["--pictures=120", "--size=32"],
}

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
            (
                f"{kind} mark: its place in pictures without it, planted models",
                found["share_unmarked"],
            ),
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


def shuffled_pairs(report):
    """Data randomisation."""
    rows = [
        (
            "colour painted against true colour, correlation: true pairs",
            report["learnt"],
        ),
        ("the same, shuffled pairs", report["learnt_shuffled"]),
    ]
    rows += [
        (
            f"{name}: passes, of; rank correlation signed, absolute; of the reference",
            [found[k] for k in ("passes", "of", "signed", "absolute", "reference")],
        )
        for name, found in report["explainers"].items()
    ]
    return (
        f"## Data randomisation\n\n{origin(report)} Maps of models of true pairs and"
        " of shuffled pairs: a good explainer gives different ones.\n\n"
        + table(rows, ("what", "figure"))
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
    folder = Path(_FOLDER.value) if _QUICK.value else RESULTS
    out = folder / "proof.md" if _QUICK.value else PAGE
    folder.mkdir(parents=True, exist_ok=True)
    sections = []
    for name, reduced in PARTS.items():
        path = folder / f"{name}.json"
        if _RUN.value:
            command = [sys.executable, "-m", f"benchmarks.{name}", f"--out={path}"]
            subprocess.run(command + (reduced if _QUICK.value else []), check=True)
        if path.exists():
            report = json.loads(path.read_text(encoding="utf-8"))
            sections.append(globals()[name](report))
    page = HEAD + "\n" + "\n\n".join(sections) + "\n" + TAIL
    out.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    run_app(main)
