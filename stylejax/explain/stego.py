"""Does a cycle hide a message in its intermediate picture? (Steganography.)

A translator and its way back, trained to return the input, may cheat: the first writes
what it should have lost into changes that no eye sees, and the second reads them.

That noise makes the cycle worse proves nothing: it does so to an honest cycle as well,
and the better the cycle, the larger the ratio. Nor does a steep way back, which a
picture of low contrast needs. The test here is causal: exchange *only* the invisible
fine structure between intermediate pictures, at most `limit` per value, and see how
far each reconstruction moves to that of its partner. An honest way back moves by about
as much as the intermediate pictures themselves were moved (its own reference); one that
reads a message paints the partner.

Not found by it: messages coarser than about `6 sigma` pixels a period, or stronger than
`limit`, which can be seen; and fine detail that the first made faint and the second
only makes strong again, fine for fine.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stylejax.explain.cycle_statistics import CycleStatistics, Effect, cycle_statistics
from stylejax.metrics.pixel import Interval, bootstrap_interval
from stylejax.typing import Image, ImageFn, Key

HIDDEN_SHARE = 0.1
"""Threshold of the verdict, on how much more than honest the invisible part moves.

Measured in 2026-11 on the cycles of tests/explain/hidden_channels.py, 400 of each kind
and eight pictures: honest ones reached 0.04, hidden ones began at 0.36. No honest one
was called hidden: less than 1 % would be, by the 95 % interval. In pictures full of
grain (0.15) honest ones reached 0.13 and one in 400 was; hidden ones began at 0.11 and
two in 400 stayed undecided.
"""

VERDICTS = ("hidden channel", "no hidden channel found", "undecided")


@dataclasses.dataclass(frozen=True, eq=False)
class StegoReport:
    """Whether a cycle hides a message, and the numbers it is judged by.

    Attributes:
      hidden_share: `share - reference`: how much more of the reconstruction follows the
        invisible part than an honest cycle's would. The verdict is about this.
      interval: bootstrap interval of `hidden_share` over the pictures.
      share: how far the reconstructions follow an exchanged invisible part: 0 not at
        all, 1 all the way.
      reference: how far the intermediate pictures themselves were moved by it.
      clean_error: mean absolute error of the cycle.
      effects: by kind of invisible change, what it did.
      sensitivity_share: see `CycleStatistics`.
      energy_share: see `CycleStatistics`.
      threshold: of the verdict.
      num_pictures: how many pictures were looked at.
    """

    hidden_share: float
    interval: Interval
    share: float
    reference: float
    clean_error: float
    effects: dict[str, Effect]
    sensitivity_share: float
    energy_share: float
    threshold: float
    num_pictures: int

    @property
    def verdict(self) -> str:
        """One of `VERDICTS`: on which side of the threshold the whole interval is."""
        if self.interval.low > self.threshold:
            return VERDICTS[0]
        return VERDICTS[1] if self.interval.high < self.threshold else VERDICTS[2]

    def summary(self) -> str:
        """One line for people: verdict, share, threshold, and the worst change.

        Returns:
          Text without a line break.
        """
        name, worst = max(self.effects.items(), key=lambda item: item[1].jump)
        low, high = self.interval
        sensitivity = (
            "no gradient"
            if np.isnan(self.sensitivity_share)
            else f"{self.sensitivity_share:.1%} of the sensitivity"
        )
        return (
            f"{self.verdict}: {self.share:.1%} of the reconstruction follows the"
            f" invisible part of the intermediate picture, {self.reference:.1%} if"
            f" honest; hidden share {self.hidden_share:.3f} [{low:.3f}, {high:.3f}],"
            f" threshold {self.threshold:g}; cycle error {self.clean_error:.4f}, after"
            f" {name} {worst.error:.4f} ({worst.ratio:.2f} times, gain"
            f" {worst.gain:.1f}); high band: {sensitivity}, {self.energy_share:.1%} of"
            f" the picture; {self.num_pictures} pictures"
        )


def find_hidden_channel(
    key: Key,
    forward: ImageFn,
    backward: ImageFn,
    images: Image,
    *,
    threshold: float = HIDDEN_SHARE,
    seed: int = 0,
    level: float = 0.95,
    **options: Any,
) -> StegoReport:
    """Whether `backward(forward(images))` relies on what no eye sees in between.

    Args:
      key: of the noise.
      forward: pictures (b, h, w, 3) in [0, 1] to the other domain; same size.
      backward: the way back.
      images: (b, h, w, 3), in [0, 1], sides of at least 8 pixels. Eight different
        pictures or more give a useful interval.
      threshold: of `hidden_share`.
      seed: of the bootstrap.
      level: coverage of the interval, in (0, 1).
      **options: of `cycle_statistics`.

    Returns:
      `StegoReport`.

    Raises:
      ValueError: no batch of two or more RGB pictures, a translator that changes the
        size, or numbers out of range.

    Reference:
      Chu, Zhmoginov and Sandler 2017, "CycleGAN, a master of steganography". They show
      by noise and by examples; the exchange, its reference and the interval are ours.
    """
    measure = jax.jit(
        functools.partial(cycle_statistics, **options), static_argnums=(1, 2)
    )
    statistics = measure(key, forward, backward, jnp.asarray(images))
    return stego_report(statistics, threshold=threshold, seed=seed, level=level)


def stego_report(
    statistics: CycleStatistics,
    *,
    threshold: float = HIDDEN_SHARE,
    seed: int = 0,
    level: float = 0.95,
) -> StegoReport:
    """The report of what `cycle_statistics` measured on one cycle.

    Args:
      statistics: of one cycle, concrete (not under `jax.jit`).
      threshold: of `hidden_share`.
      seed: of the bootstrap over pictures.
      level: coverage of the interval, in (0, 1).

    Returns:
      `StegoReport`.

    Raises:
      ValueError: reconstructions that do not differ from each other.
    """
    sums = np.asarray(statistics.transplant, np.float64)

    def shares(which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        moved, apart, changed, distance = sums[:, which.astype(int)].sum(axis=-1)
        return moved / apart, changed / distance

    if not (np.isfinite(sums).all() and sums[[1, 3]].min() > 0):
        raise ValueError(
            "images: expected pictures whose translations and reconstructions differ"
            " and are finite, got equal ones; use different pictures"
        )
    every = np.arange(sums.shape[1], dtype=np.float64)
    share, reference = shares(every)
    interval = bootstrap_interval(
        every, seed=seed, level=level, statistic=lambda x, axis: np.subtract(*shares(x))
    )
    return StegoReport(
        hidden_share=float(share - reference),
        interval=interval,
        share=float(share),
        reference=float(reference),
        clean_error=float(np.mean(statistics.clean_error)),
        effects=jax.tree.map(float, statistics.effects),
        sensitivity_share=float(statistics.sensitivity_share),
        energy_share=float(statistics.energy_share),
        threshold=threshold,
        num_pictures=len(every),
    )
