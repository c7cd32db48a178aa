"""What opening a bundle with a wrong byte came to."""

from __future__ import annotations

from pathlib import Path

from fmtool import bundle as bundles
from fmtool.errors import BundleError

CAUGHT, HARMLESS, MISSED, CRASHED = "caught", "harmless", "missed", "crashed"

Content = dict[str, bytes]


def content(folder: Path) -> Content:
    """Every file below a folder."""
    found = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in found}


def outcome(path: Path, right: Content) -> str:
    """Refused in a sentence (`CAUGHT`), or opened: with the right content or with another.

    Args:
        path: a bundle's folder or zip.
        right: its content without the wrong byte.
    """
    try:
        with bundles.open(path) as opened:
            names = [bundles.MANIFEST, *opened.manifest.files]
            same = all((opened.path / name).read_bytes() == right.get(name) for name in names)
            return HARMLESS if same and set(names) <= set(right) else MISSED
    except BundleError:
        return CAUGHT
    except Exception:
        return CRASHED
