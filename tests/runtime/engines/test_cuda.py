"""What the driver is asked about a GPU, against a driver that answers as told."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace

import pytest

from fmtool.errors import CapabilityError
from runtime.engines import cuda


@pytest.fixture
def driver(monkeypatch):
    """One GPU of compute capability 8.9."""

    def put(pointer, value):
        ctypes.cast(pointer, ctypes.POINTER(ctypes.c_int))[0] = value
        return 0

    known = {75: 8, 76: 9}  # CUdevice_attribute: major, minor
    fake = SimpleNamespace(
        cuInit=lambda flags: 0,
        cuDeviceGetCount=lambda pointer: put(pointer, 1),
        cuDeviceGet=lambda pointer, ordinal: put(pointer, ordinal),
        cuDeviceGetName=lambda text, size, device: setattr(text, "value", b"NVIDIA L4") or 0,
        cuDriverGetVersion=lambda pointer: put(pointer, 13020),
        cuDeviceGetAttribute=lambda pointer, attribute, device: put(pointer, known[attribute]),
    )
    monkeypatch.setattr(cuda.ctypes, "CDLL", lambda name: fake)
    return fake


def test_the_architecture_of_the_gpu_at_hand(driver):
    assert cuda.architecture() == "sm89"
    assert cuda.architecture(1) is None


def test_its_name_and_the_drivers_version(driver):
    assert cuda.name() == "NVIDIA L4"
    assert cuda.driver() == "13.2"
    assert cuda.name(1) is None


def test_no_driver(monkeypatch):
    def refuse(name):
        raise OSError(name)

    monkeypatch.setattr(cuda.ctypes, "CDLL", refuse)
    assert (cuda.architecture(), cuda.name(), cuda.driver()) == (None, None, None)


def test_a_driver_that_does_not_answer(driver):
    driver.cuDeviceGetAttribute = lambda *_: 101
    with pytest.raises(CapabilityError, match=r"does not describe the GPU \(it answered 101\)"):
        cuda.architecture()
