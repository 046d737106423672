r"""Trains style attention; experiments/configs/style_attention.cfg is the recipe.

Liu et al. 2021, https://arxiv.org/abs/2108.03647.

    python -m experiments.train_style_attention --content=PHOTOS --style=PAINTINGS \
        --flagfile=experiments/configs/style_attention.cfg --workdir=runs/attention

The same command continues a run that was stopped or killed.
"""

from stylejax.cli import style_training
from stylejax.cli.flags import run_app
from stylejax.methods.style_attention import StyleAttentionConfig

main = style_training.script("style_attention", StyleAttentionConfig)

if __name__ == "__main__":
    run_app(main)
