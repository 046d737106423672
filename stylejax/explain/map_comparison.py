"""How alike maps are before and after, and what that says about the explainer.

The numbers of `stylejax.explain.randomization`, with their intervals and the verdict.
"""

import dataclasses

import numpy as np

from stylejax.metrics.pixel import Interval

_RESAMPLES = 2000


@dataclasses.dataclass(frozen=True, eq=False)
class Similarity:
    """Rank correlations of maps, one for each draw of parameters and each picture.

    Attributes:
      values: (draws, pictures), in [-1, 1]; NaN where a map is constant.
    """

    values: np.ndarray

    @property
    def mean(self) -> float:
        """Over draws and pictures."""
        return float(np.mean(self.values))

    @property
    def magnitude(self) -> float:
        """The mean of the absolute values: what signs that flip cannot hide. Even maps
        that have nothing to do with each other are above 0 here, more so smooth ones.
        """
        return float(np.mean(np.abs(self.values)))

    @property
    def interval(self) -> Interval:
        """The 95 % interval of the mean: a bootstrap of draws and of pictures. Too
        narrow where there are only a few of either.
        """
        draws, pictures = self.values.shape
        generator = np.random.default_rng(0)
        rows, columns = (
            generator.multinomial(n, np.full(n, 1 / n), size=_RESAMPLES) / n
            for n in (draws, pictures)
        )
        means = np.einsum("rd,dp,rp->r", rows, self.values, columns)
        return Interval(*map(float, np.quantile(means, [0.025, 0.975])))


@dataclasses.dataclass(frozen=True, eq=False)
class MapComparison:
    """How alike two sets of maps are.

    Attributes:
      name: what the second set comes from: the newest of the randomised layers, or
        "all".
      signed: rank correlations of the maps.
      absolute: rank correlations of their absolute values.
    """

    name: str
    signed: Similarity
    absolute: Similarity


@dataclasses.dataclass(frozen=True, eq=False)
class RandomizationCheck:
    """What is left of the maps of a network when its parameters are taken away.

    Attributes:
      stages: a comparison for each set of layers; the last is the one that counts, of
        all parameters.
      reference: the maps before against the reference.
      multiplied: whether the maps are multiplied by `x - x'`, and so are like the
        picture for that reason alone.
      limit: what the likeness of maps that are not multiplied may be at most.
      absolute_limit: the same without signs. Gradients of random networks have up to
        0.1, since all see edges and borders, guided backpropagation 0.08 to 0.34 where
        there are no norms, 0.06 where there are (2026-11, 3 to 6 layers, 12 to 16 px).
      margin: by how much likeness may be above that of the reference.
    """

    stages: tuple[MapComparison, ...]
    reference: MapComparison
    multiplied: bool
    limit: float = 0.2
    absolute_limit: float = 0.15
    margin: float = 0.05

    @property
    def excess(self) -> Similarity:
        """Likeness of the absolute maps after, less that of the reference."""
        last = self.stages[-1].absolute.values
        return Similarity(last - self.reference.absolute.values)

    @property
    def passes(self) -> bool:
        """Whether the maps depend on the parameters, judged by the means.

        Multiplied maps: `excess` is at most `margin`. Others: `|signed|` is at most
        `limit` and at most that of the reference plus `margin`, and `absolute` is at
        most `absolute_limit` (signs that flip from draw to draw cancel in `signed`).
        Likeness that is undefined does not pass.
        """
        if self.multiplied:
            return self.excess.mean <= self.margin
        last = self.stages[-1]
        signed, reference = abs(last.signed.mean), abs(self.reference.signed.mean)
        below = signed <= self.limit and signed <= reference + self.margin
        return below and last.absolute.mean <= self.absolute_limit

    def summary(self) -> str:
        """One line for people: the verdict and the numbers behind it.

        Returns:
          Text without a line break.
        """
        last = self.stages[-1]
        low, high = self.excess.interval if self.multiplied else last.signed.interval
        numbers = (
            f"signed {last.signed.mean:.3f} (reference"
            f" {self.reference.signed.mean:.3f}), absolute {last.absolute.mean:.3f}"
            f" (reference {self.reference.absolute.mean:.3f})"
        )
        judged = (
            f"excess {self.excess.mean:.3f} [{low:.3f}, {high:.3f}], at most"
            f" {self.margin:g}"
            if self.multiplied
            else f"signed in [{low:.3f}, {high:.3f}], at most {self.limit:g} and the"
            f" reference + {self.margin:g}, absolute at most {self.absolute_limit:g}"
        )
        verdict = "passes" if self.passes else "FAILS"
        draws, pictures = last.signed.values.shape
        return (
            f"{verdict}: rank correlation with the maps of other parameters: {numbers};"
            f" {judged}; {draws} draws, {pictures} pictures"
        )
