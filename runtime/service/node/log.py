"""What the node tells its log, and what the DICOM libraries may not.

Patients, studies and series appear only as the hashes that name the files. What pydicom,
pynetdicom and highdicom have to say may quote an object's content, so it is not passed on: of their
errors only the fact that there was one.
"""

from __future__ import annotations

import logging
import warnings
from typing import Any

from runtime.service.log import tell

_LIBRARIES = ("pydicom", "pynetdicom", "highdicom")


logger = logging.getLogger("fmtool.node")


def node_log(event: str, level: int = logging.INFO, /, **facts: Any) -> None:
    """Tell of an event, with its facts."""
    tell(logger, event, level, **facts)


class _Bare(logging.Handler):
    """Passes on that a library reported an error, without its words."""

    def emit(self, record: logging.LogRecord) -> None:
        kind = record.exc_info[0] if record.exc_info else None
        facts = {"exception": kind.__name__} if kind else {}
        node_log("library_error", where=f"{record.name}:{record.lineno}", **facts)


def hush_libraries() -> None:
    """Keep the DICOM libraries' own words out of this process's output, warnings included."""
    for name in _LIBRARIES:
        logger = logging.getLogger(name)
        logger.handlers = [_Bare(logging.ERROR)]
        logger.propagate = False
        warnings.filterwarnings("ignore", module=rf"{name}(\.|$)")
