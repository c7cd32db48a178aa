"""One module per entry: `ENTRY`, see `benchmarks.fuzz.entry`."""
