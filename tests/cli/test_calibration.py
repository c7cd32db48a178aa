"""The scans of a cohort that join the parity gates of an export."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from fmtool.cli import calibration

prepared = pytest.importorskip("training.prepare")


def test_scans_are_picked_evenly_and_prepared(monkeypatch, tmp_path):
    asked = []

    def prepare(cohort, folder, bundle):
        asked.extend(row.image.name for row in cohort.rows)
        entry = SimpleNamespace(
            volume=np.ones((2, 2, 2), np.float32), mask=np.ones((2, 2, 2), bool)
        )
        return [entry for _ in cohort.rows]

    monkeypatch.setattr(prepared, "prepare", prepare)
    for number in range(9):
        (tmp_path / f"{number}.nii.gz").write_bytes(bytes([number]))
    names = "\n".join(f"{number}.nii.gz" for number in range(9))
    table = tmp_path / "cohort.csv"
    table.write_text(f"image_path\n{names}\n")
    found = calibration.volumes(table, tmp_path / "cache", None, count=3)
    assert asked == ["0.nii.gz", "4.nii.gz", "8.nii.gz"]
    assert [(v.dtype, m.dtype) for v, m in found] == [(np.float32, np.float32)] * 3
    asked.clear()
    calibration.volumes(table, tmp_path / "cache", None, count=20)
    assert len(asked) == 9
