"""What the node tells its log, and what the DICOM libraries may not.

Patients, studies and series appear only as the hashes that name the files. What pydicom,
pynetdicom and highdicom have to say may quote an object's content, so it is not passed on: of their
errors only the fact that there was one.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

from runtime.service.log import tell

Log = Callable[..., None]
"""`log("quarantined", series=...)`: the event's name, then its facts."""

_LIBRARIES = ("pydicom", "pynetdicom", "highdicom")


def node_log(event: str, **facts: Any) -> None:
    """The `Log` of a service: through Python's logging, as `runtime.service.log` formats it."""
    tell(logging.getLogger("fmtool.node"), event, **facts)


class _Bare(logging.Handler):
    """Passes on that a library reported an error, without its words."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.ERROR)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        kind = record.exc_info[0] if record.exc_info else None
        facts = {"exception": kind.__name__} if kind else {}
        self._log("library_error", where=f"{record.name}:{record.lineno}", **facts)


def hush_libraries(log: Log) -> None:
    """Keep the DICOM libraries' own words out of this process's output, warnings included."""
    for name in _LIBRARIES:
        logger = logging.getLogger(name)
        logger.handlers = [_Bare(log)]
        logger.propagate = False
        warnings.filterwarnings("ignore", module=rf"{name}(\.|$)")
