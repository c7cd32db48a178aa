"""What a scan costs, and what a million a day would take; `python -m benchmarks.scale`."""
