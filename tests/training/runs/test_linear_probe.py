"""A probe on an encoder that has seen some of its people: refused, or told everywhere."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fmtool.bundle.exposure import UNKNOWN, Exposure, Overlap
from fmtool.errors import InputError
from training import cohort as cohorts
from training import encoders
from training.cohort.exposure import exposure
from training.evidence import head as heads
from training.runs import linear_probe

COUNT = 14


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Scans of nothing, one a person, and embeddings of noise."""
    lines = ["image_path,age,subject"]
    for i in range(COUNT):
        (tmp_path / f"{i}.nii").write_bytes(bytes([i]))
        lines.append(f"{i}.nii,{20 + i},s{i}")
    path = tmp_path / "cohort.csv"
    path.write_text("\n".join(lines) + "\n")
    noise = np.random.default_rng(0).normal(size=(COUNT, 16)).astype(np.float32)
    monkeypatch.setattr(linear_probe, "usable", kept)
    monkeypatch.setattr(linear_probe, "embeddings", lambda *given: noise)
    monkeypatch.setattr(linear_probe, "gram", lambda entries: np.eye(len(entries)))
    monkeypatch.setattr(linear_probe.probe, "fit", fitted)
    return path


def fitted(x: Any, cohort: Any, seen: Overlap, **more: Any) -> Any:
    """A head that nobody fitted; what the probe itself does with `seen`, its own tests say."""
    head = heads.Head(cohort.task, np.ones(x.shape[1]), 0.0, {"exposure": seen.to_dict()}, "")
    rows = [{"participant_id": row.subject, "truth": row.label} for row in cohort.rows]
    return SimpleNamespace(head=head, rows=rows)


def kept(cohort: Any, *rest: Any, **more: Any) -> Any:
    return cohort, entries(cohort)


def entries(cohort: Any) -> list[Any]:
    facts = [{"digest": row.image.name, "brain_volume_ml": 1e3 + row.line} for row in cohort.rows]
    return [SimpleNamespace(facts=one) for one in facts]


def run(table: Path, seen: Exposure) -> heads.Head:
    """Probe a tiny encoder that has seen so much, by way of its folder and the head's file."""
    folder = table.parent / "encoder"
    made = encoders.build(width=1 / 32)
    encoders.save_encoder(folder, made, "made", overwrite=True, seen=seen)
    linear_probe.run(table, "age", folder, table.parent / "h.json", table.parent / "cache")
    return heads.load(table.parent / "h.json")


def shown(table: Path, some: slice, labels: bool) -> Exposure:
    whole = cohorts.read(table, None)
    part = whole.take(range(COUNT)[some])
    return exposure(part, entries(part), labels)


def test_labels_that_trained_the_encoder_are_refused_before_anything_is_written(table):
    with pytest.raises(InputError, match="labels of 3 of the 14 subjects of the table"):
        run(table, shown(table, slice(3), labels=True))
    assert not (table.parent / "h.json").exists()


def test_images_that_it_saw_are_told_and_travel_with_the_head(table):
    seen = shown(table, slice(5), labels=False)
    head = run(table, seen)
    expected = {"images": 5, "labels": 0, "of": COUNT, "complete": True}
    assert head.evidence["exposure"] == expected
    assert head.exposure.scans >= seen.scans
    assert len(head.exposure.labelled_subjects) == COUNT
    told = (table.parent / "h.out-of-fold.csv").read_text().splitlines()
    assert told[:2] == ["participant_id,truth", "s0,20"]


@pytest.mark.parametrize(("seen", "complete"), [(Exposure(), True), (UNKNOWN, False)])
def test_an_encoder_that_saw_nobody_and_one_that_nobody_knows(table, seen, complete):
    expected = {"images": 0, "labels": 0, "of": COUNT, "complete": complete}
    assert run(table, seen).evidence["exposure"] == expected


def test_one_scan_under_two_names_is_refused(table, monkeypatch):
    twins = [SimpleNamespace(facts={"digest": "x"})] * COUNT
    monkeypatch.setattr(linear_probe, "usable", lambda cohort, *rest, **more: (cohort, twins))
    with pytest.raises(InputError, match=r"1\.nii \(line 3\) holds the same voxels as 0\.nii"):
        run(table, Exposure())
