"""Predictor: what a result says, and what it refuses to say."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from fmtool import NOTICE, bundle, space
from fmtool.errors import InputError, PreprocessingError, UsageError
from runtime.predict import Predictor
from runtime.prepare import Reading
from runtime.result import Failure, Result
from runtime.scan import Scan


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        with Predictor(engine="onnxruntime") as opened:
            yield opened


@pytest.fixture(scope="module")
def head():
    """The template as a prepared scan."""
    voxels = np.asarray(nib.load(bundle.DEMO / "template.nii.gz").dataobj)
    facts = {"spacing": [1.0, 1.0, 1.0], "shape": list(voxels.shape), "warnings": []}
    return Scan(
        voxels.astype(np.float32),
        space.grid_affine(),
        mask=voxels > 0,
        facts=facts | {"prepared": True},
    )


def test_the_self_test_volume_gives_the_self_test_outputs(predictor, head):
    result = predictor.predict(head)
    expected = predictor.bundle.manifest.self_test.outputs
    np.testing.assert_allclose(result.embedding, expected["embedding"], rtol=1e-3, atol=1e-5)
    assert result.values["age"] == pytest.approx(expected["age"][0], abs=1e-2)
    logit = expected["sex"][0]
    assert result.values["sex"] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-3)
    assert result.predictions["sex"].label == ("M" if logit > 0 else "F")


def test_a_result_names_its_bundle_engine_limits_and_notice(predictor, head):
    data = predictor.predict(head, ["age"]).to_dict()
    assert list(data["values"]) == ["age"]
    assert data["bundle"]["digest"] == predictor.bundle.digest
    assert data["bundle"]["demonstration"] is True
    assert data["bundle"]["limits"]
    assert data["engine"].startswith("onnxruntime")
    assert data["notice"] == NOTICE
    assert data["timings"]["total"] >= data["timings"]["network"] > 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_reaches_no_engine(predictor, head, value):
    ready = predictor.prepare(head)
    ready.prepared.volume[70, 90, 90] = value
    with pytest.raises(PreprocessingError, match="not finite numbers"):
        predictor.answer(ready)


def test_a_prepared_volume_s_gain_offset_and_spikes_change_no_answer(predictor, head):
    plain = predictor.predict(head).embedding
    spiked = head.array.copy()
    spiked[96, 110, 90] = 1e6
    for array in (1e-8 * head.array, head.array - 300, spiked):
        other = predictor.predict(replace(head, array=array.astype(np.float32))).embedding
        np.testing.assert_allclose(other, plain, atol=2e-3 * np.abs(plain).max())


def test_a_result_says_its_own_limits(predictor, head):
    result = predictor.predict(head)
    age, sex = (result.predictions[name] for name in ("age", "sex"))
    assert 0 <= age.interval.low < age.interval.high <= 120
    assert 0 < sex.probability < 1
    assert set(sex.members) <= {"F", "M"}
    people = predictor.bundle.evidence("age")["n_subjects"]
    least = 1 / (people + 1)
    assert least <= result.novelty == min(age.novelty, sex.novelty) <= 1
    said = any(f"unlike those of the {people} subjects" in w for w in result.warnings)
    assert said is (result.novelty <= least + 1e-9)


def test_a_head_that_does_not_beat_its_baseline_says_so(predictor, head):
    for name, prediction in predictor.predict(head).predictions.items():
        beaten = predictor.bundle.evidence(name)["beats_baseline"]
        assert any("did not beat" in w for w in prediction.warnings) is not beaten


def test_a_head_no_better_than_brain_volume_says_so(predictor, head):
    for name, prediction in predictor.predict(head).predictions.items():
        better = predictor.bundle.evidence(name)["brain_volume"]["head_is_better"]
        assert any("brain volume alone" in w for w in prediction.warnings) is not better


def test_each_answer_has_its_map_beside_the_templates(predictor, head):
    result = predictor.predict(head)
    assert set(result.maps) == {"age", "sex"}
    for found in result.maps.values():
        assert found.error < 1e-4
        # This scan is the template itself: nothing differs but the rounding of its resampling.
        assert np.abs(found.difference).max() < 1e-3 * np.abs(found.values).max()
    assert "maps" not in result.to_dict()


def test_unknown_tasks_are_refused_before_anything_is_read(predictor):
    with pytest.raises(UsageError, match="no task 'iq'; it has age, sex"):
        predictor.predict("nowhere.nii.gz", ["iq"])
    with pytest.raises(UsageError, match="iq"):
        list(predictor.predict_many([], ["iq"]))


def test_a_batch_goes_on_after_a_failure(predictor, tmp_path, head):
    for name, array in (("normalized", head.array), ("mask", head.mask.astype(np.float32))):
        nib.save(nib.Nifti1Image(array, head.affine), tmp_path / f"{name}.nii.gz")
    outcomes = list(predictor.predict_many(["nowhere.nii.gz", tmp_path], ["age"]))
    assert isinstance(outcomes[0], Failure)
    assert outcomes[0].scan == "nowhere.nii.gz"
    assert isinstance(outcomes[1], Result)


def test_inverted_contrast_is_refused_unless_forced(predictor, head):
    inverted = np.where(head.mask, 300.0 - head.array, 0.0).astype(np.float32)
    odd = Scan(inverted, head.affine, mask=head.mask, facts=head.facts)
    with pytest.raises(PreprocessingError, match="White matter is not brighter"):
        predictor.predict(odd)
    with Predictor(predictor.bundle, engine="onnxruntime", reading=Reading(force=True)) as forced:
        result = forced.predict(odd)
    assert any(check.verdict == "refuse" for check in result.quality)
    assert any("White matter is not brighter" in w for w in result.warnings)


def test_a_missing_file_is_an_input_error(predictor):
    with pytest.raises(InputError, match="does not exist"):
        predictor.predict("nowhere.nii.gz")


def test_outside_its_block_a_predictor_refuses():
    with pytest.raises(RuntimeError, match="with Predictor"):
        Predictor(engine="onnxruntime").predict("x.nii.gz")
