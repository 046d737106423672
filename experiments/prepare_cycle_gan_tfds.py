"""Prepares an official CycleGAN set of tfds, once, to be read without TensorFlow.

    pip install '.[prepare]'
    python -m experiments.prepare_cycle_gan_tfds --name=horse2zebra

Downloads the set and stores it as array_record. This alone needs TensorFlow (the extra
`prepare`, about 1.3 GB; it may be uninstalled afterwards). Then train with
--dataset=tfds:cycle_gan/horse2zebra. Data: Zhu et al., 2017,
https://junyanz.github.io/CycleGAN/
"""

from absl import flags

from stylejax.cli.flags import refuse_arguments, run_app
from stylejax.data import sources
from stylejax.data.tfds_source import prepare_cycle_gan

_NAME = flags.DEFINE_string("name", None, "horse2zebra, apple2orange …", required=True)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Default: tfds' own folder.")


def main(argv):
    """Downloads, prepares and opens the set."""
    refuse_arguments(argv)
    directory = prepare_cycle_gan(_NAME.value, data_dir=_DATA_DIR.value)
    data = sources.load(f"tfds:{directory}")
    sizes = ", ".join(
        f"{split} {len(getattr(data, sources.field_of_split(split)))}"
        for split in sources.FOLDERS
    )
    print(f"{directory}: {sizes}; first picture {data.train_a[0].shape}")


if __name__ == "__main__":
    run_app(main)
