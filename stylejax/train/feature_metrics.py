"""What features say about translations, picture by picture and of whole sets.

Features are computed a batch at a time, once for each picture, and shared by all
metrics; what stays in memory is one vector a picture.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from stylejax.metrics import distribution, perceptual, structure, style
from stylejax.metrics.sample_statistics import SampleStatistics, empty, pool, update
from stylejax.train.features import FeatureSource

LEAST_SAMPLES = 4
"""Fewer pictures have no kernel distance."""

_BATCH_PIXELS = 16 * 128 * 128  # the maps of a VGG are large
_TARGETS = {"AtoB": ("a", "b"), "BtoA": ("b", "a")}


class Judged(NamedTuple):
    """What features say of the translations of one direction.

    Attributes:
        output: values `n` of the translations, by metric.
        unchanged: the same of the pictures they were made from, where it says anything.
        true: the same of the true pictures of the target domain.
        vectors: `n d` of the "output", "unchanged" and "true" pictures.
    """

    output: dict[str, np.ndarray]
    unchanged: dict[str, np.ndarray]
    true: dict[str, np.ndarray]
    vectors: dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureJudge:
    """Judges translations of test pictures by their features.

    Attributes:
        test_a: pictures `n h w 3` of domain A in [0, 1].
        test_b: pictures of domain B; `test_b[i]` shows what `test_a[i]` does if paired.
        paired: whether they do.
        features: what is looked at.
        batch_size: most pictures looked at at a time.
    """

    test_a: np.ndarray
    test_b: np.ndarray
    paired: bool
    features: FeatureSource
    batch_size: int = 64

    def __call__(self, outputs: Mapping[str, np.ndarray]) -> dict[str, Judged]:
        """Returns what is to be said of translations, by direction.

        Args:
            outputs: "AtoB": `test_a` translated, "BtoA": `test_b` translated.
        """
        images = {"a": self.test_a, "b": self.test_b} | dict(outputs)
        found: dict[str, dict] = {direction: {} for direction in _TARGETS}
        for batch in self._batches(images):
            for direction, (source, target) in _TARGETS.items():
                roles = {"output": direction, "unchanged": source, "true": target}
                parts = {role: batch[name] for role, name in roles.items()}
                values = self._judge(parts, self._styles[target])
                for place, value in values.items():
                    found[direction].setdefault(place, []).append(value)
        return {direction: _gathered(parts) for direction, parts in found.items()}

    @functools.cached_property
    def _maps(self) -> Callable[[np.ndarray], Any]:
        return jax.jit(self.features.feature_fn)

    @functools.cached_property
    def _styles(self) -> dict[str, dict[str, np.ndarray]]:
        """The mean Gram matrix of each domain's true pictures, by layer."""
        styles = {}
        for domain, images in (("a", self.test_a), ("b", self.test_b)):
            totals: dict[str, Any] = {}
            for batch in self._batches({domain: images}):
                grams = _grams(batch[domain].maps)
                for layer, gram in grams.items():
                    kept = np.asarray(gram, np.float64)[: batch[domain].size]
                    totals[layer] = totals.get(layer, 0.0) + kept.sum(0, keepdims=True)
            styles[domain] = {
                layer: np.asarray(total / len(images), np.float32)
                for layer, total in totals.items()
            }
        return styles

    def _batches(self, images: Mapping[str, np.ndarray]):
        """Yields the maps of a batch of every set; a set that is over has None."""
        pixels = max(x.shape[1] * x.shape[2] for x in images.values())
        most = min(self.batch_size, max(1, _BATCH_PIXELS // pixels))
        longest = max(map(len, images.values()))
        # As few batches as may be, of one size: each call has its own cost.
        size = -(-longest // -(-longest // most))
        for start in range(0, longest, size):
            yield {
                name: self._batch(x[start : start + size], min(size, len(x)))
                for name, x in images.items()
            }

    def _batch(self, images: np.ndarray, size: int) -> "_Batch | None":
        if not len(images):
            return None
        filler = np.repeat(images[-1:], size - len(images), axis=0)
        return _Batch(self._maps(np.concatenate([images, filler])), len(images))

    def _judge(self, parts: "dict[str, _Batch | None]", goal: dict) -> dict:
        """The values of a batch by (role, metric); vectors are by ("vectors", role)."""
        vector = self.features.layers[-1]
        output, source, true = (parts[role] for role in ("output", "unchanged", "true"))
        found: dict[tuple[str, str], tuple] = {}
        for role, batch in parts.items():
            if batch is not None:
                found["vectors", role] = (_vectors(batch.maps[vector]), batch)
                found[role, "style"] = (_style(batch.maps, goal), batch)
        if output is not None and source is not None:
            for name, value in _changes(output.maps, source.maps).items():
                found["output", name] = (value, output)
            if self.paired and true is not None:
                for role, batch in (("output", output), ("unchanged", source)):
                    value = _perceptual(batch.maps, true.maps)
                    found[role, "perceptual"] = (value, batch)
        return {
            place: np.asarray(value, np.float64)[: batch.size]
            for place, (value, batch) in found.items()
        }


class _Batch(NamedTuple):
    """Feature maps of a batch, of which the first `size` examples count."""

    maps: dict[str, jax.Array]
    size: int


def kernel_distances(
    judged: Judged, *, seed: int = 0, num_subsets: int = 200
) -> dict[str, distribution.KernelDistance]:
    """The kernel distance of sets of pictures from the true ones, by role.

    Args:
        judged: of one direction.
        seed: of the half-samples behind the interval.
        num_subsets: how many; 1 where no interval is wanted.

    Returns:
        "output" and "unchanged", of vectors divided by the root mean square of the true
        ones; nothing for fewer than `LEAST_SAMPLES` pictures, or where they are not
        finite.
    """
    return {
        role: distribution.kernel_distance(x, y, seed=seed, num_subsets=num_subsets)
        for role, (x, y) in _sets(judged).items()
    }


def frechet_distances(judged: Judged) -> dict[str, distribution.FrechetDistance]:
    """The Fréchet distance of sets of pictures from the true ones, by role.

    Args:
        judged: of one direction.

    Returns:
        As `kernel_distances`.
    """

    def of(x: np.ndarray) -> SampleStatistics:
        return update(empty(x.shape[1]), x)

    return {
        role: distribution.frechet_distance(of(x), of(y))
        for role, (x, y) in _sets(judged).items()
    }


def _sets(judged: Judged) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """(vectors of a role, those of the true pictures), on the scale of the latter."""
    true = judged.vectors["true"]
    scale = np.sqrt(np.mean(np.square(true))) or 1.0
    pairs = {
        role: (judged.vectors[role] / scale, true / scale)
        for role in ("output", "unchanged")
    }
    return {
        role: pair
        for role, pair in pairs.items()
        if min(map(len, pair)) >= LEAST_SAMPLES and np.isfinite(pair[0]).all()
    }


def _gathered(parts: Mapping[tuple[str, str], list[np.ndarray]]) -> Judged:
    judged = Judged({}, {}, {}, {})
    for (role, name), values in parts.items():
        getattr(judged, role)[name] = np.concatenate(values)
    return judged


_vectors = jax.jit(pool)
_perceptual = jax.jit(perceptual.feature_distance)
_grams = jax.jit(style.style_statistics)


@jax.jit
def _style(maps: Any, goal: Any) -> jax.Array:
    return style.statistics_distance(style.style_statistics(maps), goal)


@jax.jit
def _changes(output: Any, source: Any) -> dict[str, jax.Array]:
    """What happened to the pictures, by metric."""
    return {
        "perceptual_change": perceptual.feature_distance(output, source),
        "content": style.maps_distance(output, source),
        "structure": structure.layout_distance(output, source),
        "structure_similarity": structure.layout_similarity(output, source),
    }
