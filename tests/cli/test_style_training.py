"""The run of a style training script: every flag arrives where it belongs."""

import subprocess
import sys
from pathlib import Path

from stylejax.image import files

ROOT = Path(__file__).resolve().parent.parent.parent
# In a process of its own: flags of one name are defined once.
CHECK = """
import dataclasses
from stylejax.cli import style_training
from stylejax.cli.flags import run_app
from stylejax.methods.slim import SlimConfig

def fit(data, config, **settings):
    print(len(data.train_a), data.train_b.names, config.width, config.seed,
          settings["workdir"], settings["pipeline"].image_size,
          settings["loop_config"].num_steps, settings["method"], settings["init_from"])

style_training.fit = fit
main = style_training.script(
    "slim",
    SlimConfig,
    complete=lambda config, data: dataclasses.replace(config, seed=9),
)
run_app(main)
"""


def test_flags_reach_data_method_pipeline_and_loop(tmp_path, generator):
    for name in ("photos/a", "photos/b", "paintings/c"):
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        files.write(path, generator.random((12, 12, 3)))
    done = subprocess.run(
        [
            *(sys.executable, "-c", CHECK),
            *(f"--content={tmp_path}/photos", f"--style={tmp_path}/paintings"),
            *("--workdir=w", "--width=7", "--image_size=8", "--num_steps=3"),
            "--init_from=there",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "2 ['c.png'] 7 9 w 8 3 slim there"
