"""Numbers about a translator on test pictures, during training and after.

On paired sets outputs are compared with their true partners. On unpaired sets only
the cycle and the identity error can be had, and a network that changes nothing is
perfect in both: they watch over a training, they do not choose the best checkpoint,
so no score is given there.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stylejax.data.pipeline import evaluation_batches
from stylejax.data.sources import TwoDomainDataset
from stylejax.metrics import pixel
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
    """

    test_a: np.ndarray
    test_b: np.ndarray
    paired: bool
    batch_size: int = 16

    def __call__(self, translate_fn: TranslateFn) -> dict[str, float]:
        """Returns the translator's numbers, by name.

        Args:
          translate_fn: translates batches of pictures; jit it.

        Returns:
          Paired: for each direction l1 (0..255), psnr (dB), ssim, l1_ratio (to the
          unchanged input's l1), gradient_energy_ratio (to the truth's), and score, the
          mean l1_ratio. Unpaired: cycle and identity error (l1, 0..255).
        """
        if self.paired:
            return self._paired(translate_fn)
        return self._unpaired(translate_fn)

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

    def _paired(self, translate_fn: TranslateFn) -> dict[str, float]:
        numbers: dict[str, float] = {}
        for direction, source, truth in (
            ("AtoB", self.test_a, self.test_b),
            ("BtoA", self.test_b, self.test_a),
        ):
            output = self.translate(translate_fn, direction)
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

    def _unpaired(self, translate_fn: TranslateFn) -> dict[str, float]:
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
) -> Evaluator:
    """Returns an evaluator over the test pictures of a data set.

    Args:
      dataset: two domains; `test_a` and `test_b` are used.
      image_size: side the pictures are resized to, in pixels.
      max_images: pictures per domain, the first ones; 0 for all.
      batch_size: pictures translated at a time.

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

    def gather(source: Any) -> np.ndarray:
        batches = evaluation_batches(
            source, image_size=image_size, batch_size=batch_size
        )
        images = np.concatenate(list(batches))
        return images[:max_images] if max_images else images

    return Evaluator(
        gather(dataset.test_a), gather(dataset.test_b), dataset.paired, batch_size
    )


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
