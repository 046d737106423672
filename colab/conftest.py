"""Notebooks run with tiny settings here; a reader's copy runs with its own."""

import os

os.environ.setdefault("STYLEJAX_NOTEBOOK_STEPS", "4")
