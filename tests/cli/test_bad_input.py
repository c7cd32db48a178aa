"""Bad input: one sentence, the exit code, the rest of the batch done, nothing half-written."""

from __future__ import annotations

import gzip
import json
import shutil

import nibabel as nib
import numpy as np
import pytest

from fmtool import bundle

pytestmark = pytest.mark.timeout(300)


def scan(path, array=None, shape=(40, 48, 40), affine=None, zooms=None):
    """A NIfTI file of noise, or of `array`."""
    if array is None:
        array = np.random.default_rng(0).integers(1, 200, shape).astype(np.int16)
    image = nib.Nifti1Image(array, np.diag([4.0, 4.0, 4.0, 1.0]) if affine is None else affine)
    if zooms:
        image.header.set_zooms(zooms)
    nib.save(image, path)
    return path


def claims(path, dims):
    """A header that promises `dims`, and next to no data."""
    header = nib.Nifti1Header()
    header.set_data_dtype(np.float32)
    header.set_data_shape(dims)
    header.set_sform(np.eye(4), code=1)
    header["vox_offset"] = 352
    header["magic"] = b"n+1"
    path.write_bytes(header.binaryblock + b"\0" * 4 + b"\0" * 4000)
    return path


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    """Every kind of bad file, by what the complaint about it must say."""
    d = tmp_path_factory.mktemp("bad")
    (d / "folder").mkdir()
    (d / "empty.nii.gz").touch()
    whole = scan(d / "whole.nii.gz").read_bytes()
    (d / "truncated.nii.gz").write_bytes(whole[: len(whole) // 2])
    (d / "text.nii.gz").write_bytes(gzip.compress(b"hello, this is no scan" * 40))
    (d / "renamed.nii.gz").write_bytes(b"hello, this is no scan" * 40)
    with_nan = np.random.default_rng(0).random((40, 48, 40), dtype=np.float32)
    with_nan[20, 20, 20] = np.nan
    no_codes = nib.Nifti1Image(np.ones((40, 48, 40), np.int16), None)
    nib.save(no_codes, d / "codes.nii.gz")
    return {
        d / "absent.nii.gz": "does not exist",
        d / "folder": "folder",
        d / "empty.nii.gz": "empty",
        d / "truncated.nii.gz": "cut off",
        d / "text.nii.gz": "NIfTI",
        d / "renamed.nii.gz": "NIfTI",
        claims(d / "short.nii", (64, 64, 64)): "short.nii",
        claims(d / "gigantic.nii", (30000, 30000, 30000)): "gigantic.nii",
        scan(d / "series.nii.gz", shape=(20, 24, 20, 5)): "series of 5 volumes",
        scan(d / "slice.nii.gz", shape=(64, 64, 1)): "slice",
        scan(d / "zeros.nii.gz", np.zeros((40, 48, 40), np.int16)): "value 0 in every voxel",
        scan(d / "nan.nii.gz", with_nan): "not finite",
        d / "codes.nii.gz": "--assume-ras",
        scan(d / "noise.nii.gz"): "noise.nii.gz",
    }


def test_a_batch_of_every_bad_file_and_a_good_one(fmtool, bad, prepared_head):
    done = fmtool("predict", *bad, prepared_head, "--json")
    assert done.returncode == 1
    *failed, good = json.loads(done.stdout)
    assert [f["scan"] for f in failed] == [str(path) for path in bad]
    for failure, (path, said) in zip(failed, bad.items(), strict=True):
        assert said in failure["error"], failure
        assert "\n" not in failure["error"]
        assert f"error: {failure['error']}" in done.stderr, path
    assert set(good["values"]) == {"age", "sex"}


def test_a_batch_of_what_does_not_exist_costs_one_sentence_and_writes_nothing(fmtool, tmp_path):
    done = fmtool("predict", tmp_path / "nowhere", "--out", tmp_path / "out")
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert line == f"error: {tmp_path / 'nowhere'} does not exist; check the path"
    assert list(tmp_path.iterdir()) == []


def test_preprocess_leaves_nothing_of_a_bad_scan(fmtool, bad, tmp_path):
    for path in list(bad)[2:4]:
        done = fmtool("preprocess", path, "-o", tmp_path / "out")
        assert done.returncode == 1
        assert len(done.stderr.strip().splitlines()) == 1
        assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_written(fmtool, prepared_head, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    for words in (
        ("predict", prepared_head, "--report", tmp_path / "file" / "reports"),
        ("preprocess", prepared_head, "-o", tmp_path / "file" / "out"),
    ):
        done = fmtool(*words)
        assert done.returncode == 1
        assert done.stderr.count("cannot write to") == 1
        assert done.stdout == ""
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_bundle_with_a_changed_byte(fmtool, prepared_head, tmp_path):
    damaged = tmp_path / "damaged.fmtool"
    shutil.copytree(bundle.DEMO, damaged)
    model = damaged / "model.onnx"
    raw = bytearray(model.read_bytes())
    raw[len(raw) // 2] ^= 1
    model.write_bytes(raw)
    for words in (("predict", prepared_head, "-b", damaged), ("bundle", "verify", damaged)):
        done = fmtool(*words)
        assert done.returncode == 1
        assert "model.onnx does not match its SHA-256" in done.stderr
        assert done.stdout == ""


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--task", "iq"), 2, "no task 'iq'; it has age, sex"),
        (("--engine", "magic"), 2, "unknown engine 'magic'; there are auto, onnxruntime, openvino"),
        (("--device", "tpu"), 2, "tpu"),
        (("--json", "--csv"), 2, "exclude each other"),
        (("--prevalence", "sex"), 2, "it needs a task and a share"),
        (("--prevalence", "age=0.1"), 2, "age has no calibrated probability"),
        (("--device", "cuda:0", "--engine", "openvino"), 3, "OpenVINO runs on the CPU"),
        (("--bundle", "nowhere.fmtool"), 1, "nowhere.fmtool does not exist"),
        (("--skull", "round"), 2, "round"),
    ],
)
def test_wrong_words(fmtool, prepared_head, words, code, said):
    done = fmtool("predict", prepared_head, *words)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert done.stdout == ""


def test_a_gpu_that_is_not_there_is_never_replaced_by_the_cpu(fmtool, prepared_head):
    if shutil.which("nvidia-smi"):
        pytest.skip("this machine may have a GPU")
    done = fmtool("predict", prepared_head, "--device", "cuda")
    assert done.returncode == 3
    assert "cuda:0 cannot be used" in done.stderr


def test_assume_ras_reads_what_is_refused_otherwise(fmtool, bad):
    path = next(p for p in bad if p.name == "codes.nii.gz")
    done = fmtool("predict", path, "--assume-ras", "--json")
    (outcome,) = json.loads(done.stdout)
    assert "--assume-ras" not in outcome["error"]  # read now, and refused for what is in it


@pytest.mark.data
@pytest.mark.parametrize(
    "name",
    [
        "niivue_CT_AVM",
        pytest.param("niivue_M2208_T2w", marks=pytest.mark.slow),
        pytest.param("infant_stripped_T1w", marks=pytest.mark.slow),
        pytest.param("coreg_qa_example_func", marks=pytest.mark.slow),
    ],
)
def test_what_is_no_adult_t1_is_never_answered_without_a_word(fmtool, data_dir, name):
    done = fmtool("predict", data_dir / "bad" / f"{name}.nii.gz", "--json")
    (outcome,) = json.loads(done.stdout)
    assert "error" in outcome or outcome["warnings"]
    assert name in done.stderr


@pytest.mark.data
def test_malformed_real_files(fmtool, data_dir):
    files = sorted((data_dir / "bad" / "malformed").glob("*.nii.gz"))
    done = fmtool("predict", *files, "--json")
    assert done.returncode == 1
    assert all("error" in outcome for outcome in json.loads(done.stdout))
