"""The latency benchmark tells what it is done with while it goes on."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from benchmarks import latency
from benchmarks.shared.peers import chain


def test_each_stage_is_told_before_the_next_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(np.ones((3, 3, 3), np.float32), np.eye(4)), scan)
    told = {}

    def stage(name: str, gives: np.ndarray):  # type: ignore[no-untyped-def]
        def work(*args: object) -> np.ndarray:
            told[name] = capsys.readouterr().err
            return gives

        return work

    monkeypatch.setattr(chain, "n4", stage("bias", np.ones((3, 3, 3))))
    monkeypatch.setattr(chain, "deepbet_mask", stage("strip", np.ones((3, 3, 3), bool)))
    monkeypatch.setattr(chain, "syn_quick_rigid", stage("register", np.eye(4)))
    assert list(latency.reference(scan, scan)) == ["bias", "strip", "register"]
    assert told["bias"] == ""
    assert told["strip"].startswith("reference: bias ")
    assert told["register"].startswith("reference: strip ")
    assert capsys.readouterr().err.startswith("reference: register ")
