"""What fmtool costs and how far it is from its references."""

import os

import fmtool  # noqa: F401 - its `environment`, before any library
from fmtool.environment import caches

# Matplotlib's fonts go where fmtool's other caches go; whoever named a place keeps it.
os.environ.setdefault("MPLCONFIGDIR", str(caches.folder("matplotlib")))
