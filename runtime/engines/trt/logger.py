"""What TensorRT says while it works: to Python's logging, or into the error that it leads to."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

_log = logging.getLogger("fmtool.tensorrt")
_listeners: dict[str, Any] = {}


@dataclass
class LogRecord:
    """The messages of one piece of work: (level of Python's logging, text), in order."""

    messages: list[tuple[int, str]] = field(default_factory=list)

    @property
    def errors(self) -> list[str]:
        """The errors among them."""
        return [text for level, text in self.messages if level >= logging.ERROR]

    def reason(self) -> str:
        """The errors as the end of a sentence, each said once."""
        return "; ".join(dict.fromkeys(map(str.strip, self.errors))) or "it gives no reason"


@contextmanager
def listen(trt: Any) -> Iterator[tuple[Any, LogRecord]]:
    """A logger to hand to the library, and what it hears until the block ends.

    The block raises what the library's errors amount to; then they are in its exception and are
    logged for debugging only. Errors that did not stop it are logged as such when it ends.

    The library keeps a pointer to the first logger it is given for as long as the process lives,
    so there is one per library and it is never released.
    """
    if trt.__name__ not in _listeners:
        _listeners[trt.__name__] = _listener(trt)
    listener = _listeners[trt.__name__]
    before, listener.record = listener.record, LogRecord()
    record = listener.record
    level = logging.DEBUG
    try:
        yield listener, record
        level = logging.ERROR
    finally:
        listener.record = before
        for text in record.errors:
            _log.log(level, "%s", text)


def _listener(trt: Any) -> Any:
    severity = trt.ILogger.Severity
    levels = {
        severity.INTERNAL_ERROR: logging.ERROR,
        severity.ERROR: logging.ERROR,
        severity.WARNING: logging.WARNING,
        severity.INFO: logging.INFO,
    }

    class Listener(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)  # the bindings' classes know no super()
            self.record: LogRecord | None = None

        def log(self, severity: Any, msg: str) -> None:
            level = levels.get(severity, logging.DEBUG)
            if self.record is not None:
                self.record.messages.append((level, msg))
            if self.record is None or level < logging.ERROR:
                _log.log(level, "%s", msg)

    return Listener()
