"""`fmtool predict` and `fmtool preprocess` on heads that every clone has."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest

from fmtool import NOTICE, bundle, space

pytestmark = pytest.mark.timeout(300)


def test_a_prepared_head(fmtool, prepared_head):
    done = fmtool("predict", prepared_head, "--task", "age", "--json")
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)
    assert list(result["values"]) == ["age"]
    expected = bundle.open().manifest.self_test.outputs
    # The self-test volume is this very head: the whole runtime must give what torch gave.
    assert result["values"]["age"]["value"] == pytest.approx(expected["age"][0], abs=1.0)
    got, wanted = np.array(result["embedding"]), np.array(expected["embedding"])
    assert np.linalg.norm(got - wanted) / np.linalg.norm(wanted) < 1e-2
    assert result["bundle"]["digest"] == bundle.open().digest
    assert result["notice"] == NOTICE
    assert "prepared elsewhere" in done.stderr


def test_csv_has_a_row_per_scan_in_order(fmtool, prepared_head):
    words = ("--csv", "--prevalence", "sex=0.05")
    done = fmtool("predict", prepared_head, "absent.nii.gz", *words)
    assert done.returncode == 1
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["scan"] for row in rows] == [
        str(prepared_head / "normalized.nii.gz"),
        "absent.nii.gz",
    ]
    assert rows[0]["sex_prevalence"] == "0.05"


def test_a_whole_head_to_table_json_and_page(fmtool, whole_head, tmp_path):
    done = fmtool("predict", whole_head, "--report", tmp_path / "reports")
    assert done.returncode == 0, done.stderr
    assert "years" in done.stdout
    name = whole_head.name.removesuffix(".nii.gz")
    result = json.loads((tmp_path / "reports" / f"{name}.json").read_text(encoding="utf-8"))
    assert result["facts"]["head"] == "whole"
    assert 900 < result["facts"]["brain_volume_ml"] < 2000
    page = (tmp_path / "reports" / f"{name}.html").read_text(encoding="utf-8")
    assert page.count('alt="') == 12  # mask, registration and two maps in three planes
    assert "://" not in page
    assert NOTICE in page
    index = (tmp_path / "reports" / "index.html").read_text(encoding="utf-8")
    assert f'href="{name}.html"' in index


@pytest.mark.slow
def test_two_scans_of_one_name_get_two_pages(fmtool, prepared_head, tmp_path):
    done = fmtool("predict", prepared_head, prepared_head, "--report", tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*.html"))) == 3  # and the index


def test_preprocess_writes_turboprep_files_that_predict_reads(fmtool, whole_head, tmp_path):
    done = fmtool("preprocess", whole_head, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "normalized.nii.gz",
        "mask.nii.gz",
        "template_to_scan_itk.txt",
        "template_to_scan.txt",
        "qc.png",
        "preprocess.json",
    }
    image = nib.load(tmp_path / "out" / "normalized.nii.gz")
    assert image.shape == space.GRID_SHAPE
    np.testing.assert_allclose(image.affine, space.grid_affine())
    facts = json.loads((tmp_path / "out" / "preprocess.json").read_text(encoding="utf-8"))
    matrix = np.loadtxt(tmp_path / "out" / "template_to_scan.txt")
    np.testing.assert_allclose(matrix, facts["template_to_scan"], atol=1e-9)
    np.testing.assert_allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-8)

    raw = json.loads(fmtool("predict", whole_head, "--json").stdout)[0]
    back = json.loads(fmtool("predict", tmp_path / "out", "--json").stdout)[0]
    a, b = np.array(raw["embedding"]), np.array(back["embedding"])
    assert np.linalg.norm(a - b) / np.linalg.norm(a) < 1e-2
    assert back["values"]["age"]["value"] == pytest.approx(raw["values"]["age"]["value"], abs=1.0)


@pytest.mark.slow
def test_a_refusal_is_preprocess_s_too_and_stays_with_the_files(fmtool, tmp_path):
    template = nib.load(bundle.DEMO / "template.nii.gz")
    voxels = np.asarray(template.dataobj, dtype=np.float32)
    odd = np.where(voxels > 0, voxels.max() + 40 - voxels, 0)  # as T2-weighting shows it
    nib.save(nib.Nifti1Image(odd.astype(np.float32), template.affine), tmp_path / "t2.nii")
    out = tmp_path / "out"
    done = fmtool("preprocess", tmp_path / "t2.nii", "-o", out)
    assert done.returncode == 1
    assert "t2.nii is refused" in done.stderr
    assert not out.exists()
    done = fmtool("preprocess", tmp_path / "t2.nii", "-o", out, "--force")
    assert done.returncode == 0, done.stderr
    stored = json.loads((out / "preprocess.json").read_text(encoding="utf-8"))["checks"]
    (failed,) = (c for c in stored if c["name"] == "Registration")
    assert failed["verdict"] == "refuse"
    done = fmtool("predict", out)
    assert done.returncode == 1
    assert failed["sentence"] in " ".join(done.stderr.split())
    done = fmtool("predict", out, "--force", "--json")
    assert done.returncode == 0, done.stderr
    quality = json.loads(done.stdout)[0]["quality"]
    assert failed in quality
    assert len({check["name"] for check in quality}) == len(quality)


@pytest.mark.slow
def test_onnxruntime_and_openvino_agree(fmtool, prepared_head):
    embeddings = []
    for engine in ("onnxruntime", "openvino"):
        done = fmtool("predict", prepared_head, "--engine", engine, "--json")
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)[0]
        assert result["engine"].startswith(engine)
        embeddings.append(np.array(result["embedding"]))
    assert np.linalg.norm(embeddings[0] - embeddings[1]) / np.linalg.norm(embeddings[0]) < 1e-2


def test_predicting_needs_no_training_library(prepared_head):
    heavy = ("torch", "monai", "sklearn", "pandas", "onnx", "training", "export", "matplotlib")
    code = (
        "import sys\n"
        "from runtime.predict import Predictor\n"
        f"with Predictor() as p: print(p.predict({str(prepared_head)!r}).values)\n"
        f"loaded = [m for m in {heavy!r} if m in sys.modules]\n"
        "assert not loaded, loaded\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_loads_nothing_heavy():
    code = (
        "import sys, fmtool.cli\n"
        "heavy = ('numpy', 'scipy', 'nibabel', 'rich.progress', 'openvino', 'torch')\n"
        "loaded = [m for m in heavy if m in sys.modules]\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
