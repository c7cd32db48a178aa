"""A table's column as numbers for a linear model: numbers as they are, words as groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fmtool.errors import InputError

_MOST = 12  # words of a column: with more it is a name, not a group


def coded(name: str, cells: Sequence[str]) -> NDArray[np.float64]:
    """(N, 1) numbers; or (N, K - 1) of K words, each but the first in a column of its own.

    Args:
        name: of the column, for the sentence.
        cells: (N,) without a missing one.

    Raises:
        InputError: for too many words, or what is no finite number.
    """
    try:
        numbers = np.array([float(cell) for cell in cells])
    except ValueError:
        levels = sorted(set(cells))
        if len(levels) > _MOST:
            raise InputError(
                f"{name} has {len(levels)} different words; a group has at most {_MOST}, and a "
                "number is written in digits"
            ) from None
        return np.array([[float(cell == level) for level in levels[1:]] for cell in cells])
    if not np.isfinite(numbers).all():
        raise InputError(f"{name} holds what is no finite number")
    return numbers[:, None]
