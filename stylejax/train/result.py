"""How a run ended: what it returns, what it says and what it leaves in a file."""

import dataclasses
import json
import math
from typing import Any

from stylejax.train import manifest
from stylejax.train.resume import Run


@dataclasses.dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        state: the last state; it is saved.
        step: the last step.
        reason: "finished", "max_minutes", "sigterm" or "sigint".
        last_metrics: the newest log line's numbers and the newest evaluation's.
        best_metric: the lowest score of an evaluation, None without one.
        seconds: how long this invocation took, compiling and saving included.
        num_trained: the steps of this invocation.
        steps_per_second: its speed after the first step, pauses left out.
        images_per_second: the same in examples of the global batch.
    """

    state: Any
    step: int
    reason: str
    last_metrics: dict[str, float]
    best_metric: float | None
    seconds: float
    num_trained: int
    steps_per_second: float
    images_per_second: float


def write_summary(result: RunResult, run: Run) -> None:
    """Writes `summary.json` into the working directory and says the final line.

    Args:
        result: how the run ended.
        run: the pieces of the run.
    """
    best = run.checkpointer.best()
    summary = {
        "reason": result.reason,
        "step": result.step,
        "num_trained": result.num_trained,
        "seconds": round(result.seconds, 3),
        "steps_per_second": round(result.steps_per_second, 4),
        "images_per_second": round(result.images_per_second, 4),
        "best_step": best[0] if best else None,
        "best_metric": result.best_metric,
        "checkpoints": run.checkpointer.steps(),
        "last_metrics": {
            name: value if math.isfinite(value) else None
            for name, value in result.last_metrics.items()
        },
    }
    run.workdir.mkdir(parents=True, exist_ok=True)
    text = json.dumps(summary, indent=1) + "\n"
    manifest.write_atomically(run.workdir / "summary.json", text)
    scored = f", best score {best[1]:.4g} at step {best[0]}" if best else ""
    run.writer.write_message(
        f"{result.reason} at step {result.step}: {result.num_trained} steps in "
        f"{result.seconds:.1f} s, {result.steps_per_second:.2f} steps/s{scored}; "
        f"saved in {run.checkpointer.directory}"
    )
