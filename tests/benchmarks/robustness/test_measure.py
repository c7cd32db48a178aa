"""The whole bench on one real head: rows in order, the undisturbed one unmoved by itself."""

import numpy as np
import pytest

from benchmarks.robustness import measure, perturbations
from runtime.predict import Predictor


@pytest.mark.data
@pytest.mark.slow
def test_one_real_head(data_dir):
    path = data_dir / "ixi2mm" / "IXI012-HH-1211-T1_ds.nii.gz"
    same = perturbations.Perturbation("same", "pose", lambda head, brain, generator: head)
    tried = (same, next(one for one in perturbations.ALL if one.name == "voxels 1.5 mm"))
    with Predictor(engine="onnxruntime") as predictor:
        bench = measure.HeadBench(predictor, measure.outputs_of(predictor.bundle))
        expected = predictor.predict(path)
        base, again, coarse = bench.rows(path, tried, tools=False)
        parts = list(bench.by_stage(path, (same,)))
    assert base.values["age"] == pytest.approx(expected.values["age"], abs=1e-4)
    assert ("novelty" in base.warned) == any("unlike" in w for w in expected.warnings)
    assert base.values["sex"] == pytest.approx(expected.predictions["sex"].probability, abs=1e-4)
    assert np.array_equal(again.embedding, base.embedding)
    assert not np.array_equal(coarse.embedding, base.embedding)
    assert [stage for stage, _ in parts] == ["base", "whole", "strip", "bias", "register", "voxels"]
    for stage, row in parts:
        assert row.values["age"] == pytest.approx(base.values["age"], abs=0.02), stage
