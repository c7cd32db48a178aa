"""A tensor's two memories: pinned on the host, and on the GPU."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.engines.trt.driver import Gpu


class Buffer:
    """Memory for one input or output, for the largest batch; smaller ones use its beginning.

    Attributes:
        name: the tensor's.
        shape: with the largest batch.
        address: on the GPU.
    """

    def __init__(self, gpu: Gpu, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.name = name
        self.shape = shape
        self._gpu = gpu
        size = prod(shape) * dtype.itemsize
        self._host = gpu.pinned(size).view(dtype).reshape(shape)
        self.address = gpu.allocate(size)

    def put(self, values: NDArray[np.float32]) -> None:
        """Enqueue the copy of a batch to the GPU."""
        part = self._host[: len(values)]
        np.copyto(part, values, casting="same_kind")
        self._gpu.upload(self.address, part, part.nbytes)

    def fetch(self, batch: int) -> None:
        """Enqueue the copy of a batch from the GPU; `get` it after the stream was waited for."""
        part = self._host[:batch]
        self._gpu.download(part, self.address, part.nbytes)

    def get(self, batch: int) -> NDArray[np.float32]:
        """The batch last fetched, in float32, in memory of its own."""
        return self._host[:batch].astype(np.float32)
