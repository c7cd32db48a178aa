"""Ways to a peer: what each of them may meet at a document, and which statuses say what."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

# Statuses of PS3.7, annex C; PS3.4, B.2.3; PS3.18, I.2 (which takes them over)
_WARNINGS = (0x0001, 0x0107, 0x0116)  # stored, with a remark; and all of 0xBxxx
_DUPLICATE = 0x0111  # stored before: the acknowledgement got lost
_PASSING = (0x0110, 0x0213)  # a failure in processing, of resources; and all of 0xA7xx
_LASTING = (
    0x0105, 0x0106, 0x0112, 0x0117, 0x0118, 0x0120, 0x0121, 0x0122, 0x0211, 0x0212, 0xC122
)  # fmt: skip


class Unreached(Exception):
    """The peer takes nothing just now, and why.

    Attributes:
        answered: whether somebody was there to refuse.
    """

    def __init__(self, why: str, answered: bool = False) -> None:
        super().__init__(why)
        self.answered = answered


class NotTaken(Exception):
    """A document that was not taken, and why.

    Attributes:
        lasting: whether it never will be; None if that is not known.
        facts: for the log.
    """

    def __init__(self, why: str, lasting: bool | None, **facts: Any) -> None:
        super().__init__(why)
        self.lasting, self.facts = lasting, facts


class Route(Protocol):
    """A way to a peer."""

    def send(self, file: Path) -> None:
        """Send a document; once this returns, the peer has it.

        Raises:
            Unreached: if the peer takes nothing just now.
            NotTaken: if it does not take this.
        """


def judge(status: int, **facts: Any) -> None:
    """See what a DICOM status says of a document.

    Raises:
        NotTaken: if it is not stored.
    """
    if not (status in (0, _DUPLICATE, *_WARNINGS) or status >> 12 == 0xB):
        said = f"0x{status:04X}"
        raise NotTaken(f"the peer answered {said}", _is_lasting(status), **facts, status=said)


def _is_lasting(status: int) -> bool | None:
    """Whether a failure's status says that the document will never be taken; None if neither."""
    if status in _PASSING or status >> 8 == 0xA7:
        return False
    return True if status in _LASTING or status >> 8 in (0xA8, 0xA9) else None


def unreadable(error: Exception) -> NotTaken:
    """What is said of a document that cannot be read from this disk."""
    if isinstance(error, OSError):
        return NotTaken("it cannot be read just now", False, errno=error.errno)
    return NotTaken("it is damaged", True, exception=type(error).__name__)
