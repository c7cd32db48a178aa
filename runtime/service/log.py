"""Logs of a service: one JSON object a line, rotated by size, without a patient's identifiers.

An event is a word of its own (`scan_done`) with facts beside it, through Python's `logging`:

    logger = logging.getLogger("fmtool.watch")
    tell(logger, "scan_done", item=digest[:12], seconds=4.2, name="Smith_J.nii.gz")

The facts `name` and `reason` may identify a person, for they may quote a file's name; what becomes
of them is `Identifiers`' to say. A message that is not told so (a library's, a traceback) may quote
anything: of those only the kind and the place are logged, unless identifiers are kept.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import traceback
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from fmtool.errors import InputError
from runtime.ledger.names import Identifiers, pseudonym, site_key
from runtime.service.repeats import FACTS, Repeats

LEVELS = {"fmtool": logging.INFO, "uvicorn": logging.WARNING, "asyncio": logging.WARNING}
"""Whose words go to the log, and from what level on."""

MAX_BYTES = 10 << 20
KEPT_FILES = 5

_EVENT = re.compile(r"[a-z][a-z0-9_]*\Z")


def tell(logger: logging.Logger, event: str, level: int = logging.INFO, /, **facts: Any) -> None:
    """Log an event, a word in snake_case, with its facts (plain data)."""
    logger.log(level, event, extra={FACTS: facts})


def configure(
    file: Path | None = None,
    identifiers: Identifiers = Identifiers.drop,
    max_bytes: int = MAX_BYTES,
    kept: int = KEPT_FILES,
) -> logging.Handler:
    """Send what loggers under "fmtool" tell to a file, or to stderr.

    Args:
        file: rotated at `max_bytes`; the newest `kept` older ones stay beside it, as FILE.1 and so
            on. Made, with its folder, readable by its owner alone.
        identifiers: `hash` replaces a name by a short pseudonym; see `runtime.ledger.names`.

    Raises:
        InputError: if the file cannot be written, or names are to be hashed without a key.
    """
    handler: logging.Handler
    if file is None:
        handler = _Stream(sys.stderr)
    else:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            handler = _File(file, maxBytes=max_bytes, backupCount=kept, encoding="utf-8")
        except OSError as error:
            raise InputError(
                f"cannot write the log {file} ({error.strerror}); name another file"
            ) from None
    handler.setFormatter(JsonLines(identifiers))
    for name, level in LEVELS.items():
        root = logging.getLogger(name)
        for old in list(root.handlers):
            root.removeHandler(old)
            old.close()
        root.addHandler(handler)
        root.setLevel(level)
        root.propagate = False
    return handler


class JsonLines(logging.Formatter):
    """A record as one JSON object: time (UTC), level, event, then the facts."""

    def __init__(self, identifiers: Identifiers) -> None:
        super().__init__()
        self._identifiers = identifiers
        self._key = site_key() if identifiers is Identifiers.hash else b""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        keep = self._identifiers is Identifiers.keep
        told = getattr(record, FACTS, None)
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.msg if _is_event(record.msg) else "message",
        }
        line |= self._allowed(told) if told is not None else {"logger": record.name}
        if line["event"] == "message" and keep:
            line["text"] = record.getMessage()
        if record.exc_info and record.exc_info[0]:
            line["exception"] = record.exc_info[0].__name__
            for frame in traceback.extract_tb(record.exc_info[2])[-1:]:
                line["where"] = f"{Path(frame.filename).name}:{frame.lineno}"
            if keep:
                line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)

    def _allowed(self, facts: dict[str, Any]) -> dict[str, Any]:
        allowed = dict(facts)
        if self._identifiers is not Identifiers.keep:
            allowed.pop("reason", None)
            name = allowed.pop("name", None)
            if name is not None and self._identifiers is Identifiers.hash:
                allowed["name"] = pseudonym(str(name), self._key, 12)
        return allowed


class _Collapsed(logging.Handler):
    """What repeats is counted: a flood of events fills no log."""

    def __init__(self, *args: Any, **words: Any) -> None:
        super().__init__(*args, **words)
        self._repeats = Repeats()

    def handle(self, record: logging.LogRecord) -> bool:
        """Write what is to be written of it."""
        for one in self._repeats.of(record):
            super().handle(one)
        return True

    def close(self) -> None:
        """Write what was counted."""
        for one in self._repeats.rest():
            super().handle(one)
        super().close()


class _Stream(_Collapsed, logging.StreamHandler):  # type: ignore[type-arg]
    """A log to a stream."""


class _File(_Collapsed, RotatingFileHandler):
    """A log that cannot be written (a full disk) is said once, not with a traceback per line."""

    _said = False

    def _open(self) -> Any:
        """The file, for its owner alone, also after a rotation."""
        return open(
            self.baseFilename,
            self.mode,
            encoding=self.encoding,
            opener=lambda path, flags: os.open(path, flags, 0o600),
        )

    def handleError(self, record: logging.LogRecord) -> None:
        """Say it once."""
        if not self._said:
            self._said = True
            print(f"the log cannot be written: {sys.exc_info()[1]}", file=sys.stderr)


def _is_event(message: Any) -> bool:
    return isinstance(message, str) and _EVENT.match(message) is not None
