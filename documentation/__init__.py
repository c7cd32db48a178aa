"""The documentation's site: the pages that are made from the code, its figures and recordings."""

import fmtool  # noqa: F401 - its `environment`, before any library
