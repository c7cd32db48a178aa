"""A raw data set of empty files, and answers as a predictor gives them."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

DIGEST = "b" * 64
BUNDLE = SimpleNamespace(name="tiny", digest=DIGEST)


def put(top, *names):
    for name in names:
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def answer(age=40.0, digest=DIGEST):
    """What `Result.to_dict()` gives of two tasks."""
    number = {
        "value": age, "unit": "years", "kind": "regression", "class": None, "classes": None,
        "interval": {"low": age - 9, "high": age + 9, "level": 0.9}, "corrected": None,
        "probability": None, "prediction_set": None, "prediction_set_level": None,
        "novelty_p": 0.4, "evidence": {"beats_baseline": True}, "warnings": ["odd\tone"],
    }  # fmt: skip
    sex = number | {
        "value": 0.2, "unit": "probability", "kind": "binary", "class": "F", "classes": ["F", "M"],
        "interval": None, "prediction_set": ["F"], "prediction_set_level": 0.9, "probability": 0.1,
    }  # fmt: skip
    return {
        "scan": "x", "values": {"age": number, "sex": sex}, "quality": [], "warnings": [],
        "novelty_p": 0.4, "facts": {"brain_volume_ml": 1200.0}, "timings": {"total": 1.0},
        "embedding": [0.0], "engine": "none", "version": "0", "notice": "",
        "bundle": {"name": "tiny", "digest": digest, "demonstration": False, "limits": []},
        "finished": "2026-01-01T00:00:00.000+00:00", "content": "c" * 64,
    }  # fmt: skip


@pytest.fixture
def raw(tmp_path):
    top = tmp_path / "raw"
    put(
        top,
        "sub-01/ses-1/anat/sub-01_ses-1_acq-mp_run-01_T1w.nii.gz",
        "sub-01/ses-2/anat/sub-01_ses-2_run-2_chunk-3_T1w.nii.gz",
        "sub-02/anat/sub-02_T1w.nii",
        "sub-02/anat/sub-02_UNIT1.nii.gz",
    )
    told = {"Name": "raw", "BIDSVersion": "1.9.0", "DatasetDOI": "doi:10.1/x", "License": "CC0"}
    (top / "dataset_description.json").write_text(json.dumps(told))
    return top


@pytest.fixture(scope="session")
def kit():
    return SimpleNamespace(put=put, answer=answer, bundle=BUNDLE)
