"""How many bits the labels cost, once the features are known: the online code.

A probe that needs many examples before it predicts well has been taught the factor by
them; one that needs few has found it in the features. The online code counts both: the
examples come in blocks that double, each block is coded with the probe trained on all
before it, and the first block with equal probabilities. Fewer bits than without the
features is evidence for them, and nothing can be gained by a larger probe as such.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from stylejax.explain.cross_validation import numbered
from stylejax.explain.probe_arrays import log_probabilities

# The first block, at most this share of the examples, and enough for some classes.
_FIRST_SHARE = 1 / 64
_FIRST_PER_CLASS = 2


class DescriptionLength(NamedTuple):
    """The length of all labels, in bits.

    Attributes:
      bits: with the features, by the online code.
      uniform_bits: `n log2(classes)`: every label with equal probabilities.
      label_bits: the online code with the labels' own frequencies and no features. The
        number to compare `bits` with where some labels are frequent.
    """

    bits: float
    uniform_bits: float
    label_bits: float

    @property
    def ratio(self) -> float:
        """`bits / uniform_bits`: 1 is no knowledge. Its inverse is the compression."""
        return self.bits / self.uniform_bits


class CodeBlocks(NamedTuple):
    """The order in which examples are coded, and where the blocks end.

    Attributes:
      order: `n`, indices of the examples.
      ends: growing, the last is `n`: block `i` is `order[ends[i - 1] : ends[i]]`.
    """

    order: np.ndarray
    ends: np.ndarray

    def training_masks(self) -> np.ndarray:
        """What each block but the first is coded from, float32 `blocks - 1, n`."""
        rank = np.empty(len(self.order), int)
        rank[self.order] = np.arange(len(self.order))
        return (rank[None] < self.ends[:-1, None]).astype(np.float32)


def code_blocks(
    num_examples: int,
    *,
    num_classes: int,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> CodeBlocks:
    """Blocks that double, in a random order of examples or of whole groups.

    Args:
      num_examples: `n`, at least 2.
      num_classes: sets the size of the first block, which no probe can be trained for.
      groups: `n` names: a group is not split by the end of a block, so that a block
        cannot be coded by remembering its groups. By default every example is its own.
      seed: of the order.

    Returns:
      A `CodeBlocks` of at least one block.

    Raises:
      ValueError: a wrong number of groups.

    Example:
      >>> code_blocks(64, num_classes=2).ends.tolist()
      [4, 8, 16, 32, 64]
    """
    names = (
        np.arange(num_examples) if groups is None else numbered(groups, name="group")
    )
    if len(names) != num_examples:
        raise ValueError(f"groups: expected {num_examples}, got {len(names)}")
    place = np.random.default_rng(seed).permutation(names.max() + 1)
    order = np.argsort(place[names], kind="stable")
    first = max(
        _FIRST_PER_CLASS * num_classes, int(np.ceil(num_examples * _FIRST_SHARE))
    )
    wanted = [num_examples]
    while wanted[-1] // 2 >= first:
        wanted.append(wanted[-1] // 2)
    starts = np.flatnonzero(np.diff(place[names][order], prepend=-1))
    boundaries = np.append(starts[1:], num_examples)
    ends = boundaries[np.searchsorted(boundaries, wanted)]
    return CodeBlocks(order, np.unique(ends))


def online_code(
    scores: ArrayLike, labels: ArrayLike, blocks: CodeBlocks, *, num_classes: int
) -> DescriptionLength:
    """The bits of all labels, each block coded by the probes trained before it.

    Several penalties are mixed as Bayes would with equal prior weights: the code is at
    most `log2(l)` bits longer than with the penalty that proves best, and none has to
    be chosen by looking ahead. After `t` examples a share `1/(t + 1)` of each
    probability is spread evenly: a class that is yet to come costs a finite number of
    bits.

    Args:
      scores: `blocks - 1, l, n, k`, of all examples by the probes trained on
        `blocks.training_masks()`, for each of `l` penalties.
      labels: `n` whole numbers from 0.
      blocks: from `code_blocks`.
      num_classes: at least 2.

    Returns:
      A `DescriptionLength`.

    Reference: Voita and Titov, "Information-Theoretic Probing with Minimum Description
      Length", 2020, section 2.2.2. They start at 0.1 % of the data, take one probe for
      each block, and do not smooth.
    """
    labels = np.asarray(labels)
    scores = np.asarray(scores)
    nats = np.zeros(scores.shape[1])
    label_nats = 0.0
    for block, (start, end) in enumerate(
        zip(blocks.ends, blocks.ends[1:], strict=False)
    ):
        members = blocks.order[start:end]
        chances = np.exp(log_probabilities(scores[block][:, members]))
        seen = np.bincount(labels[blocks.order[:start]], minlength=num_classes)
        spread = 1 / (start + 1)
        smooth = (1 - spread) * chances + spread / num_classes
        picked = smooth[:, np.arange(len(members)), labels[members]]
        nats -= np.log(picked).sum(axis=1)
        frequencies = (seen + 1) / (start + num_classes)
        label_nats -= np.log(frequencies[labels[members]]).sum()
    mixed = np.log(len(nats)) - logsumexp(-nats)
    return _lengths(float(mixed), label_nats, blocks, num_classes)


def _lengths(
    nats: float, label_nats: float, blocks: CodeBlocks, num_classes: int
) -> DescriptionLength:
    bit = np.log(2)
    first, count = int(blocks.ends[0]), int(blocks.ends[-1])
    per_label = np.log2(num_classes)
    return DescriptionLength(
        bits=first * per_label + nats / bit,
        uniform_bits=count * per_label,
        label_bits=first * per_label + label_nats / bit,
    )
