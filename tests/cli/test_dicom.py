"""`fmtool predict` and `preprocess` on DICOM: the same answer, and nothing of the patient."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom")

from fmtool import bundle, space  # noqa: E402

pytestmark = pytest.mark.timeout(300)
MAKER = Path(__file__).parents[1] / "runtime" / "scan" / "dicom" / "conftest.py"


@pytest.fixture(scope="module")
def maker():
    """The module that writes series for the tests of `runtime.scan.dicom`."""
    spec = importlib.util.spec_from_file_location("dicom_maker", MAKER)
    module = importlib.util.module_from_spec(spec)
    sys.modules["dicom_maker"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["dicom_maker"]


@pytest.fixture(scope="module")
def study(maker, tmp_path_factory):
    """The template as a stripped head in a study of three series, and the same as NIfTI."""
    folder = tmp_path_factory.mktemp("dicom")
    template = np.asarray(nib.load(bundle.DEMO / "template.nii.gz").dataobj)
    voxels = (template * (3000.0 / template.max())).astype(np.int16)
    corner = space.grid_affine()[:3, 3] + np.array(voxels.shape) - 1
    made = maker.Maker(
        folder / "study", (1.0, 1.0, 1.0), (-corner[0], -corner[1], space.GRID_ORIGIN[2])
    )
    # axial slices run to the left and to the back: the grid's first two axes, reversed
    made.slices(voxels[::-1, ::-1])
    made.slices(maker.voxels(), name="t2", SeriesNumber=7, EchoTime=95)
    (made.folder / "DOE_JANE.txt").write_text("not DICOM")
    nib.save(nib.Nifti1Image(voxels, space.grid_affine()), folder / "same.nii.gz")
    with zipfile.ZipFile(folder / "study.zip", "w") as archive:
        for path in made.folder.iterdir():
            archive.write(path, path.name)
    return folder


def planted(maker):
    """Every value that must not be told: names, identifiers, days, words, UIDs."""
    return [*(v for v in maker.PLANTED.values() if len(v) > 1), "PlantedWords", "DOE", "1.2.826.0"]


def told(word, text):
    """Whether a text has it, as no part of another word ("does")."""
    return re.search(rf"(?<![a-z]){re.escape(word.lower())}(?![a-z])", text.lower()) is not None


def test_a_study_is_read_and_nothing_names_anyone(fmtool, maker, study, tmp_path):
    done = fmtool("predict", study / "study.zip", "--json", "--report", tmp_path)
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)
    assert result["facts"]["series"]["number"] == 3
    assert result["facts"]["other_series"][0]["why_not"].startswith("an echo time of 95 ms")
    assert "Series 3 was taken of 2 series" in done.stderr
    assert {p.name for p in tmp_path.iterdir()} >= {"study.html", "study.json"}
    texts = [done.stdout, done.stderr, *(p.read_text(encoding="utf-8") for p in tmp_path.iterdir())]
    texts += [p.name for p in tmp_path.iterdir()]
    said = re.sub("base64,[^\"']*", "", "\n".join(texts))  # a picture spells anything
    assert not [word for word in planted(maker) if told(word, said)]


@pytest.mark.slow
def test_folder_zip_list_and_nifti_give_one_answer(fmtool, study):
    files = sorted((study / "study").glob("*.dcm"))
    done = fmtool(
        "predict", study / "study", study / "study.zip", study / "same.nii.gz", *files, "--json"
    )
    assert done.returncode == 0, done.stderr
    first, *rest = json.loads(done.stdout)
    assert len(rest) == 3
    for other in rest:
        for task, value in first["values"].items():
            assert other["values"][task]["value"] == pytest.approx(value["value"], abs=1e-3)


def test_a_failure_names_no_one_and_lists_the_series(fmtool, maker, study):
    done = fmtool("predict", study / "study", "--series", "99", "--json")
    assert done.returncode == 1
    (outcome,) = json.loads(done.stdout)
    assert "series 3 (id " in outcome["error"]
    assert "series 7 (id " in outcome["error"]
    for word in planted(maker):
        assert not told(word, done.stdout + done.stderr), word


@pytest.mark.slow
def test_values_that_pydicom_would_complain_of_aloud_stay_silent(fmtool, maker, tmp_path):
    made = maker.Maker(tmp_path / "study")
    made.slices()
    for path in made.folder.iterdir():
        raw = path.read_bytes()
        for word in (b"2.98", b"2300"):
            raw = raw.replace(word, b"Jane")
        path.write_bytes(raw.replace(b"SIEMENS", b"\xffJaneDo"))
    done = fmtool("predict", made.folder, "--json")
    assert "Jane" not in done.stdout + done.stderr


@pytest.mark.slow
def test_the_age_and_sex_in_the_header_change_nothing(fmtool, study, tmp_path):
    for path in (study / "study").glob("*.dcm"):
        data = pydicom.dcmread(path)
        data.PatientAge, data.PatientSex = "003Y", "F"
        (tmp_path / "study").mkdir(exist_ok=True)
        data.save_as(tmp_path / "study" / path.name)
    done = fmtool("predict", study / "study", tmp_path / "study", "--json")
    one, two = json.loads(done.stdout)
    assert one["embedding"] == two["embedding"]
    assert one["values"] == two["values"]


@pytest.mark.slow
def test_preprocess_takes_a_list_of_files_and_one_scan(fmtool, study, tmp_path):
    files = sorted((study / "study").glob("*.dcm"))
    done = fmtool("preprocess", *files, "-o", tmp_path / "out", "--series", "3")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "normalized.nii.gz").exists()
    done = fmtool("preprocess", study / "study", study / "same.nii.gz", "-o", tmp_path / "two")
    assert done.returncode == 2
    assert "takes one scan; 2 are named" in done.stderr


@pytest.mark.data
@pytest.mark.slow
def test_a_real_series_predicts_as_its_conversion_does(fmtool, maker, data_dir, tmp_path):
    converter = pytest.importorskip("dcm2niix", reason="the reference converter is absent")
    (path,) = (data_dir / "dicom").glob("*.zip")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "files")
    nifti = maker.converted(converter, tmp_path / "files", tmp_path / "out")
    done = fmtool("predict", path, *nifti, "--json")
    assert done.returncode == 0, done.stderr
    ours, theirs = json.loads(done.stdout)
    for task, value in theirs["values"].items():
        # The converter rounds the frame to float32, and the network may round to bfloat16.
        assert ours["values"][task]["value"] == pytest.approx(value["value"], abs=0.01)
