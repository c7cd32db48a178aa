"""A result about a DICOM series whose brain is known voxel by voxel."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fmtool.task import Task
from runtime import scan
from runtime.attribution import Attribution, placed
from runtime.preprocess.pipeline import Prepared
from runtime.result import Prediction, Result
from runtime.transform import about

_PATH = Path(__file__).parents[1] / "scan/dicom/conftest.py"
_SPEC = importlib.util.spec_from_file_location("dicom_series", _PATH)
_SERIES = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = _SERIES  # its dataclass looks itself up there
_SPEC.loader.exec_module(_SERIES)

AGE = Task("age", "regression", "years", "the brain's age")
SEX = Task("sex", "binary", "probability", "the sex", classes=("F", "M"))
BRIGHT = 450


def result_of(folder):
    """What a predictor would give of a series, its brain where the voxels are bright."""
    head = scan.read(folder)
    # As the preprocessing leaves it: cut, and its voxels in another order.
    array = head.array[1:-2, 2:-1, 1:][::-1, :, ::-1].transpose(1, 0, 2)
    size = array.shape
    order = np.eye(4)[[1, 0, 2, 3]]
    flip = np.diag([-1.0, 1.0, -1.0, 1.0])
    flip[0, 3], flip[2, 3] = size[1] - 1, size[2] - 1
    shift = np.eye(4)
    shift[:3, 3] = 1, 2, 1
    affine = head.affine @ shift @ flip @ order
    brain = array > BRIGHT
    transform = about(np.zeros(3), np.array([0.2, -0.1, 0.3]), affine[:3, 3])
    prepared = Prepared(
        np.zeros((1, 1, 1), np.float32), np.ones((1, 1, 1), bool), transform, array, brain, affine,
        {"brain_volume_ml": 1234.5},
    )  # fmt: skip
    values = np.random.default_rng(3).normal(size=(10, 12, 12)).astype(np.float32)
    shown = Attribution(values, float(values.mean()), None, placed(values.shape, None))
    evidence = {"metric": "MAE", "value": 7.2, "unit": "years", "beats_baseline": True}
    return Result(
        scan="s",
        predictions={
            "age": Prediction(AGE, 41.2345678, evidence, ["A word."]),
            "sex": Prediction(SEX, 0.25, {"beats_baseline": False}, []),
        },
        embedding=np.zeros(4, np.float32),
        quality=[],
        prepared=prepared,
        bundle={"name": "demo", "digest": "ab" * 32, "demonstration": True, "limits": ["Limits."]},
        engine="onnxruntime on cpu, float32",
        facts={"brain_volume_ml": 1234.5},
        timings={"total": 0.1},
        maps={"age": shown, "sex": shown},
        stack=head.stack,
    )


@pytest.fixture
def make(tmp_path):
    """A maker of series, as the reader's tests have it."""
    return _SERIES.Maker(tmp_path / "study")


@pytest.fixture(scope="session")
def kit():
    return SimpleNamespace(
        result=result_of, bright=BRIGHT,
        axes=_SERIES.axes, maker=_SERIES.Maker,
    )  # fmt: skip
