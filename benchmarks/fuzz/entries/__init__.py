"""The entries, by what they read; see `benchmarks.fuzz.entry`."""
