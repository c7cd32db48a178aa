"""A watch folder under load; `python -m benchmarks.soak`."""

SETTLE_S = 1.0
"""Seconds without a change until the watch takes an input."""
