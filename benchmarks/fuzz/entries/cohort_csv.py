"""Cohorts as CSV: `training.cohort.read`."""

from __future__ import annotations

from pathlib import Path

from benchmarks.fuzz.entry import Entry
from fmtool.task import AGE, SEX
from training import cohort

_TABLE = b"""image_path,mask_path,label,age,sex,subject,session,site
a.nii.gz,,1,40,F,sub-01,ses-1,x
b.nii.gz,m.nii.gz,0,30.5,M,sub-02,,x
"""
_QUOTED = b'image_path,label\r\n"a.nii.gz",1\r\n"b.nii.gz","0"\r\n'


def _trial(data: bytes, folder: Path) -> None:
    for name in ("a.nii.gz", "b.nii.gz", "m.nii.gz"):
        (folder / name).write_bytes(name.encode())
    file = folder / "cohort.csv"
    file.write_bytes(data)
    refused: BaseException | None = None
    for task in (AGE, SEX, None):
        try:
            cohort.read(file, task)
        except ENTRY.refusals as error:
            refused = error
    if refused is not None:
        raise refused


_WORDS = (b"image_path", b"subject", b"session_id", b"../../etc/passwd", b"/dev/zero", b"x" * 4096)
_MARKS = (b'"', b",", b"\n", b"\r", b"\0", b"nan", b"inf", b"1e999", b"\xef\xbb\xbf", b"\x1b[31m")

ENTRY = Entry(lambda: [_TABLE, _QUOTED], _trial, _WORDS + _MARKS)
