"""What comes of a scan on its way: prepared and as small as it can be, answered, or refused."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.prepare import Ready

_NONE = np.empty((0, 0, 0), dtype=np.float32)


@dataclass
class Packed:
    """A `Ready` without what only pictures need, its volume as the voxels inside the mask.

    Attributes:
        ready: with an empty volume and mask.
        voxels: float32, the volume where the mask is true; it is zero elsewhere.
        mask: uint8, eight voxels in one.
        shape: of both.
        pictures: PNG files by name, if they were asked for.
    """

    ready: Ready
    voxels: NDArray[np.float32]
    mask: NDArray[np.uint8]
    shape: tuple[int, ...]
    pictures: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Answered:
    """A scan that has its result.

    Attributes:
        data: `Result.to_dict()` of all tasks.
        pictures: the report's PNG, JPEG and JSON files by name, if they were asked for.
    """

    data: dict[str, Any]
    pictures: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Refused:
    """A scan that could not be prepared or answered.

    Attributes:
        sentence: why.
        passing: whether another attempt may succeed.
    """

    sentence: str
    passing: bool


@dataclass(frozen=True)
class Broken:
    """A worker that cannot work at all here, for any scan."""

    sentence: str


def pack(ready: Ready, pictures: dict[str, bytes]) -> Packed:
    """A prepared scan for the way; about a quarter of its size."""
    prepared = ready.prepared
    empty = replace(
        prepared,
        volume=_NONE,
        mask=_NONE.astype(bool),
        corrected=_NONE,
        brain=_NONE.astype(bool),
    )
    return Packed(
        replace(ready, prepared=empty),
        prepared.volume[prepared.mask],
        np.packbits(prepared.mask),
        prepared.mask.shape,
        pictures,
    )


def unpack(packed: Packed) -> Ready:
    """The prepared scan, but for the volumes in its own space, which stay empty."""
    size = int(np.prod(packed.shape))
    mask = np.unpackbits(packed.mask, count=size).astype(bool).reshape(packed.shape)
    volume = np.zeros(packed.shape, dtype=np.float32)
    volume[mask] = packed.voxels
    return replace(packed.ready, prepared=replace(packed.ready.prepared, volume=volume, mask=mask))
