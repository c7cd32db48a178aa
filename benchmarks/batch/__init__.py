"""`fmtool predict --out`, measured; `python -m benchmarks.batch`."""

import sys

PREDICT = (sys.executable, "-m", "fmtool", "predict")
"""The command."""
