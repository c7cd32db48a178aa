"""What a command line of `fmtool export` asks for, and what is refused before the work."""

from __future__ import annotations

import pytest

from export.targets.request import request
from fmtool.errors import UsageError


def test_models_are_compared_at_every_declared_batch_and_at_one():
    assert request([]).checked == (1, 2)
    assert request([], batch="1,4,8").checked == (1, 4, 8)
    assert request([], batch="4").checked == (1, 4)


def test_nothing_asked_nothing_built():
    assert request([]).libraries == ()


def test_fp16_alone_takes_whatever_library_is_there():
    wanted = request(["fp16"])
    assert (wanted.libraries, wanted.targets) == (("tensorrt", "rtx"), (None,))
    assert (wanted.precision, wanted.batches, wanted.asked) == ("float16", (1, 1, 1), False)


def test_named_gpus_without_a_library_are_for_the_one_that_needs_no_gpu():
    wanted = request(["fp16"], ["sm89", "sm120", "sm89"])
    assert (wanted.libraries, wanted.targets) == (("rtx",), ("sm89", "sm120"))
    assert not wanted.asked


def test_a_library_without_fp16_builds_from_the_float32_model():
    wanted = request(["rtx"], ["sm89"], "1,4,8")
    assert (wanted.precision, wanted.batches) == ("float32", (1, 4, 8))
    assert wanted.asked


def test_int8_is_what_engines_are_built_from_and_not_what_onnx_runtime_serves():
    wanted = request(["int8", "fp16", "rtx"], ["sm89"], calibration=True)
    assert (wanted.precision, wanted.served) == ("int8", "float16")
    assert request(["int8"], calibration=True).libraries == ()


def test_one_batch_is_all_three():
    assert request(["rtx"], batch="4").batches == (4, 4, 4)


@pytest.mark.parametrize(
    ("chosen", "words", "said"),
    [
        ([], {"targets": ["sm89"]}, "--target belongs to --fp16, --tensorrt, --rtx"),
        (["int8"], {}, "name them with --calibration COHORT"),
        (["int8"], {"targets": ["sm89"], "calibration": True}, "--target belongs to"),
        (["triton"], {"engines": True}, "--engines belongs to"),
        (["triton", "tensorrt"], {"batch": "4"}, "say --batch 1,4,4"),
        ([], {"engines": True}, "--engines belongs to"),
        (["rtx"], {"targets": ["sm90"]}, "no engines for sm90"),
        (["fp16"], {"targets": ["sm89", "ada"]}, "'ada' is no GPU architecture"),
        (["tensorrt"], {"targets": ["ada"]}, "'ada' is no GPU architecture"),
        (["rtx"], {"targets": ["sm75"]}, "no float32 3D convolution for sm75; say --fp16"),
        (
            ["rtx", "fp16", "int8"],
            {"targets": ["sm75"], "calibration": True},
            "no INT8 3D convolution for sm75; say --fp16 without --int8",
        ),
        (["rtx"], {"batch": "8,4,1"}, "smallest,usual,largest"),
        (["rtx"], {"batch": "1,4"}, "smallest,usual,largest"),
        (["rtx"], {"batch": "0"}, "smallest,usual,largest"),
        (["rtx"], {"batch": "many"}, "not 'many'"),
        (["rtx"], {"batch": ""}, "not ''"),
    ],
)
def test_mistakes(chosen, words, said):
    with pytest.raises(UsageError) as caught:
        request(chosen, **words)
    assert said in str(caught.value)


def test_sm75_in_fp16_and_sm90_for_tensorrt_are_no_mistakes():
    assert request(["rtx", "fp16"], ["sm75"]).targets == ("sm75",)
    assert request(["tensorrt"], ["sm90"]).targets == ("sm90",)
