"""Change per year of participants with several sessions, its interval from measured repeatability.

The error of one scan is measured in the data set itself: the spread of a session's repeated scans,
pooled over all sessions that have several (Bland and Altman, 1996). The change is the slope of a
line through the sessions' means; its interval is Student's, of that error alone.
"""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from fmtool import NOTICE
from fmtool.errors import InputError
from runtime.bids.names import HeadName
from runtime.system.atomic import write_bytes
from runtime.trust.repeatability import pooled

TABLE = "group_change"
LEVEL = 0.9
_EMPTY = "n/a"
_YEAR_DAYS = 365.25
_MOST_BYTES = 16 << 20
_VOLUME = "brain_volume"
_SCANNER = ("Manufacturer", "ManufacturersModelName", "DeviceSerialNumber", "MagneticFieldStrength")
_PROTOCOL = (
    "SoftwareVersions", "ReceiveCoilName", "PulseSequenceType", "MRAcquisitionType",
    "RepetitionTime", "EchoTime", "InversionTime", "FlipAngle", "ParallelReductionFactorInPlane",
)  # fmt: skip
_COLUMNS = {
    "participant_id": "The participant.",
    "measure": "What was measured: a task of the bundle, or the volume of the brain mask.",
    "unit": "Unit of the measure.",
    "sessions": "Sessions with an answer and a date.",
    "years": "From the first of them to the last.",
    "change_per_year": "Slope of a line through the sessions' means, each weighted by its scans.",
    "low": "Lower limit of its interval, by the error of a scan alone.",
    "high": "Upper limit.",
    "level": "Level of the interval.",
    "retest_sd": "Standard deviation of a scan, pooled over sessions with several scans; without "
    "such sessions there is no interval. What differs between visits only, such as how the head "
    "lies, is not in it.",
    "retest_freedom": "Its degrees of freedom.",
    "remarks": f"What a reader must see beside the change. {NOTICE}",
}


@dataclass(frozen=True)
class SessionScan:
    """One answered scan: whose, of which session, when, its measures, and how it was made."""

    subject: str
    session: str
    when: datetime | None
    values: dict[str, float]
    made_by: Mapping[str, Any]


def write(raw: Path, folder: Path, told: Mapping[str, Mapping[str, Any]]) -> list[Path]:
    """Write `group_change.tsv` and its dictionary, if a participant has several sessions.

    Args:
        raw: the data set of raw data, whose tables have the dates and whose sidecars the scanner.
        folder: of its derivatives.
        told: results by their scan's path in the data set.

    Raises:
        InputError: if a table or sidecar cannot be read, or a file cannot be written.
    """
    paths = [folder / f"{TABLE}.tsv", folder / f"{TABLE}.json"]
    units = {
        task: str(value["unit"])
        for one in told.values()
        for task, value in one["values"].items()
        if value["kind"] == "regression"
    } | {_VOLUME: "mL"}
    scans = [_scan(raw, HeadName.of(Path(path)), one, units) for path, one in told.items()]
    rows = table(scans, units)
    if not rows:
        for path in paths:  # of an earlier run
            path.unlink(missing_ok=True)
        return []
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [*_COLUMNS], delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(paths[0], stream.getvalue().encode())
    described = {column: {"Description": text} for column, text in _COLUMNS.items()}
    write_bytes(paths[1], (json.dumps(described, indent=2) + "\n").encode())
    return paths


def table(scans: Sequence[SessionScan], units: Mapping[str, str]) -> list[dict[str, str]]:
    """A row per measure of each participant with several sessions.

    Args:
        scans: all of the data set, also those that only tell how well a scan repeats.
        units: by measure.
    """
    by_subject: dict[str, dict[str, list[SessionScan]]] = defaultdict(lambda: defaultdict(list))
    for scan in scans:
        by_subject[scan.subject][scan.session].append(scan)
    rows = []
    for measure, unit in units.items():
        sd, freedom = repeatability(scans, measure)
        for subject, sessions in by_subject.items():
            if len(sessions) > 1:
                row = {"participant_id": subject, "measure": measure, "unit": unit}
                rows.append(row | _row([*sessions.values()], measure, sd, freedom))
    return sorted(rows, key=lambda row: row["participant_id"])


def repeatability(scans: Sequence[SessionScan], measure: str) -> tuple[float, int]:
    """The standard deviation of one scan, and its degrees of freedom: 0 if nothing was repeated."""
    known = [scan for scan in scans if measure in scan.values]
    visits = [f"{scan.subject}/{scan.session}" for scan in known]
    squares, freedom = pooled([scan.values[measure] for scan in known], visits)
    return (float(np.sqrt(squares / freedom)) if freedom else 0.0), freedom


