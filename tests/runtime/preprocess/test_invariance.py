"""The same head with other intensities, in another field and order of axes, has the same answer."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from runtime.predict import Predictor
from runtime.prepare import Reading

_HEADS = ["raw/sub-01_T1w.nii.gz", "raw/pumi_sub-001_T1w.nii.gz", "cohort/sub-43_T1w.nii.gz"]


def disturbed(head: nib.Nifti1Image, seed: int, spoiled: float) -> nib.Nifti1Image:
    """At most a share `spoiled` of outliers, padding, a gain, an offset, other axes."""
    rng = np.random.default_rng(seed)
    array = np.asarray(head.dataobj, dtype=np.float64)
    pads = rng.integers(0, 31, (3, 2))
    array = np.pad(array, pads, constant_values=array.min())
    shift = np.eye(4)
    shift[:3, 3] = -pads[:, 0]
    count = int(rng.uniform(0, spoiled) * array.size)
    low, high = [(-3, 10), (20, 20), (-400, -400), (0, 400)][seed % 4]
    places = rng.choice(array.size, count, replace=False)
    array.flat[places] = rng.uniform(low, high, count) * array.max()
    array = 10 ** rng.uniform(-6, 6) * (array + rng.uniform(-2, 20) * np.quantile(array, 0.99))
    image = nib.Nifti1Image(array.astype(np.float32), head.affine @ shift)
    order = np.stack([rng.permutation(3), rng.choice([-1, 1], 3)], axis=1)
    return image.as_reoriented(order)


@pytest.fixture(scope="module")
def predictor():
    with Predictor(reading=Reading(force=True)) as opened:
        yield opened


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(("spoiled", "sex", "age"), [(0.0, 0.01, 0.01), (1e-4, 0.1, 0.1)])
@pytest.mark.parametrize("name", _HEADS)
def test_gain_offset_padding_and_order_change_no_answer_and_outliers_little(
    data_dir: Path,
    tmp_path: Path,
    predictor: Predictor,
    name: str,
    spoiled: float,
    sex: float,
    age: float,
) -> None:
    """Within `sex`, a probability, and `age`, a share of the head's own error."""
    plain = predictor.predict(data_dir / name)
    error = predictor.bundle.evidence("age")["value"]
    for seed in range(4):
        nib.save(disturbed(nib.load(data_dir / name), seed, spoiled), tmp_path / "odd.nii")
        odd = predictor.predict(tmp_path / "odd.nii")
        assert odd.values["sex"] == pytest.approx(plain.values["sex"], abs=sex), seed
        assert odd.values["age"] == pytest.approx(plain.values["age"], abs=age * error), seed
        unlike = [check.name for check in odd.quality if check.verdict != "ok"]
        assert unlike == [check.name for check in plain.quality if check.verdict != "ok"], seed
