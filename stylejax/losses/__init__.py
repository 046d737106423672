"""Losses: arrays in, one value per example out.

A loss returns shape (b,): the mean over an example's other axes, unless it says
otherwise. It reads no config and knows no model. Weights and the mean over the batch
belong to the training step. Whatever comes in, the arithmetic is float32.
"""
