"""Whom a scan shows, by its path: BIDS's `sub-XX`, and the file names of data sets that many use.

A scan's name often holds a visit or a series beside the person. Two visits are two scans of one
person, whom every split must keep together.
"""

from __future__ import annotations

import re
from pathlib import Path

_BIDS = re.compile(r"sub-[A-Za-z0-9]+")
_DATA_SETS = (
    r"OAS[12]_\d{4}",  # OASIS-1 and 2: OAS1_0001_MR1
    r"OAS3\d{4}",  # OASIS-3: OAS30001_MR_d0129
    r"\d{3}_S_\d{4,5}",  # ADNI: 002_S_0295
    r"IXI\d{3}",  # IXI012-HH-1211-T1
    r"CC\d{6}",  # Cam-CAN
    r"HC[AD]\d{7}",  # HCP Aging, Development: HCA6002236_V1_MR
    r"NDARINV[A-Z0-9]{8}",  # ABCD
    r"A000\d{5}",  # NKI Rockland
    r"\d{7}(?=_2025\d_\d_\d)",  # UK Biobank: 1234567_20252_2_0
)
_KNOWN = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(_DATA_SETS)})(?![A-Za-z0-9])")


def person(subject: str) -> str:
    """Whom a table's cell names: without the visit, where it is a known data set's name of one."""
    match = _KNOWN.match(subject)
    return match.group() if match else subject


def subject_of(image: Path) -> str | None:
    """The person whom the file's name, or else the innermost folder that does, names."""
    for part in reversed(image.parts):
        if match := _BIDS.match(part) or _KNOWN.search(part):
            return match.group()
    return None
