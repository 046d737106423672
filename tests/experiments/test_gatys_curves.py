"""Loss curves: measured from one start for both optimisers, then drawn."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from stylejax.image import files

ROOT = Path(__file__).resolve().parents[2]


def run(script, *flags):
    command = [sys.executable, "-m", f"experiments.{script}", *flags]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=dict(os.environ)
    )


def test_both_optimisers_start_from_one_loss_and_end_below_it(
    tmp_path, generator, tiny_gatys
):
    for name in ("a.png", "style.png"):
        files.write(tmp_path / name, generator.random((16, 20, 3)))
    done = run(
        "gatys_curves",
        *(f"--content={tmp_path}/a.png", f"--style={tmp_path}/style.png"),
        *("--size=16", "--num_iterations=6", f"--features={tiny_gatys.features}"),
        *("--content_layers=relu2_1", "--style_layers=relu1_1"),
        f"--out={tmp_path}/curves.json",
    )
    assert done.returncode == 0, done.stderr
    card = json.loads((tmp_path / "curves.json").read_text(encoding="utf-8"))
    assert {"date", "device", "jax", "stylejax", "cpus", "config"} <= set(card)
    (found,) = card["runs"]
    assert (found["content"], found["style"]) == ("a.png", "style.png")
    assert found["lbfgs"]["loss"][0] == found["adam"]["loss"][0]
    assert np.all(np.diff(found["lbfgs"]["loss"]) <= 0)
    for name in ("lbfgs", "adam"):
        curve = found[name]
        assert len(curve["loss"]) == len(curve["seconds"]) == 6
        assert curve["loss"][-1] < curve["loss"][0]
        assert np.all(np.diff(curve["seconds"]) >= 0)


def test_curves_are_drawn_where_the_losses_are(tmp_path):
    # L-BFGS falls by a factor of 100 at once and stays; Adam ends half way in log.
    curves = {
        "lbfgs": {"loss": [1e4, 1e2, 1e2], "seconds": [1.0, 2.0, 4.0]},
        "adam": {"loss": [1e4, 1e4, 1e3], "seconds": [1.0, 2.0, 3.0]},
    }
    record = {"runs": [{"content": "a.png", "style": "b.png"} | curves]}
    (tmp_path / "c.json").write_text(json.dumps(record), encoding="utf-8")
    done = run("draw_curves", f"--curves={tmp_path}/c.json")
    assert done.returncode == 0, done.stderr
    drawn = files.read(tmp_path / "c.png")
    half = drawn.shape[0] // 2
    for chart, adam_ends in ((drawn[:half], 1.0), (drawn[half:], 0.75)):
        red, _, blue = np.moveaxis(chart[:, 100:-20], -1, 0)
        # The legend, at the top right, is left out.
        red, blue = (np.argwhere(x > 0.3) for x in (red - blue, blue - red))
        red, blue = (x[(x[:, 0] > 130) | (x[:, 1] < 150)] for x in (red, blue))
        # Adam's line lies over the other's first point.
        middle = (blue[:, 0].min() + red[:, 0].max()) / 2
        assert abs(blue[:, 0].max() - middle) < 5
        assert abs(blue[:, 1].max() / red[:, 1].max() - adam_ends) < 0.05
