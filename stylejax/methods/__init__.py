"""One file per method; `METHODS` is the one dictionary from name to module."""

from stylejax.methods import cyclegan

METHODS = {"cyclegan": cyclegan}
