"""Preparing a cohort: once, in any number of processes, whatever happens to one scan or process."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest

from fmtool import bundle as bundles
from fmtool import space
from fmtool.errors import CapabilityError, FmtoolError, InputError, UsageError
from fmtool.task import AGE
from training import cohort
from training.store import prepare_worker, quality_table, turboprep
from training.store.prepare import attempt, prepare, usable

GOOD = 5


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Five volumes on the model's grid, and, on line 4, one that is not."""
    folder = tmp_path_factory.mktemp("cohort")
    mask = np.zeros(space.GRID_SHAPE, np.uint8)
    mask[60:90, 60:90, 60:90] = 1
    nib.save(nib.Nifti1Image(mask, space.grid_affine()), folder / "mask.nii")
    lines = ["image_path,mask_path,label,subject"]
    for i in range(GOOD + 1):
        volume = mask * np.uint8(i + 1) if i != 2 else mask[50:80, 50:80, 50:80]
        nib.save(nib.Nifti1Image(volume, space.grid_affine()), folder / f"{i}.nii")
        lines.append(f"{i}.nii,mask.nii,{20 + i},{i}")
    (folder / "cohort.csv").write_text("\n".join(lines) + "\n")
    return folder / "cohort.csv"


@pytest.fixture(scope="module")
def opened():
    with bundles.open() as bundle:
        yield bundle


def written(store):
    return {p: p.stat().st_mtime_ns for p in Path(store).glob("*/facts.json")}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("jobs", [1, 2])
def test_one_bad_scan_costs_no_other_and_nothing_is_done_twice(table, opened, tmp_path, jobs):
    read = cohort.read(table, AGE)
    outcome = attempt(read, tmp_path, opened, jobs)
    ((line, problem),) = outcome.problems
    assert line == 4
    assert "2.nii is listed as a prepared volume but is not on the" in problem
    for i, entry in enumerate(outcome.entries):
        if i == 2:
            assert entry is None
        else:
            assert entry.volume.max() == i + 1
            assert entry.mask.sum() == 27000
    done = written(tmp_path)
    assert len(done) == GOOD
    again = attempt(read, tmp_path, opened, jobs, anew=True)
    assert [e and e.facts for e in again.entries] == [e and e.facts for e in outcome.entries]
    assert written(tmp_path) == done
    with pytest.raises(InputError, match=r"cohort\.csv lists scans .*: line 4: .*2\.nii"):
        prepare(read, tmp_path, opened)


def test_a_defect_costs_its_own_scan_only(table, opened, tmp_path, monkeypatch, caplog):
    real = turboprep.read

    def fail(image, mask):
        if image.name == "1.nii":
            raise RuntimeError("unforeseen")
        return real(image, mask)

    monkeypatch.setattr(turboprep, "read", fail)
    read = cohort.read(table, AGE)
    read = replace(read, rows=read.rows[:2])
    outcome = attempt(read, tmp_path, opened)
    assert [entry is not None for entry in outcome.entries] == [True, False]
    assert "1.nii met a defect of fmtool (RuntimeError('unforeseen'))" in outcome.problems[0][1]
    assert "Traceback" in caplog.text


def test_raw_scans_share_one_preprocessor(table, opened, tmp_path, monkeypatch):
    made = []

    class Fake:
        def __init__(self, bundle):
            made.append(bundle)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            made.append("closed")

        def run(self, scan):
            raise InputError(f"{scan.path.name} shows no brain")

    monkeypatch.setattr(prepare_worker, "Preprocessor", Fake)
    read = cohort.read(table, AGE)
    raw = replace(read, rows=[replace(row, mask=None) for row in read.rows[:2]])
    outcome = attempt(raw, tmp_path / "store", opened)
    assert outcome.problems == [(2, "0.nii shows no brain"), (3, "1.nii shows no brain")]
    assert made == [opened, "closed"]
    attempt(replace(read, rows=read.rows[:1]), tmp_path / "store", opened)
    assert made == [opened, "closed"]  # a row on the grid needs none


def test_what_no_scan_could_survive_stops_the_run(table, opened, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FmtoolError, match="cannot write"):
        attempt(cohort.read(table, AGE), tmp_path / "file", opened)
    with pytest.raises(UsageError, match="0 jobs"):
        attempt(cohort.read(table, AGE), tmp_path, opened, jobs=0)


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [
        (2, [{3, 4}, {5, 6}]),
        (3, [{3}, {4}, {5}]),
        (4, [{3}, {4}, {5}, {6}]),
        (6, [{3}, {4}, {5}, {6}, {3}, {4}]),
    ],
)
def test_workers_share_the_cores_that_the_process_may_use(monkeypatch, jobs, expected):
    taken = []
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda who: {3, 4, 5, 6}, raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", lambda who, c: taken.append(c), raising=False)
    counts = [prepare_worker._take_cores(number, jobs) for number in range(jobs)]
    assert taken == expected
    assert counts == [len(cores) for cores in expected]


@pytest.mark.slow
def test_a_process_that_is_ended_is_said(table, opened, tmp_path):
    rows = cohort.read(table, AGE).rows
    made = prepare_worker.in_parallel(rows, opened.path, tmp_path, False, 2)
    next(made)
    for child in multiprocessing.active_children():
        child.kill()
    with pytest.raises(CapabilityError, match="with fewer jobs"):
        list(made)


