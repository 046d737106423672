"""Numbers about a translator on test pictures, during training and after.

On paired sets outputs are compared with their true partners. On unpaired sets only
the cycle and the identity error can be had, and a network that changes nothing is
perfect in both: they watch over a training, they do not choose the best checkpoint,
so no score is given there. With features (of a VGG, say) both kinds of sets get
perceptual, content, style, structure and kernel distances; they change no score.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stylejax.data.pipeline import evaluation_batches
from stylejax.data.sources import TwoDomainDataset
from stylejax.metrics import pixel
from stylejax.train.feature_metrics import FeatureJudge, kernel_distances
from stylejax.train.features import FeatureSource
from stylejax.typing import Image

TranslateFn = Callable[[Image, str], Image]
"""(pictures `b h w 3` in [0, 1], "AtoB" or "BtoA") to pictures of the same shape."""

_DIRECTIONS = (("AtoB", "BtoA"), ("BtoA", "AtoB"))


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Test pictures held in memory, and how to score a translator on them.

    Attributes:
      test_a: pictures `n h w 3` of domain A in [0, 1].
      test_b: pictures of domain B; `test_b[i]` shows what `test_a[i]` does if paired.
      paired: whether they do.
      batch_size: pictures translated at a time.
      features: what is looked at beside the pixels, if anything.
      fingerprint: hash of the test pictures before they were resized.
    """

    test_a: np.ndarray
    test_b: np.ndarray
    paired: bool
    batch_size: int = 16
    features: FeatureSource | None = None
    fingerprint: str = ""

    def __call__(self, translate_fn: TranslateFn) -> dict[str, float]:
        """Returns the translator's numbers, by name.

        Args:
          translate_fn: translates batches of pictures; jit it.

        Returns:
          Paired: for each direction l1 (0..255), psnr (dB), ssim, l1_ratio (to the
          unchanged input's l1), gradient_energy_ratio (to the truth's), and score, the
          mean l1_ratio. Unpaired: cycle and identity error (l1, 0..255). With features
          for each direction also perceptual (to the true partner, paired sets alone),
          perceptual_change, content, structure and structure_similarity (to the
          input), style (to the mean of the true pictures of the target domain) and
          kernel_distance (to all of them).
        """
        if not self.paired and self.features is None:
            return self.cycle_and_identity(translate_fn)
        outputs = self.translate_all(translate_fn)
        if self.paired:
            numbers = self._paired(outputs)
        else:
            numbers = self.cycle_and_identity(translate_fn)
        return numbers | self._judged(outputs)

    def translate_all(self, translate_fn: TranslateFn) -> dict[str, np.ndarray]:
        """Returns all test pictures translated, by direction.

        Args:
          translate_fn: translates batches of pictures.
        """
        return {d: self.translate(translate_fn, d) for d, _ in _DIRECTIONS}

    @functools.cached_property
    def judge(self) -> FeatureJudge | None:
        """What judges the features of translations; None without features."""
        if self.features is None:
            return None
        return FeatureJudge(self.test_a, self.test_b, self.paired, self.features)

    def _judged(self, outputs: Mapping[str, np.ndarray]) -> dict[str, float]:
        numbers: dict[str, float] = {}
        for direction, judged in (self.judge(outputs) if self.judge else {}).items():
            for name, values in judged.output.items():
                numbers[f"{direction}/{name}"] = float(values.mean())
            distances = kernel_distances(judged, num_subsets=1)
            if "output" in distances:
                numbers[f"{direction}/kernel_distance"] = distances["output"].value
        return numbers

    def translate(self, translate_fn: TranslateFn, direction: str) -> np.ndarray:
        """Returns every test picture of the source domain, translated.

        Args:
          translate_fn: translates batches of pictures.
          direction: "AtoB" translates `test_a`, "BtoA" `test_b`.

        Returns:
          Pictures `n h w 3` in [0, 1].
        """
        source = self.test_a if direction == "AtoB" else self.test_b
        return _in_batches(
            lambda x: translate_fn(x, direction), source, self.batch_size
        )

    def _paired(self, outputs: Mapping[str, np.ndarray]) -> dict[str, float]:
        numbers: dict[str, float] = {}
        for direction, source, truth in (
            ("AtoB", self.test_a, self.test_b),
            ("BtoA", self.test_b, self.test_a),
        ):
            output = outputs[direction]
            l1 = _mean(pixel.mean_absolute_error, output, truth)
            unchanged = _mean(pixel.mean_absolute_error, source, truth)
            numbers |= {
                f"{direction}/l1": l1,
                f"{direction}/l1_ratio": l1 / unchanged,
                f"{direction}/psnr": _mean(pixel.psnr, output, truth),
                f"{direction}/ssim": _mean(pixel.ssim, output, truth),
                f"{direction}/gradient_energy_ratio": float(
                    pixel.gradient_energy_ratio(*map(jnp.asarray, (output, truth)))
                ),
            }
        ratios = [numbers[f"{direction}/l1_ratio"] for direction, _ in _DIRECTIONS]
        return numbers | {"score": float(np.mean(ratios))}

    def cycle_and_identity(self, translate_fn: TranslateFn) -> dict[str, float]:
        """Returns how far pictures are from themselves after a cycle, or kept.

        Args:
          translate_fn: translates batches of pictures.
        """
        numbers = {}
        for (there, back), source in zip(
            _DIRECTIONS, (self.test_a, self.test_b), strict=True
        ):

            def cycled(x: Image) -> Image:
                return translate_fn(translate_fn(x, there), back)  # noqa: B023

            def kept(x: Image) -> Image:
                return translate_fn(x, back)  # noqa: B023

            for name, fn in (("cycle", cycled), ("identity", kept)):
                output = _in_batches(fn, source, self.batch_size)
                error = _mean(pixel.mean_absolute_error, output, source)
                numbers[f"{there[0]}/{name}_l1"] = error
        return numbers


