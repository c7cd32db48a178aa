"""Is any single wrong byte of a bundle caught when it is opened?

python -m benchmarks.wrong_bytes [--bundle B] [--samples 2000] [--json FILE]
"""
