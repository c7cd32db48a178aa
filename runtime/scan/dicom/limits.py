"""What a DICOM source may claim before anything is allocated for it, and how long it may take."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from fmtool.errors import InputError

MAX_FILES = 20_000
"""Files in a folder or entries of a zip, of whatever kind; a whole study has a few thousand."""

MAX_DEPTH = 16
"""Folders within folders."""

MAX_FILE_BYTES = 1 << 30
MAX_HEADER_BYTES = 1 << 23
"""Before the pixels; an Enhanced MR object of 350 frames has a few MiB."""

MAX_SEQUENCE_ITEMS = 100_000
"""In one header: each item of a few bytes becomes an object of a kilobyte."""

MAX_FRAMES = 200_000
"""Slices of all the series of a source."""

MAX_ZIP_BYTES = 8 << 30
"""All of a zip's entries, unpacked; they are read one by one and never written anywhere."""

MAX_ZIP_DIRECTORY_BYTES = 1 << 23
MAX_ZIP_RATIO = 100
ZIP_RATIO_FROM_BYTES = 1 << 30
"""Above this size, an archive that unpacks to more than `MAX_ZIP_RATIO` times itself is a bomb."""

MAX_SECONDS = 600.0
"""For one source, from the first file looked at to the last voxel decoded."""


@dataclass(frozen=True)
class Deadline:
    """When the reading of one source is given up."""

    source: str
    end: float = field(default_factory=lambda: time.monotonic() + MAX_SECONDS)

    def check(self) -> None:
        """Raise if the time is up.

        Raises:
            InputError: then.
        """
        if time.monotonic() > self.end:
            raise InputError(
                f"{self.source} was given up: reading its DICOM files took more than "
                f"{MAX_SECONDS:g} seconds; name the folder of one series"
            )
