"""The image pool against a plain Python list that follows the published rule."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.train import image_pool
from stylejax.train.image_pool import Decisions


class ListPool:
    """The rule in words: fill; then with a coin give back an old one, keep the new."""

    def __init__(self, size):
        self.size, self.images = size, []

    def query(self, images, swaps, places):
        returned = []
        for image, swap, place in zip(images, swaps, places, strict=True):
            if len(self.images) < self.size:
                self.images.append(image)
                returned.append(image)
            elif swap:
                returned.append(self.images[place])
                self.images[place] = image
            else:
                returned.append(image)
        return np.stack(returned)


@pytest.mark.parametrize("batch", [1, 3, 5])
def test_agrees_with_the_list_over_many_batches(generator, batch):
    size, shape = 4, (2, 2, 1)
    pool, plain = image_pool.init_pool(size, shape), ListPool(size)
    query = jax.jit(image_pool.query)
    for number in range(12):
        images = generator.normal(size=(batch, *shape)).astype(np.float32)
        chance = image_pool.draw_decisions(jax.random.key(number), batch, size)
        pool, returned = query(pool, images, chance)
        expected = plain.query(
            images, np.asarray(chance.swap), np.asarray(chance.index)
        )
        np.testing.assert_array_equal(returned, expected)
        np.testing.assert_array_equal(
            pool.images[: len(plain.images)], np.stack(plain.images)
        )
        assert int(pool.count) == min(size, batch * (number + 1))


def test_a_later_picture_may_draw_one_of_its_own_batch():
    pool = image_pool.init_pool(1, (1, 1, 1))
    images = jnp.arange(3.0).reshape(3, 1, 1, 1)
    chance = Decisions(jnp.array([False, True, True]), jnp.zeros(3, jnp.int32))
    pool, returned = image_pool.query(pool, images, chance)
    assert returned.ravel().tolist() == [0.0, 0.0, 1.0]
    assert pool.images.ravel().tolist() == [2.0]


def test_size_zero_returns_what_comes():
    pool, images = image_pool.init_pool(0, (1, 1, 1)), jnp.ones((2, 1, 1, 1))
    chance = image_pool.draw_decisions(jax.random.key(0), 2, 0)
    after, returned = image_pool.query(pool, images, chance)
    assert returned is images
    assert after is pool


def test_decisions_are_fair():
    chance = image_pool.draw_decisions(jax.random.key(0), 20_000, 50)
    assert float(chance.swap.mean()) == pytest.approx(0.5, abs=0.02)
    counts = np.bincount(np.asarray(chance.index), minlength=50)
    assert counts.size == 50
    assert counts.min() > 300
