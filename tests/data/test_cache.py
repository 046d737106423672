"""The cache stays within its bytes, forgets the oldest and survives threads."""

import threading

import numpy as np
import pytest

from stylejax.data.cache import ByteLimitedCache


def kilobyte(value):
    return np.full(1024, value, np.uint8)


def test_the_least_recently_used_goes():
    cache = ByteLimitedCache(3 * 1024)
    for key in "abc":
        cache.put(key, kilobyte(ord(key)))
    assert cache.get("a")[0] == ord("a")  # now b is the oldest
    cache.put("d", kilobyte(0))
    assert cache.get("b") is None
    assert all(cache.get(key) is not None for key in "acd")


def test_what_does_not_fit_is_not_kept():
    cache = ByteLimitedCache(1000)
    cache.put("a", kilobyte(1))
    assert cache.get("a") is None
    ByteLimitedCache(0).put("a", kilobyte(1))


def test_kept_arrays_cannot_be_changed():
    cache = ByteLimitedCache(2048)
    cache.put("a", kilobyte(1))
    with pytest.raises(ValueError, match="read-only"):
        cache.get("a")[0] = 2


def test_the_same_key_counts_once():
    cache = ByteLimitedCache(2048)
    cache.put("b", kilobyte(2))
    for _ in range(5):
        cache.put("a", kilobyte(1))
    assert cache.get("b") is not None


def test_threads_never_see_a_wrong_array():
    cache = ByteLimitedCache(8 * 1024)
    wrong = []

    def work(seed):
        for key in np.random.default_rng(seed).integers(0, 20, 2000):
            found = cache.get(int(key))
            if found is None:
                cache.put(int(key), kilobyte(key))
            elif found[0] != key:
                wrong.append(key)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    held = [key for key in range(20) if cache.get(key) is not None]
    assert 0 < len(held) <= 8
