"""`--engine`, `--device` and `--precision` are met or refused, never replaced."""

from __future__ import annotations

import json

import pytest

from runtime.engines import cuda, table

GPU = [row for row in table.ROWS if row.device == "cuda"]


@pytest.mark.parametrize("row", GPU, ids=lambda row: row.name)
def test_each_gpu_engine_is_refused_where_there_is_no_gpu(fmtool, row):
    if cuda.missing(0) is None:
        pytest.skip("this machine has an NVIDIA GPU")
    done = fmtool("predict", "any.nii.gz", "--engine", row.name, "--device", "cuda")
    assert done.returncode == 3
    assert done.stdout == ""
    (sentence,) = done.stderr.strip().splitlines()
    assert sentence.startswith(f"error: {row.title} on cuda:0 cannot be used: no NVIDIA ")
    assert "get NVIDIA's driver" in sentence


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--engine", "openvino", "--device", "cuda"), "OpenVINO runs on the CPU"),
        (("--engine", "tensorrt", "--device", "cpu"), "TensorRT runs on an NVIDIA GPU"),
        (("--engine", "tensorrt-rtx", "--device", "cpu"), "TensorRT-RTX runs on an NVIDIA GPU"),
        (("--engine", "openvino", "--precision", "float16"), "does not compute in float16"),
        (
            ("--engine", "onnxruntime", "--device", "cpu", "--precision", "bfloat16"),
            "float32, int8",
        ),
    ],
)
def test_what_cannot_be_met_is_refused(fmtool, words, reason):
    done = fmtool("predict", "any.nii.gz", *words)
    assert done.returncode == 3
    assert done.stdout == ""
    assert reason in done.stderr


def test_an_unknown_precision_is_a_wrong_command(fmtool):
    done = fmtool("predict", "any.nii.gz", "--precision", "fp8")
    assert done.returncode == 2
    assert "auto, float32, bfloat16, float16, int8" in done.stderr


def test_int8_of_a_bundle_without_it_says_how_to_make_it(fmtool):
    done = fmtool("predict", "any.nii.gz", "--engine", "onnxruntime", "--device", "cpu",
                  "--precision", "int8")  # fmt: skip
    assert done.returncode == 1
    assert "fmtool export --int8" in done.stderr


def test_a_precision_that_is_named_is_used(fmtool, prepared_head):
    done = fmtool("predict", prepared_head, "--precision", "float32", "--device", "cpu", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["engine"].endswith("float32")


def test_help_lists_every_engine(fmtool):
    words = fmtool("predict", "--help").stdout
    assert all(name in words for name in ("onnxruntime-rtx", "tensorrt-rtx", "openvino"))