@pytest.mark.slow
def test_a_killed_run_ends_its_workers_and_is_taken_up(table, opened, tmp_path):
    command = [sys.executable, "-m", "fmtool", "train", "prepare", str(table), "-j", "2"]
    run = subprocess.Popen([*command, "--cache", str(tmp_path)], start_new_session=True)
    while not written(tmp_path / "volumes"):
        assert run.poll() is None
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    run.wait()
    deadline = time.monotonic() + 30
    while alive := _of_session(run.pid):
        assert time.monotonic() < deadline, alive
        time.sleep(0.05)
    before = written(tmp_path / "volumes")
    assert 1 <= len(before) <= GOOD
    outcome = attempt(cohort.read(table, None), tmp_path / "volumes", opened, jobs=2)
    assert len(outcome.problems) == 1
    after = written(tmp_path / "volumes")
    assert len(after) == GOOD
    assert before.items() <= after.items()


def _of_session(leader):
    """The processes of a session that still run, zombies left out."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(stat.parent.name)
    return found


@pytest.mark.slow
def test_two_processes_share_a_store(table, opened, tmp_path):
    command = [sys.executable, "-m", "fmtool", "train", "prepare", str(table)]
    runs = [
        subprocess.Popen([*command, "--cache", str(tmp_path)], stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for run in runs:
        _, said = run.communicate()
        assert run.returncode == 1
        assert said.count("error:") == 1
    assert len(written(tmp_path / "volumes")) == GOOD
    assert not list((tmp_path / "volumes").glob(".fmtool-*"))


@pytest.mark.slow
@pytest.mark.data
def test_real_heads_by_two_processes_as_by_one(data_dir, opened, tmp_path):
    read = cohort.read(data_dir / "cohort", AGE)
    read = replace(read, rows=read.rows[:2])
    entries = prepare(read, tmp_path / "two", opened, jobs=2)
    (one,) = prepare(replace(read, rows=read.rows[:1]), tmp_path / "one", opened)
    # The networks' rounding depends on the threads they get, and moves the mask's edge a little.
    both, either = entries[0].mask & one.mask, entries[0].mask | one.mask
    assert both.sum() > 0.99 * either.sum()
    assert np.corrcoef(entries[0].volume[both], one.volume[both])[0, 1] > 0.999


CHECKED = [
    {"name": "T1 contrast", "value": 1.5, "unit": "SD", "verdict": "ok", "sentence": "Fine."},
    {"name": "Brain volume", "value": 1200.0, "unit": "mL", "verdict": "ok", "sentence": "Fine."},
]


@pytest.fixture
def judged(table, opened, tmp_path, monkeypatch):
    """Four raw scans: one refused, one unusual; what their preprocessing would find is made up."""
    verdicts = {0: "ok", 1: "refuse", 3: "warn", 4: "ok"}
    read = cohort.read(table, AGE)
    rows = [replace(row, mask=None) for row in read.rows if row.line != 4]
    real = {row.image: (row.image, table.parent / "mask.nii") for row in rows}

    class Fake:
        def __init__(self, bundle):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def run(self, scan):
            volume, mask, facts = turboprep.read(*real[scan.path])
            facts["number"] = [row.image for row in rows].index(scan.path)
            place = np.eye(4)
            return SimpleNamespace(
                volume=volume, mask=mask, facts=facts, transform=place, affine=place
            )

    def checks(scan_facts, facts, calibration):
        number = facts["number"]
        verdict = list(verdicts.values())[number]
        word = {"refuse": "Not T1-weighted.", "warn": "A small brain."}.get(verdict, "Fine.")
        judged = dict(CHECKED[0], verdict=verdict, sentence=word, value=1.5 + 0.1 * number)
        dull = dict(CHECKED[1], value=[1200.0, 1210.0, 1190.0, 1650.0][number])
        return [SimpleNamespace(to_dict=lambda one=one: one) for one in (judged, dull)]

    monkeypatch.setattr(prepare_worker, "Preprocessor", Fake)
    monkeypatch.setattr(prepare_worker.quality, "checks", checks)
    return replace(read, rows=rows[:4])


def test_what_predict_would_refuse_is_left_out_and_said_or_kept(judged, opened, tmp_path):
    said = []
    kept, entries = usable(judged, tmp_path, opened, remark=said.append)
    assert [row.line for row in kept.rows] == [2, 5, 6]
    assert len(entries) == 3
    assert said[0] == "Left out, line 3 of cohort.csv (1.nii): Not T1-weighted."
    assert said[1].startswith("1 scans are unusual, such as line 5 of cohort.csv (3.nii): A small")
    said.clear()
    kept, entries = usable(judged, tmp_path, opened, force=True, remark=said.append)
    assert len(entries) == len(kept.rows) == 4
    assert said[0].startswith("Kept, though a check refuses it, line 3")
    with pytest.raises(InputError, match="no scan that the checks let pass"):
        usable(judged.take([1]), tmp_path, opened)


def test_the_quality_of_a_cohort_is_a_table_with_the_worst_first(judged, opened, tmp_path):
    outcome = attempt(judged, tmp_path / "store", opened)
    table, dictionary, page = quality_table.write(tmp_path / "q", judged, outcome, opened)
    with table.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["scan"], row["verdict"]) for row in rows] == [
        ("1.nii", "refused"), ("3.nii", "unusual"), ("4.nii", "usual"), ("0.nii", "usual"),
    ]  # fmt: skip
    assert rows[0]["sentences"] == "Not T1-weighted."
    assert float(rows[2]["outlying"]) > 10 > float(rows[3]["outlying"])  # 1650 mL among 1200
    assert rows[2]["qc_brain_volume"] == "1650"
    assert list(json.loads(dictionary.read_text())) == list(rows[0])
    text = page.read_text()
    assert text.count("data:image/jpeg;base64,") == 4
    assert text.index("Not T1-weighted.") < text.index("A small brain.")
