"""Notebooks run with tiny settings here; a reader's copy runs with its own."""

import os

os.environ.setdefault("STYLEJAX_NOTEBOOK_STEPS", "4")

# A notebook's text twin is no module: importing it for its doctests would run it.
collect_ignore_glob = ["*.py"]
