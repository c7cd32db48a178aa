"""The real heads that the benchmarks run on, and where they are.

They are parted in two halves by subject: ranges are measured on one, checks judged on the other.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path

DEFAULT = Path(
    os.environ.get("FMTOOL_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")
)

SETS = {"raw": "raw/*_T1w.nii.gz", "ixi2mm": "ixi2mm/*_ds.nii.gz", "cohort": "cohort/*_T1w.nii.gz"}
"""Set name -> glob: whole heads of two sites, whole heads at 2 mm, skull-stripped heads."""


def find(folder: Path | None = None, sets: tuple[str, ...] = tuple(SETS)) -> list[Path]:
    """The heads of `sets`, in order.

    Args:
        folder: where the sets are; FMTOOL_TEST_DATA or the default place when absent.
        sets: names out of `SETS`.

    Raises:
        FileNotFoundError: if there is none.
    """
    root = folder or DEFAULT
    heads = [path for name in sets for path in sorted(root.glob(SETS[name]))]
    if not heads:
        raise FileNotFoundError(f"no real heads below {root}; set FMTOOL_TEST_DATA")
    return heads


def label(path: Path) -> str:
    """A head's name in tables: its set and its file, without the suffix."""
    return f"{path.parent.name}/{path.name.split('.')[0]}"


MEASURED, JUDGED = 0, 1


def half(path: Path) -> int:
    """Which half a head belongs to: by its name alone, and each head is another subject's."""
    return zlib.crc32(label(path).encode()) % 2


def of_half(which: int, folder: Path | None = None) -> list[Path]:
    """The real heads of one half, in order."""
    return [path for path in find(folder) if half(path) == which]
