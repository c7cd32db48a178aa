"""A voxel's bits: where they lie in their word, and which value stands where there is no voxel.

Part 5 of the standard, 8.1.1; part 3, C.7.6.3.1 and C.7.5.1.1.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.scan.dicom import values
from runtime.scan.dicom.parse import Dataset

KEYWORDS = ("BitsStored", "HighBit", "PixelPaddingRangeLimit", "PixelPaddingValue")


@dataclass(frozen=True)
class Bits:
    """How voxels are stored.

    Attributes:
        allocated: bits of a word.
        stored: bits that count.
        high: the highest of them, from 0.
        padding: the first and the last value of those that stand for no voxel; None without.
    """

    allocated: int
    stored: int
    high: int
    padding: tuple[int, int] | None

    def values(
        self, words: NDArray[Any], aligned: bool
    ) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """The values in words of `allocated` bits, and where there is none.

        Args:
            aligned: a decoder has put the bits in their places and cut the stray ones.
        """
        size = words.dtype.itemsize * 8
        found = words
        if not aligned and size > self.stored:
            found = (words << (size - 1 - self.high)) >> (size - self.stored)
        if self.padding is None:
            return found, None
        whole = [_of(end, size, words) for end in self.padding]
        first, last = sorted(_of(end, self.stored, words) for end in self.padding)
        padded = (found >= first) & (found <= last) if self._fits(words) else words == whole[0]
        return found, padded if padded.any() else None

    def _fits(self, words: NDArray[Any]) -> bool:
        """Whether the padding is a value that the bits stored can have."""
        size = words.dtype.itemsize * 8
        return all(
            _of(end, self.stored, words) == _of(end, size, words) for end in self.padding or ()
        )


def bits(data: Dataset) -> Bits:
    """Of a header.

    Raises:
        ValueError: if it makes no sense.
    """
    allocated, stored = int(data.BitsAllocated), int(data.BitsStored)
    if not 1 <= stored <= allocated:
        raise ValueError("impossible number of bits")
    high = values.whole(data, "HighBit")
    if high is None or not stored <= high + 1 <= allocated:
        high = stored - 1
    first = _whole(data, "PixelPaddingValue")
    last = _whole(data, "PixelPaddingRangeLimit")
    padding = None if first is None else (first, first if last is None else last)
    return Bits(allocated, stored, high, padding)


def background(volume: NDArray[np.float32], padded: NDArray[np.bool_]) -> None:
    """Make what is no voxel as dark as the darkest voxel, in place.

    A padding of zero that no voxel is darker than is that already.
    """
    least = np.min(volume, where=~padded, initial=np.inf)
    if np.isfinite(least):
        volume[padded & ((volume < 0.0) | (volume > least))] = least


def _whole(data: Dataset, keyword: str) -> int | None:
    value = values.raw(data, keyword)
    if isinstance(value, bytes):  # of a value representation that the header leaves open
        return int.from_bytes(value, "little") if value else None
    return values.whole(data, keyword)


def _of(value: int, size: int, words: NDArray[Any]) -> int:
    """A number as its lowest bits say it, signed if the words are."""
    low = value & ((1 << size) - 1)
    return low - (1 << size) if words.dtype.kind == "i" and low >> (size - 1) else low
