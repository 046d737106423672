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

from benchmarks.pages import proof_sections
from stylejax.cli.flags import refuse_arguments, run_app

_RUN = flags.DEFINE_boolean("run", True, "Run the parts first.")
_QUICK = flags.DEFINE_boolean(
    "quick", False, "Reduced forms, into --folder, and the page into it as well."
)
_FOLDER = flags.DEFINE_string("folder", "runs/proof", "Results of the reduced forms.")

RESULTS = Path("benchmarks/results")
PAGE = Path("docs/proof.md")
# What is run, and the flags of its reduced form.
PARTS = {
    "attributions": [],
    "planted_twins": ["--models=8", "--pictures=8"],
    "shuffled_pairs": ["--pairs=2", "--steps=100"],
    "hidden_channels": ["--cycles=10", "--pictures=4"],
    "trained_channels": ["--models=2", "--steps=200"],
    "hallucination_mix": ["--seeds=1", "--steps=300"],
    "probe_emoji": ["--pictures=120", "--size=32"],
    "shape_factors": ["--steps=300", "--pictures=240", "--seeds=1"],
}

HEAD = """# Are the explanations right?

Cases whose answer is known, and what the explainers say about them. Every figure comes
from a JSON file in `benchmarks/results`; `python -m benchmarks.proof` makes them again.
"""


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
            sections.append(getattr(proof_sections, name)(report))
    page = HEAD + "\n" + "\n\n".join(sections) + "\n"
    out.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    run_app(main)
