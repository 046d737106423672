"""Arrays kept in memory up to a number of bytes."""

import collections
import threading

import numpy as np


class ByteLimitedCache:
    """Arrays by key; beyond its size the least recently used go. Thread-safe."""

    def __init__(self, max_bytes: int):
        self._max_bytes = max_bytes
        self._bytes = 0
        self._items: collections.OrderedDict = collections.OrderedDict()
        self._lock = threading.Lock()

    def get(self, key):
        """The array under `key`, or None."""
        with self._lock:
            if key not in self._items:
                return None
            self._items.move_to_end(key)
            return self._items[key]

    def put(self, key, array: np.ndarray) -> None:
        """Keeps `array`, read-only from now on, if it fits at all."""
        if array.nbytes > self._max_bytes:
            return
        array.flags.writeable = False
        with self._lock:
            if key in self._items:
                return
            self._items[key] = array
            self._bytes += array.nbytes
            while self._bytes > self._max_bytes:
                self._bytes -= self._items.popitem(last=False)[1].nbytes
