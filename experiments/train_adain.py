r"""Trains the decoder of AdaIN; experiments/configs/adain.cfg is the recipe.

Huang and Belongie 2017, https://arxiv.org/abs/1703.06868.

    python -m experiments.train_adain --flagfile=experiments/configs/adain.cfg \
        --content=PHOTOS --style=PAINTINGS --workdir=runs/adain

The same command continues a run that was stopped or killed.
"""

from stylejax.cli import style_training
from stylejax.cli.flags import run_app
from stylejax.methods.adain import AdaINConfig

main = style_training.script("adain", AdaINConfig)

if __name__ == "__main__":
    run_app(main)
