"""Metrics: arrays in, numbers out. What they measure is never trained on here.

Metrics of pictures return one value per example, so that intervals over the examples
can be stated; a metric that returns less says so.
"""
