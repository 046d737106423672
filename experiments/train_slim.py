r"""Trains the slim stylising network; experiments/configs/slim.cfg is the recipe.

    python -m experiments.train_slim --flagfile=experiments/configs/slim.cfg \
        --content=PHOTOS --style=PAINTINGS --workdir=runs/slim

The same command continues a run that was stopped or killed.
"""

from stylejax.cli import style_training
from stylejax.cli.flags import run_app
from stylejax.methods.slim import SlimConfig

main = style_training.script("slim", SlimConfig)

if __name__ == "__main__":
    run_app(main)
