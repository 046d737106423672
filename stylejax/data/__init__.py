"""Pictures for training and scoring: two-domain data sets and the pipeline over them.

`load("emoji")` (shipped), `load("folder:PATH")`, `load("tfds:NAME")` and
`load("shapes")` give a `TwoDomainDataset`; `train_iterator` makes resumable batches of
one. Importing this room imports neither grain nor tensorflow_datasets.
"""

from stylejax.data.bad_images import BadImageReport
from stylejax.data.pipeline import (
    PipelineConfig,
    TrainIterator,
    evaluation_batches,
    train_iterator,
)
from stylejax.data.sources import (
    ArraySource,
    FolderSource,
    TwoDomainDataset,
    load,
)

__all__ = [
    "ArraySource",
    "BadImageReport",
    "FolderSource",
    "PipelineConfig",
    "TrainIterator",
    "TwoDomainDataset",
    "evaluation_batches",
    "load",
    "train_iterator",
]
