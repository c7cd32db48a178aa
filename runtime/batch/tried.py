"""Trying a scan: whatever goes wrong with one is a sentence, and costs no other scan."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import TypeVar

from fmtool.errors import FmtoolError
from runtime.batch.inputs import Source
from runtime.batch.wire import Refused
from runtime.scan import called

LASTING = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)
"""What the system says of a path that another attempt will not change."""

_log = logging.getLogger(__name__)
_Outcome = TypeVar("_Outcome")


def tried(source: Source, attempt: Callable[[], _Outcome]) -> _Outcome | Refused:
    """What `attempt` returns, or the sentence that says why it could not."""
    try:
        return attempt()
    except FmtoolError as error:
        return Refused(str(error), is_passing(error))
    except (OSError, MemoryError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        return Refused(f"{called(source)} cannot be read ({why})", True)
    except Exception as error:  # a defect, but one scan's must not cost the others
        # Without the error's own words, which may name the scan.
        where = "".join(traceback.format_tb(error.__traceback__))
        _log.error("a scan met a defect: %s\n%s", type(error).__name__, where)
        return Refused(
            f"{called(source)} met a defect of fmtool ({error!r}); please report it", False
        )


def changed(source: Source) -> Refused:
    """A scan whose bytes are not those that were recorded; the next attempt may find it at rest."""
    return Refused(f"{called(source)} was written to while it was read", True)


def is_passing(error: BaseException) -> bool:
    """Whether the system, not the scan, was the cause: a disk that did not answer, for example."""
    cause: BaseException | None = error
    while cause is not None:
        # Without a number it is a library's word for a damaged file.
        if isinstance(cause, OSError) and cause.errno and not isinstance(cause, LASTING):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
