r"""Trains one network for a list of styles; configs/feedforward.cfg is the recipe.

Johnson et al. 2016, https://arxiv.org/abs/1603.08155; Dumoulin et al. 2017,
https://arxiv.org/abs/1610.07629. The styles are all pictures of --style, by name.

    python -m experiments.train_feedforward --content=PHOTOS --style=PAINTINGS \
        --flagfile=experiments/configs/feedforward.cfg --workdir=runs/feedforward

The same command continues a run that was stopped or killed.
"""

import dataclasses

from stylejax.cli import style_training
from stylejax.cli.flags import run_app
from stylejax.data import style_pictures
from stylejax.methods.feedforward import FeedforwardConfig


def with_names(config, data):
    """The configuration with the styles' names, where none were given."""
    names = config.styles or style_pictures.stems(data.train_b)
    return dataclasses.replace(config, styles=names)


main = style_training.script("feedforward", FeedforwardConfig, complete=with_names)

if __name__ == "__main__":
    run_app(main)
