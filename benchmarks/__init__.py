"""What fmtool costs and how far it is from its references."""

import fmtool  # noqa: F401 - its `environment`, before any library
