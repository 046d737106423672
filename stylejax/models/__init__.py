"""Flax modules, one architecture a file."""
