"""Cohorts as a BIDS-like folder: participants.tsv, and two tables of sessions."""

from __future__ import annotations

from pathlib import Path

from benchmarks.fuzz.entry import Entry
from fmtool.task import AGE, SEX
from training import cohort

_BETWEEN = b"\n=====\n"
_PARTICIPANTS = b"participant_id\tage\tsex\tsite\nsub-01\t40\tF\tx\nsub-02\t30\tM\tx\n"
_OF_ALL = b"participant_id\tsession_id\tage\nsub-01\tses-1\t41\nsub-02\tses-1\t31\n"
_OWN = b"session_id\tage\nses-1\t42\nses-2\t43\n"
_PLACES = ("participants.tsv", "sessions.tsv", "sub-01/sub-01_sessions.tsv")
_SCANS = ("sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz", "sub-02/ses-1/anat/sub-02_ses-1_T1w.nii.gz")


def _trial(data: bytes, folder: Path) -> None:
    for name in _SCANS:
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(name.encode())
    for name, table in zip(_PLACES, data.split(_BETWEEN), strict=False):
        (folder / name).write_bytes(table)
    refused: BaseException | None = None
    for task in (AGE, SEX, None):
        try:
            cohort.read(folder, task)
        except ENTRY.refusals as error:
            refused = error
    if refused is not None:
        raise refused


def _seeds() -> list[bytes]:
    tables = [_PARTICIPANTS, _OF_ALL, _OWN]
    return [_BETWEEN.join(tables[:count]) for count in (1, 2, 3)]


_WORDS = (b"participant_id", b"session_id", b"age", b"sub-", b"ses-", b"../..", b"/", b"*", b"[")
_MARKS = (b"\t", b"\n", b'"', b"\0", b"\r", _BETWEEN, b"nan", b"\x1b[31m", b"\xff")

ENTRY = Entry(_seeds, _trial, _WORDS + _MARKS)
