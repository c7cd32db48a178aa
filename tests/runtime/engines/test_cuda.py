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
        cuDeviceGetAttribute=lambda pointer, attribute, device: put(pointer, known[attribute]),
    )
    monkeypatch.setattr(cuda.ctypes, "CDLL", lambda name: fake)
    return fake


def test_the_architecture_of_the_gpu_at_hand(driver):
    assert cuda.architecture() == "sm89"
    assert cuda.architecture(1) is None


def test_no_driver(monkeypatch):
    def refuse(name):
        raise OSError(name)

    monkeypatch.setattr(cuda.ctypes, "CDLL", refuse)
    assert cuda.architecture() is None


def test_a_driver_that_does_not_answer(driver):
    driver.cuDeviceGetAttribute = lambda *_: 101
    with pytest.raises(CapabilityError, match="does not describe GPU 0"):
        cuda.architecture()
