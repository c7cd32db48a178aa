"""A batch's results as a cohort, matched with tables of labels."""

from __future__ import annotations

import numpy as np
import pytest

from fmtool import task
from fmtool.errors import InputError
from training import cohort as cohorts
from training.site import results

pyarrow = pytest.importorskip("pyarrow", reason="the parquet extra is absent")


@pytest.fixture
def parquet(tmp_path, demo):
    from pyarrow import parquet as files

    features = demo.manifest.encoder.features

    def write(scans, digest=demo.digest, engine="openvino 2026.4.1, cpu, float32"):
        random = np.random.default_rng(0)
        columns = {
            "scan": scans,
            "content": [f"{i:064x}" for i in range(len(scans))],
            "embedding": [random.normal(size=features).tolist() for _ in scans],
            "brain_volume_ml": [1400.0] * len(scans),
            "bundle_digest": [digest] * len(scans),
            "engine": [engine] * len(scans),
        }
        path = tmp_path / "results.parquet"
        files.write_table(pyarrow.table(columns), path)
        return path

    return write


SCANS = ["/data/sub-01/anat/sub-01_T1w.nii.gz", "/data/sub-02_T1w.nii.gz", "IXI012-HH_T1w.nii.gz"]


@pytest.mark.parametrize(
    "table",
    [
        "scan,age\n/data/sub-02_T1w.nii.gz,30\nIXI012-HH_T1w.nii.gz,50\n",
        "image_path,label\nelsewhere/sub-02_T1w.nii.gz,30\nIXI012-HH_T1w.nii.gz,50\n",
        "participant_id;age\nsub-02;30\nIXI012-HH;50,0\n",
    ],
    ids=["scan", "image_path", "participant_id"],
)
def test_a_table_labels_results_by_any_of_their_names(parquet, tmp_path, demo, table):
    labels = tmp_path / "labels.csv"
    labels.write_text(table)
    said = []
    found = results.read(parquet(SCANS), labels, task.AGE, demo, said.append)
    assert found.cohort.labels.tolist() == [30.0, 50.0]
    assert found.embeddings.shape == (2, demo.manifest.encoder.features)
    assert said == ["1 results without a label are left out."]


def test_a_participants_scans_all_have_the_label(parquet, tmp_path, demo):
    labels = tmp_path / "participants.tsv"
    labels.write_text("participant_id\tage\nsub-01\t30\n")
    scans = ["/d/sub-01/ses-1/sub-01_ses-1_T1w.nii.gz", "/d/sub-01/ses-2/sub-01_ses-2_T1w.nii.gz"]
    found = results.read(parquet(scans), labels, task.AGE, demo, print)
    assert found.cohort.subjects == ["sub-01", "sub-01"]


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ("name,age\nsub-01,3\n", "has none of the columns"),
        ("scan,sex\nsub-01,F\n", "no column age"),
        ("scan,age\nsub-01_T1w.nii.gz,old\n", "line 2: age is 'old'"),
        ("scan,age\nsub-01_T1w.nii.gz,30\nsub-01,30\n", "has a label already"),
        ("scan,age\nsub-77_T1w.nii.gz,30\n", "labels none of the scans"),
    ],
)
def test_a_table_that_does_not_fit_is_told(parquet, tmp_path, demo, table, why):
    labels = tmp_path / "labels.csv"
    labels.write_text(table)
    with pytest.raises(InputError, match=why):
        results.read(parquet(SCANS), labels, task.AGE, demo, print)


def test_results_of_another_bundle_are_refused(parquet, tmp_path, demo):
    labels = tmp_path / "labels.csv"
    labels.write_text("scan,age\nsub-01_T1w.nii.gz,30\n")
    with pytest.raises(InputError, match="results of another bundle"):
        results.read(parquet(SCANS, "f" * 64), labels, task.AGE, demo, print)
    said = []
    coarse = parquet(SCANS, engine="openvino, cpu, bfloat16")
    results.read(coarse, labels, task.AGE, demo, said.append)
    assert "rounds more than float32" in said[0]


def test_what_is_no_parquet_is_told(tmp_path, demo):
    bad = tmp_path / "results.parquet"
    for content in (b"", b"PAR1" * 20):
        bad.write_bytes(content)
        with pytest.raises(InputError, match=r"is no results\.parquet"):
            results.read(bad, tmp_path / "x.csv", task.AGE, demo, print)


def test_nameless_scans_are_subjects_of_their_own_and_not_named(parquet, tmp_path, demo):
    labels = tmp_path / "labels.csv"
    labels.write_text("scan,age\none.nii.gz,30\nIXI012-HH_T1w.nii.gz,50\n")
    found = results.read(parquet(["one.nii.gz", SCANS[2]]), labels, task.AGE, demo, print)
    assert found.cohort.subjects == ["one.nii.gz", "IXI012"]
    assert [row.named for row in found.cohort.rows] == [False, True]
    with pytest.raises(InputError, match="does not say whom 1 of its 2 scans show"):
        cohorts.check_people(found.cohort)
