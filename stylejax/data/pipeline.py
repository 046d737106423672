"""Batches of two domains for training: seeded, resumable, the same on all hosts.

Sample `i` of a run is a pure function of (data, config, i): A comes in an order
shuffled anew each epoch, B is drawn at random, and both are cropped and flipped by a
generator seeded with (seed, i). Global batch `n` holds samples n * batch_size to
(n + 1) * batch_size - 1, of which each process takes its own contiguous rows. grain
runs that function in threads, ahead of the consumer; without grain a plain loop gives
the same batches.
"""

import dataclasses
import functools
import importlib.util
import itertools
from collections.abc import Iterator

import numpy as np

from stylejax.data import transforms
from stylejax.data.bad_images import MODES, place_of
from stylejax.data.cache import ByteLimitedCache
from stylejax.data.sources import TwoDomainDataset
from stylejax.image.files import ImageFileError

BACKENDS = ("auto", "grain", "python")
_SHUFFLE, _SAMPLE = 0, 1  # keep the two uses of a seed apart
_FOREVER = 2**62


@dataclasses.dataclass(frozen=True)
class PipelineConfig:
    """How training batches are made.

    Attributes:
      batch_size: Pictures of each domain in a global batch.
      image_size: Side of a training picture, in pixels.
      load_size: Side before the crop; 0: 286/256 of `image_size`.
      flip: Mirror half of the pictures.
      preprocess: One of `transforms.PREPROCESS`.
      upscale: Accept pictures smaller than the crop and enlarge them.
      num_threads: Threads that prepare batches ahead; 0: none.
      prefetch: Batches prepared ahead.
      cache_mb: Resized pictures kept in memory, up to so many MB; 0: none.
      seed: Of order, partners, crops and flips.
      on_bad_image: "error" stops, "skip" takes the next picture and counts in the
        data set's report; "skip" there is enough, too.
      backend: "grain", "python" (no threads), or "auto": grain if installed.
    """

    batch_size: int = 1
    image_size: int = 256
    load_size: int = 0
    flip: bool = True
    preprocess: str = "resize_and_crop"
    upscale: bool = False
    num_threads: int = 2
    prefetch: int = 8
    cache_mb: int = 512
    seed: int = 0
    on_bad_image: str = "error"
    backend: str = "auto"

    def __post_init__(self):
        for name, choices in (
            ("preprocess", transforms.PREPROCESS),
            ("on_bad_image", MODES),
            ("backend", BACKENDS),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name}: expected one of {', '.join(choices)};"
                    f" got {getattr(self, name)!r}"
                )
        for name, least in (
            ("batch_size", 1),
            ("image_size", 1),
            ("load_size", 0),
            ("num_threads", 0),
            ("prefetch", 1),
            ("cache_mb", 0),
            ("seed", 0),
        ):
            if getattr(self, name) < least:
                raise ValueError(
                    f"{name}: expected at least {least}, got {getattr(self, name)}"
                )
        if 0 < self.load_size < self.image_size:
            raise ValueError(
                f"load_size: expected at least image_size ({self.image_size}), got"
                f" {self.load_size}; enlarge it or pass 0"
            )

    @property
    def resolved_load_size(self) -> int:
        """The side before the crop, in pixels."""
        return self.load_size or transforms.load_size_for(self.image_size)


