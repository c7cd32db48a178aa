"""UIDs of what fmtool makes: the same words give the same one."""

from __future__ import annotations

import uuid

_SPACE = uuid.UUID("6fd1a8a3-7f0c-5c1e-9f2b-1d0b7a0f5e11")


def derived(*words: str) -> str:
    """The UID of something that these words name (2.25 and a UUID: PS3.5, B.2).

    The same words give the same: a result that is computed anew after a crash is thereby the same
    object to whom it was sent.
    """
    return f"2.25.{derived_uuid(*words).int}"


def derived_uuid(*words: str) -> uuid.UUID:
    """The UUID of `derived`."""
    return uuid.uuid5(_SPACE, chr(0).join(words))
