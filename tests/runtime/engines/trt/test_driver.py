"""The CUDA runtime's real bindings: they have every name, and tell why there is no GPU."""

from __future__ import annotations

import inspect
import re

import pytest

from fmtool.errors import CapabilityError
from runtime.engines import cuda
from runtime.engines.trt import driver


@pytest.fixture(scope="module")
def real():
    return pytest.importorskip("cuda.bindings.runtime")


def test_every_name_that_is_called_is_there(real):
    named = set(re.findall(r"\bcuda[A-Z]\w+", inspect.getsource(driver)))
    errors = {name for name in named if name in driver.ENVIRONMENT}
    nested = {n for n in named if n.startswith(("cudaMemcpyKind", "cudaMemcpyH", "cudaMemcpyD"))}
    nested |= {"cudaStreamCaptureModeThreadLocal", "cudaSuccess"}
    assert {"cudaMalloc", "cudaFree", "cudaStreamBeginCapture"} <= named
    assert not [name for name in named - errors - nested if not hasattr(real, name)]
    assert hasattr(real.cudaStreamCaptureMode, "cudaStreamCaptureModeThreadLocal")
    for way in ("cudaMemcpyHostToDevice", "cudaMemcpyDeviceToHost"):
        assert hasattr(real.cudaMemcpyKind, way)
    known = real.cudaError_t.__members__
    assert set(driver.ENVIRONMENT) <= known.keys()


def test_a_machine_without_a_gpu(real):
    if cuda.missing() is None:
        pytest.skip("there is a GPU")
    with pytest.raises(CapabilityError, match=r"cudaSetDevice answered cudaError\w+ \(.+\) on cud"):
        driver.Gpu(0)