def make_evaluator(
    dataset: TwoDomainDataset,
    *,
    image_size: int,
    max_images: int = 0,
    batch_size: int = 16,
    features: FeatureSource | None = None,
) -> Evaluator:
    """Returns an evaluator over the test pictures of a data set.

    Args:
      dataset: two domains; `test_a` and `test_b` are used.
      image_size: side the pictures are resized to, in pixels.
      max_images: pictures per domain, the first ones; 0 for all.
      batch_size: pictures translated at a time.
      features: what is looked at beside the pixels; None for nothing.

    Returns:
      `Evaluator`.

    Raises:
      ValueError: a domain has no test picture.
    """
    if not len(dataset.test_a) or not len(dataset.test_b):
        raise ValueError(
            f"no test picture in one domain of {dataset.name!r}; add testA and testB or"
            " switch evaluation off with --evaluate_every=0"
        )

    digest = hashlib.sha256()

    def gather(source: Any) -> np.ndarray:
        count = min(max_images or len(source), len(source))
        watched = _Watched(source, count, digest)
        batches = evaluation_batches(
            watched, image_size=image_size, batch_size=batch_size
        )
        return np.concatenate(list(batches))

    return Evaluator(
        gather(dataset.test_a),
        gather(dataset.test_b),
        dataset.paired,
        batch_size,
        features,
        digest.hexdigest(),
    )


class _Watched:
    """The first pictures of a source; each is added to a hash when it is read."""

    def __init__(self, source: Any, count: int, digest: Any):
        self._source, self._count, self._digest = source, count, digest

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> np.ndarray:
        image = self._source[index]
        pixels = np.round(255 * np.asarray(image)).astype(np.uint8)
        self._digest.update(repr(pixels.shape).encode() + pixels.tobytes())
        return image


def _in_batches(fn: Callable, images: np.ndarray, batch_size: int) -> np.ndarray:
    """Returns `fn` of all; a short last batch is filled up, so one shape compiles."""
    outputs = []
    for start in range(0, len(images), batch_size):
        part = images[start : start + batch_size]
        missing = min(batch_size, len(images)) - len(part)
        filled = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)])
        outputs.append(np.asarray(fn(filled))[: len(part)])
    return np.concatenate(outputs)


def _mean(metric: Callable, x: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean(np.asarray(jax.jit(metric)(x, y))))