def _row(
    sessions: Sequence[Sequence[SessionScan]], measure: str, sd: float, freedom: int
) -> dict[str, str]:
    remarks = _changes(sessions)
    dated = []  # days since the epoch, mean, scans
    for scans in sessions:
        values = [scan.values[measure] for scan in scans if measure in scan.values]
        days = [scan.when.toordinal() for scan in scans if scan.when is not None]
        if values and days:
            dated.append((float(np.mean(days)), float(np.mean(values)), len(values)))
    if len(dated) < len(sessions):
        remarks.append(
            f"{len(sessions) - len(dated)} sessions have no date: no acq_time in scans.tsv or "
            "sessions.tsv"
        )
    found = {"sessions": str(len(dated))}
    if freedom:
        found |= {"retest_sd": f"{sd:.6g}", "retest_freedom": str(freedom)}
    else:
        remarks.append("no session has several scans: how well a scan repeats is not known")
    times, means, weights = np.array(dated).reshape(-1, 3).T
    years = times / _YEAR_DAYS
    if len(dated) > 1 and np.ptp(years) > 0:
        centred = years - np.average(years, weights=weights)
        spread = float(np.sum(weights * centred**2))
        level = np.average(means, weights=weights)
        slope = float(np.sum(weights * centred * (means - level)) / spread)
        found |= {"years": f"{np.ptp(years):.4g}", "change_per_year": f"{slope:.6g}"}
        if freedom:
            half = float(student.ppf(0.5 + LEVEL / 2, freedom)) * sd / spread**0.5
            found |= {"low": f"{slope - half:.6g}", "high": f"{slope + half:.6g}"}
            found["level"] = str(LEVEL)
    elif len(dated) > 1:
        remarks.append("all sessions are of one day")
    found["remarks"] = "; ".join(remarks)
    return {column: found.get(column) or _EMPTY for column in [*_COLUMNS][3:]}


def _changes(sessions: Sequence[Sequence[SessionScan]]) -> list[str]:
    """What the sidecars say of scanner and protocol, where it is not the same throughout."""
    every = [scan.made_by for scans in sessions for scan in scans]
    remarks = []
    for what, keys in (("scanner", _SCANNER), ("protocol", _PROTOCOL)):
        known = [key for key in keys if any(key in one for one in every)]
        differ = [k for k in known if len({json.dumps(one.get(k)) for one in every}) > 1]
        if differ:
            remarks.append(f"the {what} changed ({', '.join(differ)})")
        elif not known:
            remarks.append(f"no sidecar tells the {what}: it may have changed")
    if len({str(one["suffix"]) for one in every}) > 1:
        remarks.append("T1w and UNIT1 images are compared")
    return remarks


def _scan(
    raw: Path, head: HeadName, told: Mapping[str, Any], units: Mapping[str, str]
) -> SessionScan:
    values = {
        task: float(value["value"]) for task, value in told["values"].items() if task in units
    }
    if (volume := told.get("facts", {}).get("brain_volume_ml")) is not None:
        values[_VOLUME] = float(volume)
    session = head.entities.get("ses", "")
    made_by = {**_sidecar(raw, head), "suffix": head.suffix}
    return SessionScan(head.subject, session, _date(raw, head), values, made_by)


def _date(raw: Path, head: HeadName) -> datetime | None:
    """When a scan was made: its own row in scans.tsv, or its session's in sessions.tsv."""
    session = head.entities.get("ses")
    label = f"ses-{session}"
    places = [head.subject, *([label] if session else [])]
    folder = raw.joinpath(*places)
    within = head.path.removeprefix("/".join(places) + "/")
    for path, column, value in (
        (folder / f"{'_'.join(places)}_scans.tsv", "filename", within),
        (raw / head.subject / f"{head.subject}_sessions.tsv", "session_id", label),
    ):
        for row in _rows(path):
            if row.get(column) == value:
                try:
                    return datetime.fromisoformat(row.get("acq_time") or "")
                except ValueError:
                    break
    return None


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    try:
        return list(csv.DictReader(io.StringIO(_text(path)), delimiter="\t"))
    except csv.Error as error:
        raise InputError(f"{path} is no table ({error}); check it") from None


def _sidecar(raw: Path, head: HeadName) -> dict[str, Any]:
    """What the sidecars of a scan say, the nearest last (BIDS' inheritance principle)."""
    told: dict[str, Any] = {}
    folder = raw
    for part in ("", *head.path.split("/")[:-1]):
        folder = folder / part
        for path in sorted(folder.glob(f"*{head.suffix}.json"), key=lambda p: len(p.name)):
            of = HeadName.of(Path(path.name))
            if of.suffix == head.suffix and of.entities.items() <= head.entities.items():
                try:
                    found = json.loads(_text(path))
                except (ValueError, RecursionError):
                    raise InputError(f"{path} is no JSON; mend it, or remove it") from None
                told |= found if isinstance(found, dict) else {}
    return told


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path} is larger than any table or sidecar of a data set; check it")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise InputError(f"{path} cannot be read ({why}); check it") from None
