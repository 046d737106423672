"""The online code against sums worked out by hand."""

import numpy as np
import pytest

from stylejax.explain.description_length import CodeBlocks, code_blocks, online_code


def logits(labels, num_classes, *, size):
    """Scores that put the labels' classes `size` ahead."""
    if num_classes == 2:
        return (size * (2.0 * labels - 1))[:, None]
    return size * np.eye(num_classes)[labels]


def scores_of(blocks, labels, num_classes, sizes):
    """The same scores for every block, one row for each size."""
    rows = [logits(labels, num_classes, size=size) for size in sizes]
    return np.tile(np.stack(rows), (len(blocks.ends) - 1, 1, 1, 1))


def test_blocks_double_and_hold_every_example_once():
    blocks = code_blocks(256, num_classes=2, seed=1)
    assert blocks.ends.tolist() == [4, 8, 16, 32, 64, 128, 256]
    assert sorted(blocks.order.tolist()) == list(range(256))
    assert code_blocks(1000, num_classes=2).ends[0] == 31
    assert code_blocks(1000, num_classes=50).ends.tolist() == [125, 250, 500, 1000]
    assert code_blocks(6, num_classes=4).ends.tolist() == [6]


def test_training_sets_are_what_came_before():
    blocks = code_blocks(40, num_classes=2, seed=3)
    masks = blocks.training_masks()
    assert masks.sum(1).tolist() == blocks.ends[:-1].tolist()
    for mask, end in zip(masks, blocks.ends, strict=False):
        assert set(np.flatnonzero(mask)) == set(blocks.order[:end])


def test_no_block_ends_within_a_group():
    groups = np.random.default_rng(0).integers(12, size=150)
    blocks = code_blocks(150, num_classes=2, groups=groups, seed=2)
    assert len(blocks.ends) >= 4
    for end in blocks.ends[:-1]:
        before, after = groups[blocks.order[:end]], groups[blocks.order[end:]]
        assert set(before).isdisjoint(after)
    with pytest.raises(ValueError, match="groups: expected 150, got 12"):
        code_blocks(150, num_classes=2, groups=np.arange(12))


@pytest.mark.parametrize("num_classes", [2, 4])
def test_probes_that_know_nothing_give_the_uniform_code(num_classes):
    labels = np.arange(64) % num_classes
    blocks = code_blocks(64, num_classes=num_classes)
    scores = scores_of(blocks, labels, num_classes, [0.0])
    length = online_code(scores, labels, blocks, num_classes=num_classes)
    assert length.bits == pytest.approx(64 * np.log2(num_classes), rel=1e-6)
    assert length.uniform_bits == 64 * np.log2(num_classes)
    assert length.ratio == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("num_classes", [2, 4])
def test_probes_that_are_right_cost_the_first_block_and_the_smoothing(num_classes):
    labels = np.arange(64) % num_classes
    blocks = code_blocks(64, num_classes=num_classes)
    scores = scores_of(blocks, labels, num_classes, [80.0])
    length = online_code(scores, labels, blocks, num_classes=num_classes)
    first = int(blocks.ends[0])
    expected = first * np.log2(num_classes)
    for start, end in zip(blocks.ends, blocks.ends[1:], strict=False):
        spread = 1 / (start + 1)
        expected -= (end - start) * np.log2(1 - spread + spread / num_classes)
    assert length.bits == pytest.approx(expected, rel=1e-6)


def test_probes_that_are_sure_and_wrong_cost_more_than_no_probe_but_are_finite():
    labels = np.arange(64) % 2
    blocks = code_blocks(64, num_classes=2)
    scores = scores_of(blocks, 1 - labels, 2, [500.0])
    length = online_code(scores, labels, blocks, num_classes=2)
    assert 2 * length.uniform_bits < length.bits < 10 * length.uniform_bits


def test_several_penalties_are_mixed_not_chosen():
    """`-log2` of the mean of their probabilities of *all* labels, by hand."""
    labels = np.arange(32) % 2
    blocks = code_blocks(32, num_classes=2)
    sizes = [0.5, -0.2, 0.1]

    def bits(chosen):
        scores = scores_of(blocks, labels, 2, chosen)
        return online_code(scores, labels, blocks, num_classes=2).bits

    alone = np.array([bits([size]) for size in sizes])
    assert bits(sizes) == pytest.approx(-np.log2(np.mean(2.0**-alone)), rel=1e-6)
    assert alone.min() < bits(sizes) < alone.min() + np.log2(3)


def test_frequent_labels_are_cheap_without_any_feature():
    """So that `bits` is not credited with what the frequencies alone save."""
    labels = np.zeros(16, int)
    blocks = CodeBlocks(np.arange(16), np.array([4, 8, 16]))
    scores = scores_of(blocks, labels, 2, [0.0])
    length = online_code(scores, labels, blocks, num_classes=2)
    # Of 4 and of 8 labels all were 0: Laplace expects 5 of 6 and 9 of 10.
    expected = 4 - 4 * np.log2(5 / 6) - 8 * np.log2(9 / 10)
    assert length.label_bits == pytest.approx(expected)
    assert length.bits == pytest.approx(16)
