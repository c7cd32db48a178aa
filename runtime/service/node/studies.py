"""Which reports a study has had from this node, so that a later one can name them.

studies/STUDY       the names of the answers to its series, in their order
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from pydicom.dataset import Dataset

from runtime.system.atomic import write_bytes

_FOLDER = "studies"


def earlier(source: Path, first: Dataset, name: str) -> list[str]:
    """The names of the answers that came before this one; this one is noted.

    Args:
        source: a series' folder in the inbox.
        first: the header of one of its objects.
        name: of this answer; one that is made again after a crash gets the same.

    Raises:
        OSError: if it cannot be noted.
    """
    study = f"{first.StudyInstanceUID}\0{first.PatientID or ''}"
    place = source.parents[1] / _FOLDER
    place.mkdir(exist_ok=True)
    file = place / hashlib.sha256(study.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    noted = file.read_text().split() if file.exists() else []
    if name in noted:
        return noted[: noted.index(name)]
    write_bytes(file, "\n".join([*noted, name]).encode())
    return noted


def sweep(inbox: Path, days: float) -> None:
    """Forget the studies to which nothing came for so long."""
    for file in (inbox / _FOLDER).glob("*"):
        if file.stat().st_mtime < time.time() - days * 86400:
            file.unlink()
