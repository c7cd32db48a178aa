"""The volumes that are measured on: the bundle's template, a real brain, or prepared scans."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fmtool.bundle import Bundle
from runtime.engines.base import Arrays


def gather(bundle: Bundle, scans: Sequence[Path]) -> Arrays:
    """ "volume" and "mask", float32 [N, 1, z, y, x].

    Args:
        bundle: whose template or preprocessing to use.
        scans: raw or prepared heads; the template when empty.

    Raises:
        InputError: if a scan cannot be used.
    """
    # Here, because a worker loads this file, and its start is measured.
    from runtime import scan
    from runtime.preprocess.pipeline import Preprocessor
    from runtime.preprocess.template import Template

    if not scans:
        crop = Template.of(bundle).crop
        pairs = [(crop, crop > 0)]
    else:
        heads = [scan.read(path) for path in scans]
        with Preprocessor(bundle) as preprocessor:
            prepared = [preprocessor.run(head) for head in heads]
        pairs = [(each.volume, each.mask) for each in prepared]
    columns = zip(*pairs, strict=True)
    return {
        name: np.stack(column).astype(np.float32)[:, None]
        for name, column in zip(("volume", "mask"), columns, strict=True)
    }


def save(path: Path, volumes: Arrays) -> None:
    """Write the volumes for the workers."""
    np.savez(path, **volumes)  # type: ignore[arg-type]  # numpy's stub takes them for a flag


def load(path: Path) -> Arrays:
    """What `save` wrote."""
    with np.load(path) as stored:
        return {name: stored[name] for name in stored.files}


def batch(volumes: Arrays, size: int, start: int) -> Arrays:
    """`size` volumes from number `start` on; they repeat where there are fewer.

    Not copied where they follow one another: the copies would count as the engine's memory.
    """
    count = len(next(iter(volumes.values())))
    if start + size <= count:
        return {name: array[start : start + size] for name, array in volumes.items()}
    picked = [(start + i) % count for i in range(size)]
    return {name: np.ascontiguousarray(array[picked]) for name, array in volumes.items()}
