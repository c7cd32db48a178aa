"""What the files of a bundle may be called, and how large they may be."""

from __future__ import annotations

from pathlib import PurePosixPath

from fmtool.errors import BundleError

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
