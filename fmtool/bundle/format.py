"""The version of a bundle's format, MAJOR.MINOR.PATCH, and how older manifests are read.

A major version is one that older readers would misread: they refuse it. A minor one adds fields
that a reader may leave aside, so either side of it reads the other; what is absent from an older
manifest is filled in by `manifest.Manifest`, and no other file asks for a version. A patch changes
words alone.
`docs/bundle.md` has a line per version.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from fmtool.errors import BundleError

FORMAT = "1.9.0"
"""What is written; the field `format` of the manifest."""

_NUMBERED = re.compile(r"(\d{1,4})\.(\d{1,4})\.(\d{1,4})")


def version(found: object) -> tuple[int, int, int] | None:
    """The version that a manifest's `format` names; None if it names none.

    1.0 to 1.2 wrote the number 1.
    """
    if isinstance(found, int) and not isinstance(found, bool):
        return found, 0, 0
    numbers = _NUMBERED.fullmatch(found) if isinstance(found, str) else None
    return (int(numbers[1]), int(numbers[2]), int(numbers[3])) if numbers else None


def is_read(found: object) -> bool:
    """Whether this fmtool reads manifests whose `format` is `found`."""
    theirs, ours = version(found), version(FORMAT)
    return theirs is not None and ours is not None and theirs[0] == ours[0]


MANIFEST = "manifest.json"
MAX_BYTES = 4 << 30
"""No file of a bundle, and no unzipped bundle, may be larger: checked before reading."""


def inside(name: str) -> PurePosixPath:
    """`name` as a relative path that stays inside its folder.

    Raises:
        BundleError: if it is none.
    """
    path = PurePosixPath(name)
    fine = path.parts and not path.is_absolute() and ".." not in path.parts
    if not fine or "\\" in name or not name.isprintable():
        raise BundleError(f"a bundle may not name the path {name!r:.60}")
    return path
