"""Columns of a table, as a data dictionary describes them: BIDS's JSON beside a table."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

_ENTITY = re.compile(r"(?:^|[_/])(sub|ses|run)-([A-Za-z0-9+]+)")

SUFFIX = "_T1w"
"""BIDS's, which says what a file shows and not of whom."""


@dataclass(frozen=True)
class TableColumn:
    """What a column holds.

    Attributes:
        description: in a sentence.
        units: of its numbers; empty where they have none.
        levels: its words, with what each means.
        kind: of its cells: str, float, bool, or list of words.
    """

    description: str
    units: str = ""
    levels: Mapping[str, str] = field(default_factory=dict)
    kind: type = str

    def to_dict(self) -> dict[str, Any]:
        """As a BIDS sidecar says it."""
        said: dict[str, Any] = {"Description": self.description}
        if self.units:
            said["Units"] = self.units
        if self.levels:
            said["Levels"] = dict(self.levels)
        return said


WHO = {
    "participant_id": TableColumn("The participant, by the scan's path or its table."),
    "session_id": TableColumn("The session; empty where path and table name none."),
    "run": TableColumn("The run of the session; empty where the path names none."),
}
"""Whom a row is of, in the words that BIDS's own tables use: what tables are merged by."""


def who(scan: str) -> dict[str, str]:
    """`WHO` of a scan by its path: BIDS's entities, else its file's name as the participant."""
    path = PurePath(scan.replace("\\", "/"))
    said: dict[str, str] = {}
    for part in (path.name, *reversed(path.parts[:-1])):  # the name's word before the folders'
        for key, value in _ENTITY.findall(part):
            said.setdefault(key, value)
    name = path.parent.name if path.name == "normalized.nii.gz" else path.name
    return {
        "participant_id": f"sub-{said['sub']}" if "sub" in said else _plain(name),
        "session_id": f"ses-{said['ses']}" if "ses" in said else "",
        "run": said.get("run", ""),
    }


def _plain(name: str) -> str:
    """A file's name without its endings, of letters that no spreadsheet reads anything into."""
    stem = name.partition(".")[0].removesuffix(SUFFIX)
    return re.sub(r"[^\w.+-]", "_", stem).lstrip("+-") or "scan"


def dictionary(columns: Mapping[str, TableColumn]) -> bytes:
    """The data dictionary, as a JSON file."""
    told = {name: column.to_dict() for name, column in columns.items()}
    return (json.dumps(told, indent=2, ensure_ascii=False) + "\n").encode()