class Sampler:
    """Sample `i` of a run as a pure function; safe to call from many threads."""

    def __init__(self, dataset: TwoDomainDataset, config: PipelineConfig):
        for domain, source in (("A", dataset.train_a), ("B", dataset.train_b)):
            if not len(source):
                raise ValueError(
                    f"no training picture in domain {domain} of {dataset.name!r};"
                    " add pictures or choose another data set"
                )
        self.config = config
        self.epoch_length = max(len(dataset.train_a), len(dataset.train_b))
        self._sources = (dataset.train_a, dataset.train_b)
        self.sizes = (len(dataset.train_a), len(dataset.train_b))
        self._report = dataset.report
        self._skips = "skip" in (config.on_bad_image, dataset.report.mode)
        self._cache = ByteLimitedCache(config.cache_mb << 20)
        self._order = functools.lru_cache(maxsize=4)(self._shuffled)

    def indices(self, item: int) -> tuple[int, int]:
        """Which picture of A and which of B sample `item` shows."""
        return self._draw(item)[0]

    def __call__(self, item: int) -> dict[str, np.ndarray]:
        """Sample `item`: {"a", "b"}, float32 `image_size image_size 3` in [0, 1]."""
        indices, generator = self._draw(item)
        config, sample = self.config, {}
        for side, domain in enumerate("ab"):
            image = self._prepared(side, indices[side])
            if config.preprocess == "random_scale":
                image = transforms.random_scaled(
                    generator, image, image_size=config.image_size
                )
            sample[domain] = transforms.random_crop_flip(
                generator, image, image_size=config.image_size, flip=config.flip
            )
        return sample

    def _draw(self, item: int):
        epoch, position = divmod(item, self.epoch_length)
        generator = np.random.default_rng((self.config.seed, _SAMPLE, item))
        index_a = int(self._order(epoch)[position]) % len(self._sources[0])
        index_b = int(generator.integers(len(self._sources[1])))
        return (index_a, index_b), generator

    def _shuffled(self, epoch: int) -> np.ndarray:
        generator = np.random.default_rng((self.config.seed, _SHUFFLE, epoch))
        return generator.permutation(self.epoch_length)

    def _prepared(self, side: int, index: int) -> np.ndarray:
        """The resized picture; where bad ones are skipped, the next good one."""
        source = self._sources[side]
        for step in range(len(source)):
            candidate = (index + step) % len(source)
            try:
                return self._resized(side, candidate)
            except (ImageFileError, FileNotFoundError) as error:
                if not self._skips:
                    raise
                self._report.add(place_of(source, candidate), str(error))
        raise ImageFileError(
            f"no usable picture in domain {'AB'[side]}: {self._report.summary(limit=2)}"
        )

    def _resized(self, side: int, index: int) -> np.ndarray:
        cached = self._cache.get((side, index))
        if cached is not None:
            return cached
        config = self.config
        image = self._sources[side][index]
        height, width = image.shape[:2]
        enlarges = config.upscale and config.preprocess != "crop"
        if min(height, width) < config.image_size and not enlarges:
            raise ImageFileError(
                f"picture smaller than the crop of {config.image_size}:"
                f" {place_of(self._sources[side], index)!r} is {width} x {height};"
                " lower image_size, set upscale to enlarge it, or remove it"
            )
        image = transforms.prepare(
            image,
            preprocess=config.preprocess,
            image_size=config.image_size,
            load_size=config.resolved_load_size,
        )
        if config.preprocess != "crop":
            self._cache.put((side, index), image)
        return image


