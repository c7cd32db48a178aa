"""Fuzzing of everything that reads what others made: `python -m benchmarks.fuzz ENTRY`."""
