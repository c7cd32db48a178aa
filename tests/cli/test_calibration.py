"""The scans of a cohort that join the parity gates of an export."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from fmtool.cli import calibration
from fmtool.errors import InputError

prepared = pytest.importorskip("training.store.prepare")


def test_scans_are_picked_evenly_and_prepared(monkeypatch, tmp_path):
    asked = []

    def prepare(cohort, folder, bundle):
        asked.extend(row.image.name for row in cohort.rows)
        return [
            SimpleNamespace(
                volume=np.full((2, 2, 2), float(row.image.stem[0]), np.float32),
                mask=np.ones((2, 2, 2), bool),
                facts={"noise": 2.0 + 0.1 * float(row.image.stem[0])},
            )
            for row in cohort.rows
        ]

    monkeypatch.setattr(prepared, "prepare", prepare)
    for number in range(9):
        (tmp_path / f"{number}.nii.gz").write_bytes(bytes([number]))
    names = "\n".join(f"{number}.nii.gz" for number in range(9))
    table = tmp_path / "cohort.csv"
    table.write_text(f"image_path\n{names}\n")
    found = calibration.volumes(table, tmp_path / "cache", None, int8=False)
    assert asked == names.split()  # all of so few are looked at for the checks' ranges
    assert [float(v.mean()) for v, _ in found.compared] == [0.0, 4.0, 8.0]
    assert list(found.ranges) == ["noise"]
    assert [(v.dtype, m.dtype) for v, m in found.compared] == [(np.float32, np.float32)] * 3
    assert found.calibrated == []
    asked.clear()
    found = calibration.volumes(table, tmp_path / "cache", None, int8=True)
    assert len(asked) == 9
    assert (len(found.compared), len(found.calibrated)) == (3, 6)


def test_one_scan_is_too_few_for_int8(tmp_path):
    (tmp_path / "0.nii.gz").write_bytes(b"0")
    table = tmp_path / "cohort.csv"
    table.write_text("image_path\n0.nii.gz\n")
    with pytest.raises(InputError, match="lists one scan"):
        calibration.volumes(table, tmp_path / "cache", None, int8=True)
