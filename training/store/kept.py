"""Arrays that are computed once: from a file, or made and written there."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.system import atomic

_log = logging.getLogger(__name__)


def array(target: Path, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """What a file holds, memory-mapped; if it is absent or damaged, what `make` gives is put there.

    Raises:
        InputError: if the file cannot be written.
    """
    if target.exists():
        try:
            return np.asarray(np.load(target, mmap_mode="r", allow_pickle=False))
        except (OSError, ValueError, EOFError) as error:
            _log.warning("%s is computed again: it is damaged (%s)", target, error)
    made, content = make(), io.BytesIO()
    np.save(content, made)
    atomic.write_bytes(target, content.getvalue())
    return made
