"""Cohorts, by `training.cohort.read`.

A CSV, or a BIDS-like folder: participants.tsv, and two tables of sessions.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.fuzz.entry import Entry
from fmtool.errors import FmtoolError
from fmtool.task import AGE, SEX
from training import cohort

_TABLE = b"""image_path,mask_path,label,age,sex,subject,session,site
a.nii.gz,,1,40,F,sub-01,ses-1,x
b.nii.gz,m.nii.gz,0,30.5,M,sub-02,,x
"""
_QUOTED = b'image_path,label\r\n"a.nii.gz",1\r\n"b.nii.gz","0"\r\n'


def _read(table: Path) -> None:
    refused: FmtoolError | None = None
    for task in (AGE, SEX, None):
        try:
            cohort.read(table, task)
        except FmtoolError as error:
            refused = error
    if refused is not None:
        raise refused


def _csv_trial(data: bytes, folder: Path) -> None:
    for name in ("a.nii.gz", "b.nii.gz", "m.nii.gz"):
        (folder / name).write_bytes(name.encode())
    file = folder / "cohort.csv"
    file.write_bytes(data)
    _read(file)


_CELLS = (b"image_path", b"subject", b"session_id", b"../../etc/passwd", b"/dev/zero", b"x" * 4096)
_SIGNS = (b'"', b",", b"\n", b"\r", b"\0", b"nan", b"inf", b"1e999", b"\xef\xbb\xbf", b"\x1b[31m")

CSV = Entry(lambda: [_TABLE, _QUOTED], _csv_trial, _CELLS + _SIGNS)


_BETWEEN = b"\n=====\n"
_PARTICIPANTS = b"participant_id\tage\tsex\tsite\nsub-01\t40\tF\tx\nsub-02\t30\tM\tx\n"
_OF_ALL = b"participant_id\tsession_id\tage\nsub-01\tses-1\t41\nsub-02\tses-1\t31\n"
_OWN = b"session_id\tage\nses-1\t42\nses-2\t43\n"
_PLACES = ("participants.tsv", "sessions.tsv", "sub-01/sub-01_sessions.tsv")
_SCANS = ("sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz", "sub-02/ses-1/anat/sub-02_ses-1_T1w.nii.gz")


def _bids_trial(data: bytes, folder: Path) -> None:
    for name in _SCANS:
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(name.encode())
    for name, table in zip(_PLACES, data.split(_BETWEEN), strict=False):
        (folder / name).write_bytes(table)
    _read(folder)


def _bids_seeds() -> list[bytes]:
    tables = [_PARTICIPANTS, _OF_ALL, _OWN]
    return [_BETWEEN.join(tables[:count]) for count in (1, 2, 3)]


_WORDS = (b"participant_id", b"session_id", b"age", b"sub-", b"ses-", b"../..", b"/", b"*", b"[")
_MARKS = (b"\t", b"\n", b'"', b"\0", b"\r", _BETWEEN, b"nan", b"\x1b[31m", b"\xff")

BIDS = Entry(_bids_seeds, _bids_trial, _WORDS + _MARKS)
