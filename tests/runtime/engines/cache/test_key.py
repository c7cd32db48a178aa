"""Which engine serves in place of which, and why another does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runtime.engines.cache.key import Key, serves

RTX = Key("d1g", "rtx", "1.7.1", "sm89", "float16", (1, 1, 1))
HERE = Key("d1g", "tensorrt", "10.16.1", "sm89", "float16", (1, 1, 1), "NVIDIA L4", "13.0")


def test_a_key_survives_its_json():
    assert Key.from_dict({**HERE.to_dict(), "batches": [1, 1, 1]}) == HERE


@pytest.mark.parametrize(
    "change", [{"library": "other"}, {"precision": "int3"}, {"batches": [1, 1]}, {"more": 1}]
)
def test_what_is_no_key(change):
    with pytest.raises((ValueError, TypeError)):
        Key.from_dict({**HERE.to_dict(), **change})


def test_names_tell_gpus_and_options_apart():
    assert HERE.name == "model.fp16.sm89.nvidia-l4.b1-1-1.plan"
    assert replace(HERE, precision="int8", gpu=None).name == "model.int8.sm89.b1-1-1.plan"
    both = replace(HERE, gpu=None, hardware_compatible=True, version_compatible=True)
    assert both.name == "model.fp16.sm89.hc.vc.b1-1-1.plan"


def test_the_same_serves():
    assert serves(HERE, HERE) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": "10.17.0"}, "built by TensorRT 10.16.1, 10.17.0 is installed"),
        ({"target": "sm90"}, "built for sm89, this is sm90"),
        ({"gpu": "NVIDIA L40"}, "built for NVIDIA L4, this is NVIDIA L40"),
        ({"driver": "13.1"}, "built with the driver's CUDA 13.0, it is 13.1 now"),
        ({"precision": "float32"}, "of another precision: float16"),
        ({"batches": (1, 4, 8)}, "of another batch: (1, 1, 1)"),
        ({"bundle": "other"}, "of another bundle: d1g"),
    ],
)
def test_where_anything_differs_it_says_what(change, said):
    assert serves(HERE, replace(HERE, **change)) == said


def test_one_built_elsewhere_for_this_architecture_serves():
    assert serves(RTX, replace(RTX, gpu="NVIDIA L4", driver="13.0")) is None
    assert "this is any sm89" in serves(replace(RTX, gpu="NVIDIA L4"), RTX)


@pytest.mark.parametrize(("target", "fits"), [("sm80", True), ("sm120", True), ("sm75", False)])
def test_hardware_compatible_means_ampere_and_newer(target, fits):
    stored = replace(HERE, hardware_compatible=True)
    wanted = replace(HERE, target=target, gpu="another", driver="another")
    assert (serves(stored, wanted) is None) == fits


@pytest.mark.parametrize(
    ("version", "fits"), [("10.17.0", True), ("10.9.0", False), ("11.0.0", False)]
)
def test_version_compatible_means_newer_within_a_major_version(version, fits):
    stored = replace(HERE, version_compatible=True)
    assert (serves(stored, replace(HERE, version=version)) is None) == fits
