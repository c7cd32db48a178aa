"""Task files: `fmtool.task.get`."""

from __future__ import annotations

from pathlib import Path

from benchmarks.fuzz.entry import Entry
from fmtool import task

_REGRESSION = b"""name = "gap"\nkind = "regression"\nunit = "years"\nlabel = "gap"
valid_range = [-40.0, 40.0]\n"""
_BINARY = b"""name = "mci"\nkind = "binary"\nlabel = "dx"\nclasses = ["CN", "MCI"]\n"""


def _trial(data: bytes, folder: Path) -> None:
    file = folder / "task.toml"
    file.write_bytes(data)
    found = task.get(str(file))
    for cell in ("", "1", "nan", "CN", "1e999", "-3", "\0"):
        try:
            found.parse_label(cell)
        except ENTRY.refusals:
            continue


_WORDS = (
    b"nan",
    b"inf",
    b"1e999",
    b"true",
    b"\\u0000",
    b"[[x]]",
    b"x.y",
    b"1979-05-27",
    b"0x",
    b"1_0",
)
_MARKS = (b"[", b"]", b"[" * 300, b'"""', b"'", b"-", b"= {", b"\xef\xbb\xbf", b"\x85", b"9" * 5000)

TOML = _WORDS + _MARKS
"""What to try in TOML."""

ENTRY = Entry(lambda: [_REGRESSION, _BINARY], _trial, TOML)
