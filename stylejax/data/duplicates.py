"""Which pictures of a set occur twice, and which of them to drop. Pure functions.

Exact duplicates have the same 8-bit pixels, whatever their files. Near duplicates look
alike at a glance: their perceptual hashes are within a few bits, *and* their thumbnails
differ little. The hash alone takes a red heart for a blue one, the thumbnail alone two
thin drawings on white for each other. Found are copies saved again, at another size,
with other contrast or cropped by a few pixels; a mirrored or turned copy is not.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from stylejax.data.inspection import Fingerprint


@dataclasses.dataclass(frozen=True)
class NearPair:
    """Two pictures that look alike: their places, and how far apart they are.

    Args:
      first: place of one picture in the list that was searched.
      second: place of the other, larger than `first`.
      num_bits: bits in which the perceptual hashes differ, of 64.
      difference: mean absolute difference of the thumbnails, in [0, 1].
    """

    first: int
    second: int
    num_bits: int
    difference: float


@dataclasses.dataclass(frozen=True)
class Duplicates:
    """What occurs twice in two domains of pictures, as places in the searched list.

    Args:
      exact: groups of equal pictures of one domain.
      near: pairs of one domain that look alike but are not equal.
      across_domains: groups of equal pictures that occur in both domains. In a pair of
        a paired test set that is possible, anywhere else it is worth a look.
    """

    exact: list[list[int]]
    near: list[NearPair]
    across_domains: list[list[int]]


def find_duplicates(
    fingerprints: Sequence[Fingerprint],
    domains: Sequence[str],
    *,
    max_bits: int = 10,
    max_difference: float = 0.03,
) -> Duplicates:
    """Returns the exact and near duplicates of two domains.

    Pictures of different domains may look alike, that is what a pair is: across domains
    only exact duplicates are reported.

    Args:
      fingerprints: one per picture.
      domains: the domain of each picture.
      max_bits: see `near_pairs`.
      max_difference: see `near_pairs`.

    Returns:
      Places in `fingerprints`.
    """
    exact, near = [], []
    for domain in sorted(set(domains)):
        members = [place for place, own in enumerate(domains) if own == domain]
        prints = [fingerprints[place] for place in members]
        exact += [[members[i] for i in group] for group in exact_groups(prints)]
        pairs = near_pairs(prints, max_bits=max_bits, max_difference=max_difference)
        near += [
            dataclasses.replace(p, first=members[p.first], second=members[p.second])
            for p in pairs
        ]
    across = [
        group
        for group in exact_groups(fingerprints)
        if len({domains[place] for place in group}) > 1
    ]
    return Duplicates(exact, near, across)


def exact_groups(fingerprints: Sequence[Fingerprint]) -> list[list[int]]:
    """Returns the groups of pictures whose 8-bit pixels are equal.

    Args:
      fingerprints: one per picture.

    Returns:
      Places in `fingerprints`, at least two a group, ascending; groups by first place.
    """
    places: dict[str, list[int]] = {}
    for place, print_ in enumerate(fingerprints):
        places.setdefault(print_.digest, []).append(place)
    return [group for group in places.values() if len(group) > 1]


def near_pairs(
    fingerprints: Sequence[Fingerprint],
    *,
    max_bits: int = 10,
    max_difference: float = 0.03,
) -> list[NearPair]:
    """Returns the pairs of pictures that look alike but are not equal.

    All n (n - 1) / 2 pairs are compared, a row at a time.

    Args:
      fingerprints: one per picture.
      max_bits: most bits in which the perceptual hashes may differ, of 64.
      max_difference: most that the thumbnails may differ, mean absolute in [0, 1].

    Returns:
      The pairs, ascending by place.
    """
    bits = np.array([f.bits for f in fingerprints], np.uint64)
    found = []
    for first in range(len(bits) - 1):
        distances = np.bitwise_count(bits[first + 1 :] ^ bits[first])
        for offset in np.flatnonzero(distances <= max_bits):
            second = first + 1 + int(offset)
            one, two = fingerprints[first], fingerprints[second]
            difference = float(np.abs(one.thumbnail - two.thumbnail).mean())
            if difference <= max_difference and one.digest != two.digest:
                pair = NearPair(first, second, int(distances[offset]), difference)
                found.append(pair)
    return found


def surplus(pairs: Iterable[tuple[int, int]], ranks: Sequence[int]) -> list[int]:
    """Returns the pictures to drop so that no two of a pair stay.

    Pictures are taken by rank, then by place; each stays unless one that it is paired
    with has stayed. With test pictures ranked below training pictures, a test picture
    that occurs in training stays in the test. In a chain of frames, each like the next,
    every second one stays.

    Args:
      pairs: pairs of places.
      ranks: one rank per picture.

    Returns:
      Places to drop, ascending.

    Example:
      >>> surplus([(0, 1), (1, 2), (2, 5)], ranks=[1, 1, 1, 0, 0, 0])
      [1, 2]
    """
    partners: dict[int, set[int]] = {}
    for one, two in pairs:
        partners.setdefault(one, set()).add(two)
        partners.setdefault(two, set()).add(one)
    kept: set[int] = set()
    for place in sorted(partners, key=lambda place: (ranks[place], place)):
        if not partners[place] & kept:
            kept.add(place)
    return sorted(set(partners) - kept)


def pairs_of(duplicates: Duplicates, *, near: bool) -> list[tuple[int, int]]:
    """Returns the duplicates of one domain as pairs, for `surplus`.

    Args:
      duplicates: what was found.
      near: whether near duplicates count as well.

    Returns:
      Pairs of places.
    """
    pairs = [p for group in duplicates.exact for p in itertools.combinations(group, 2)]
    if near:
        pairs += [(pair.first, pair.second) for pair in duplicates.near]
    return pairs
