"""Weights that ship or are found, and the safe readers for their files."""
