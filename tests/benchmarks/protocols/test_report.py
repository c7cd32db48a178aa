from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from benchmarks.protocols.report import ProtocolReport, forest
from benchmarks.protocols.scores import score, value, versus
from benchmarks.protocols.study import Study
from fmtool.errors import InputError
from fmtool.task import AGE, SEX
from training.evidence import evaluate

StudyOf = Callable[..., Study]


def test_a_row_has_the_figure_its_interval_and_the_baseline(study_of: StudyOf) -> None:
    study = study_of(AGE, 12, 2)
    rng = np.random.default_rng(0)
    found = study.labels + rng.normal(0, 2, 24)
    mean = np.full(24, study.labels.mean())
    row = score(study, "a", found, mean, folds=3)
    assert row["value"] == pytest.approx(np.abs(found - study.labels).mean())
    assert value(study, found) == row["value"]
    assert row["low"] < row["value"] < row["high"]
    assert row["baseline"] == pytest.approx(np.abs(mean - study.labels).mean())
    assert row["difference"] == pytest.approx(row["value"] - row["baseline"])
    assert row["difference_high"] < 0
    assert row["beats_baseline"]
    assert (row["scans"], row["subjects"], row["folds"]) == (24, 12, 3)


def test_untested_scans_are_left_out(study_of: StudyOf) -> None:
    study = study_of(SEX, 12)
    found = study.labels.copy()
    found[:4] = np.nan
    row = score(study, "a", found, np.zeros(12))
    assert row["scans"] == 8
    assert row["value"] == 1.0 == value(study, found)
    assert row["baseline"] == 0.5


def test_the_difference_of_two_systems_is_paired(study_of: StudyOf) -> None:
    study = study_of(SEX, 24)
    rng = np.random.default_rng(0)
    one, two = (study.labels + rng.normal(0, s, 24) for s in (0.1, 1.5))
    row = versus(study, one, two)
    gain = evaluate.auc(study.labels, one) - evaluate.auc(study.labels, two)
    assert row["versus"] == pytest.approx(gain)
    assert row["versus_better"]
    many = versus(study, one, two, comparisons=9)
    assert many["versus_low"] < row["versus_low"] < row["versus_high"] < many["versus_high"]
    same = versus(study, one, one)
    assert (same["versus"], same["versus_low"], same["versus_high"]) == (0, 0, 0)


def report(study: Study) -> ProtocolReport:
    mean = np.zeros(len(study.rows))
    rows = [score(study, name, study.labels * f, mean) for name, f in (("a", 1), ("b", -1))]
    rows[1] |= {"extra": float("nan")}
    return ProtocolReport("demo", "what?", {"seed": 1, "synthetic": True}, rows, ["a remark"])


def test_three_files_are_written_whole(study_of: StudyOf, tmp_path: Path) -> None:
    made = report(study_of(SEX, 12))
    made.write(tmp_path / "out", forest(made.rows, made.title))
    files = {f.name for f in (tmp_path / "out").iterdir()}
    assert files == {"results.json", "results.csv", "plot.png"}
    content = json.loads((tmp_path / "out/results.json").read_text(encoding="utf-8"))
    assert content["synthetic"] is True
    assert content["versions"].keys() >= {"fmtool", "torch", "python"}
    assert content["rows"][1]["extra"] is None
    with (tmp_path / "out/results.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["system"] for row in rows] == ["a", "b"]
    assert float(rows[0]["value"]) == 1.0
    assert (tmp_path / "out/plot.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="cannot make the folder"):
        made.write(tmp_path / "out/results.csv/below", forest(made.rows, ""))


def test_the_table_says_that_scans_are_synthetic(study_of: StudyOf) -> None:
    stream = io.StringIO()
    console = Console(width=140, file=stream)
    report(study_of(SEX, 12)).print(("system", "value", "beats_baseline"), console)
    text = stream.getvalue()
    assert "SYNTHETIC" in text
    assert "1.000 [0.630, 1.000]" in text  # of twelve subjects
    assert "a remark" in text
