"""Change per year: against a slow reference, and what the tables and sidecars of a data set say."""

from __future__ import annotations

import csv
import json
from datetime import datetime, timedelta

import numpy as np
import pytest

from fmtool.errors import InputError
from runtime.bids import change
from runtime.bids.change import SessionScan, repeatability, table

START = datetime(2020, 2, 29)
UNITS = {"age": "years"}


def scan(subject, session, years, value, **made_by):
    when = None if years is None else START + timedelta(days=round(365.25 * years))
    made_by = {"Manufacturer": "A", "EchoTime": 0.003, "suffix": "T1w", **made_by}
    return SessionScan(subject, session, when, {"age": value}, made_by)


def test_a_change_is_found_and_its_interval_holds_as_often_as_it_says():
    rng, held, sd = np.random.default_rng(4), 0, 1.5
    scans = [
        scan(f"sub-{n:03d}", str(year), year, 40 + 0.8 * year + rng.normal(0, sd))
        for n in range(300)
        for year in (0, 1.5, 3)
        for _ in range(1 + (n % 2))  # every other subject was scanned twice a session
    ]
    rows = table(scans, UNITS)
    assert len(rows) == 300
    assert abs(float(rows[0]["retest_sd"]) - sd) < 0.1
    assert rows[0]["retest_freedom"] == "450"
    held = sum(float(row["low"]) <= 0.8 <= float(row["high"]) for row in rows)
    assert 255 <= held <= 285  # of 270 expected
    assert abs(np.mean([float(row["change_per_year"]) for row in rows]) - 0.8) < 0.1
    wide, narrow = (float(rows[n]["high"]) - float(rows[n]["low"]) for n in (0, 1))
    assert wide / narrow == pytest.approx(2**0.5, rel=0.01)
    assert {row["remarks"] for row in rows} == {"n/a"}


def test_two_sessions_by_hand():
    first, second = (START.toordinal(), (START + timedelta(days=731)).toordinal())
    (row,) = table([scan("s", "1", 0, 40.0), scan("s", "2", 2.0, 43.0)], UNITS)
    assert float(row["change_per_year"]) == pytest.approx(
        3 / ((second - first) / 365.25), rel=0.002
    )
    assert row["low"] == row["high"] == row["retest_sd"] == "n/a"  # nothing was repeated
    assert "how well a scan repeats is not known" in row["remarks"]


def test_repeatability_is_that_of_pairs():
    pairs = [(1.0, 2.0), (5.0, 5.0), (7.0, 4.0)]
    scans = [scan(str(n), "1", 0, v) for n, pair in enumerate(pairs) for v in pair]
    sd, freedom = repeatability([*scans, scan("alone", "1", 0, 99.0)], "age")
    assert freedom == 3
    assert sd == pytest.approx(np.sqrt(np.mean([(a - b) ** 2 / 2 for a, b in pairs])))


@pytest.mark.parametrize(
    ("years", "made_by", "said"),
    [
        (1, {"Manufacturer": "B"}, "the scanner changed (Manufacturer)"),
        (1, {"EchoTime": 0.004}, "the protocol changed (EchoTime)"),
        (1, {"RepetitionTime": 2.3}, "the protocol changed (RepetitionTime)"),
        (1, {"suffix": "UNIT1"}, "T1w and UNIT1 images are compared"),
        (None, {}, "1 sessions have no date"),
        (0, {}, "all sessions are of one day"),
    ],
)
def test_what_a_reader_must_see(years, made_by, said):
    (row,) = table([scan("s", "1", 0, 40.0), scan("s", "2", years, 43.0, **made_by)], UNITS)
    assert said in row["remarks"]
    assert (row["change_per_year"] == "n/a") == (not years)


def test_sidecars_that_tell_nothing_are_said():
    bare = [SessionScan("s", n, START, {"age": 1.0}, {"suffix": "T1w"}) for n in "12"]
    (row,) = table(bare, UNITS)
    assert "no sidecar tells the scanner" in row["remarks"]
    assert "no sidecar tells the protocol" in row["remarks"]


@pytest.fixture
def told(raw, kit):
    """Answers of a participant's two sessions."""
    one = "sub-01/ses-1/anat/sub-01_ses-1_acq-mp_run-01_T1w.nii.gz"
    two = "sub-01/ses-2/anat/sub-01_ses-2_run-2_chunk-3_T1w.nii.gz"
    return {
        one: kit.answer(40.0),
        two: kit.answer(42.0),
        "sub-02/anat/sub-02_T1w.nii": kit.answer(),
    }


def written(raw, tmp_path, told):
    (path, dictionary) = change.write(raw, tmp_path, told)
    rows = list(csv.DictReader(path.open(), delimiter="\t"))
    assert list(json.loads(dictionary.read_text())) == list(rows[0])
    return {row["measure"]: row for row in rows}


def test_dates_are_the_scan_s_own_or_its_session_s(raw, told, tmp_path):
    assert "2 sessions have no date" in written(raw, tmp_path, told)["age"]["remarks"]
    (raw / "sub-01/ses-1/sub-01_ses-1_scans.tsv").write_text(
        "filename\tacq_time\nanat/other.nii\t1999-01-01\n"
        "anat/sub-01_ses-1_acq-mp_run-01_T1w.nii.gz\t2020-01-01T10:00:00\n"
    )
    (raw / "sub-01/sub-01_sessions.tsv").write_text(
        "session_id\tacq_time\nses-1\t1990-01-01\nses-2\t2022-01-01T09:00:00.5\n"
    )
    rows = written(raw, tmp_path, told)
    assert set(rows) == {"age", "brain_volume"}  # and no task that tells classes
    assert float(rows["age"]["years"]) == pytest.approx(2.0, abs=0.01)
    assert float(rows["age"]["change_per_year"]) == pytest.approx(1.0, abs=0.01)
    assert (rows["brain_volume"]["unit"], rows["brain_volume"]["change_per_year"]) == ("mL", "0")


def test_sidecars_are_inherited(raw, told, tmp_path):
    (raw / "T1w.json").write_text('{"Manufacturer": "A", "EchoTime": 0.003}')
    remarks = written(raw, tmp_path, told)["age"]["remarks"]
    assert "changed" not in remarks
    (raw / "sub-01/ses-2/anat/sub-01_ses-2_T1w.json").write_text('{"Manufacturer": "B"}')
    (raw / "sub-01/ses-2/anat/sub-01_ses-2_run-9_T1w.json").write_text('{"EchoTime": 9}')
    assert "the scanner changed (Manufacturer)" in written(raw, tmp_path, told)["age"]["remarks"]
    (raw / "T1w.json").write_text("{")
    with pytest.raises(InputError, match="no JSON"):
        change.write(raw, tmp_path, told)
    (raw / "T1w.json").unlink()
    (raw / "sub-01/sub-01_sessions.tsv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        change.write(raw, tmp_path, told)


def test_without_several_sessions_there_is_no_table(raw, told, tmp_path):
    written(raw, tmp_path, told)
    alone = {path: one for path, one in told.items() if "ses-1" not in path}
    assert change.write(raw, tmp_path, alone) == []
    assert not list(tmp_path.glob("group_change*"))