class TrainIterator:
    """Endless training batches with a position that can be saved as JSON.

    `next()` gives {"a", "b"}: float32 `b h w 3` in [0, 1], this process's rows of the
    next global batch. `steps_per_epoch` is the number of global batches an epoch.
    """

    def __init__(self, sampler: Sampler, *, process_index: int, process_count: int):
        self.sampler = sampler
        config = sampler.config
        self.steps_per_epoch = max(1, sampler.epoch_length // config.batch_size)
        self._rows = config.batch_size // process_count
        self._first_row = process_index * self._rows
        self._next_batch = 0
        self._batches: Iterator | None = None

    def __iter__(self):
        return self

    def __next__(self) -> dict[str, np.ndarray]:
        if self._batches is None:
            self._batches = self._start()
        batch = next(self._batches)
        self._next_batch += 1
        return batch

    def get_state(self) -> dict:
        """The position just after the batch last handed out; JSON-able, any process."""
        return {"next_batch": self._next_batch, **self._identity()}

    def set_state(self, state: dict) -> None:
        """Goes to a position that `get_state` gave, on any number of processes.

        Args:
          state: What `get_state` returned in a run with the same data and config.

        Raises:
          ValueError: The data or the config differ, so the batches would too.
        """
        for name, value in self._identity().items():
            if state.get(name) != value:
                raise ValueError(
                    f"cannot continue the data: {name} was {state.get(name)!r} in the"
                    f" checkpoint and is {value!r} now; restore it or start a new run"
                )
        self._next_batch = int(state["next_batch"])
        self._batches = None

    def indices(self, batch: int) -> list[tuple[int, int]]:
        """(index in A, index in B) of every sample of a whole global batch."""
        size = self.sampler.config.batch_size
        return [self.sampler.indices(batch * size + row) for row in range(size)]

    def _identity(self) -> dict:
        config = self.sampler.config
        num_a, num_b = self.sampler.sizes
        return {
            "num_a": num_a,
            "num_b": num_b,
            "seed": config.seed,
            "batch_size": config.batch_size,
            "image_size": config.image_size,
            "load_size": config.resolved_load_size,
            "preprocess": config.preprocess,
            "flip": config.flip,
        }

    def _local_batch(self, number: int) -> dict[str, np.ndarray]:
        first = number * self.sampler.config.batch_size + self._first_row
        samples = [self.sampler(first + row) for row in range(self._rows)]
        return {domain: np.stack([s[domain] for s in samples]) for domain in "ab"}

    def _start(self) -> Iterator[dict[str, np.ndarray]]:
        config = self.sampler.config
        if not _use_grain(config.backend):
            return map(self._local_batch, itertools.count(self._next_batch))
        import grain

        batches = grain.MapDataset.range(self._next_batch, _FOREVER).map(
            self._local_batch
        )
        options = grain.ReadOptions(
            num_threads=config.num_threads, prefetch_buffer_size=config.prefetch
        )
        return iter(batches.to_iter_dataset(options))


def train_iterator(
    dataset: TwoDomainDataset,
    config: PipelineConfig,
    *,
    process_index: int = 0,
    process_count: int = 1,
) -> TrainIterator:
    """Endless, resumable training batches of a data set.

    Args:
      dataset: The two domains; `train_a` and `train_b` are used.
      config: How batches are made.
      process_index: This process, from 0.
      process_count: How many processes share each global batch.

    Returns:
      A `TrainIterator` at batch 0.

    Raises:
      ValueError: A domain is empty, or the processes cannot share a batch equally.
    """
    if not 0 <= process_index < process_count:
        raise ValueError(
            f"process_index: expected 0 to {process_count - 1}, got {process_index}"
        )
    if config.batch_size % process_count:
        raise ValueError(
            f"batch_size: expected a multiple of the {process_count} processes, got"
            f" {config.batch_size}; each takes an equal share"
        )
    return TrainIterator(
        Sampler(dataset, config),
        process_index=process_index,
        process_count=process_count,
    )


def evaluation_batches(
    source, *, image_size: int, batch_size: int
) -> Iterator[np.ndarray]:
    """All pictures of a source in order, resized to squares, without any chance.

    Args:
      source: Anything with `__len__` and `__getitem__`, such as `dataset.test_a`.
      image_size: Side of the squares.
      batch_size: Pictures a batch; the last batch holds what is left.

    Returns:
      Iterator of float32 `b image_size image_size 3` in [0, 1].
    """
    for first in range(0, len(source), batch_size):
        yield np.stack(
            [
                transforms.resize_clipped(source[index], (image_size, image_size))
                for index in range(first, min(first + batch_size, len(source)))
            ]
        )


def _use_grain(backend: str) -> bool:
    if backend == "auto":
        return importlib.util.find_spec("grain") is not None
    return backend == "grain"
