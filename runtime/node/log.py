"""One JSON object a line: what happened, never to whom.

Patients, studies and series appear only as the hashes that name the files. What pydicom,
pynetdicom and highdicom have to say may quote an object's content, so it is not passed on: of
pynetdicom's errors only the fact that there was one.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO

Log = Callable[..., None]
"""`log("stored", series=..., instances=3)`; the event's name, then its facts."""


class JsonLog:
    """A `Log` that writes to a stream, one line at a time from any thread."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._lock = threading.Lock()

    def __call__(self, event: str, **facts: Any) -> None:
        """Write one line; `event` in snake_case."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, "event": event, **facts})
        with self._lock:
            self._stream.write(line + "\n")
            self._stream.flush()


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
    """Keep the DICOM libraries' own words out of this process's log, warnings included."""
    for name in ("pydicom", "pynetdicom", "highdicom"):
        logger = logging.getLogger(name)
        logger.handlers = [_Bare(log)]
        logger.propagate = False
    for module in ("pydicom", "pynetdicom", "highdicom"):
        warnings.filterwarnings("ignore", module=rf"{module}(\.|$)")
