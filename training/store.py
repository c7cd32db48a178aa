"""Store: prepared volumes on disk, made once, read memory-mapped."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fmtool import __version__
from fmtool.bundle import sha256
from fmtool.errors import InputError
from training import turboprep
from training.cohort import Row

if TYPE_CHECKING:
    from runtime.preprocess.pipeline import Prepared

_log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """A prepared scan.

    Attributes:
        volume: float32 (z, y, x) on the model's crop, read-only, memory-mapped.
        mask: bool, same shape.
        facts: what preparing found, and "digest", which names the content of volume and mask.
    """

    volume: NDArray[np.float32]
    mask: NDArray[np.bool_]
    facts: dict[str, Any]


class Store:
    """A folder of prepared volumes, one entry per scan.

    An entry is found by the scan's bytes (and its mask's), the bundle that prepares it and fmtool's
    version: a change of any prepares the scan anew.

    Args:
        folder: made when first needed.
        bundle_digest: of the bundle whose networks and template `prepare` uses.
    """

    def __init__(self, folder: str | os.PathLike[str], bundle_digest: str = "") -> None:
        self.folder = Path(folder)
        self.bundle_digest = bundle_digest

    def get(self, row: Row, prepare: Callable[[Path], Prepared]) -> Entry:
        """The prepared scan of a row, from the store or made now.

        Args:
            row: of a cohort. With a mask, its files are on the model's grid already.
            prepare: for rows without a mask, from the scan's path to what the pipeline makes of it.

        Raises:
            InputError: if the scan cannot be prepared or its entry not written.
        """
        target = self.folder / self._key(row)
        if target.exists():
            try:
                return _open(target)
            except (OSError, ValueError, KeyError) as error:
                _log.warning("%s is prepared again: %s is damaged (%s)", row.image, target, error)
        if row.mask is not None:
            volume, mask, facts = turboprep.read(row.image, row.mask)
        else:
            prepared = prepare(row.image)
            volume, mask, facts = prepared.volume, prepared.mask, prepared.facts
        try:
            self._write(target, volume, mask, facts)
        except OSError as error:
            raise InputError(
                f"cannot write {target} ({error.strerror}); the store needs a folder with space "
                "that you may write to"
            ) from None
        return _open(target)

    def _key(self, row: Row) -> str:
        parts = [__version__, _content(row.image)]
        parts += [self.bundle_digest] if row.mask is None else ["mask", _content(row.mask)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def _write(
        self,
        target: Path,
        volume: NDArray[np.float32],
        mask: NDArray[np.bool_],
        facts: dict[str, Any],
    ) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fmtool-", dir=self.folder) as scratch:
            staged = Path(scratch) / "new"
            staged.mkdir()
            np.save(staged / "volume.npy", np.ascontiguousarray(volume, dtype=np.float32))
            np.save(staged / "mask.npy", np.ascontiguousarray(mask, dtype=np.bool_))
            record = {"facts": facts, "digest": _digest(staged)}
            (staged / "facts.json").write_text(json.dumps(record, indent=1, default=_plain) + "\n")
            if target.exists():
                target.rename(Path(scratch) / "damaged")
            staged.rename(target)


def _open(folder: Path) -> Entry:
    record = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    if record["digest"] != _digest(folder):
        raise ValueError("its bytes have changed")
    volume = np.load(folder / "volume.npy", mmap_mode="r", allow_pickle=False)
    mask = np.load(folder / "mask.npy", mmap_mode="r", allow_pickle=False)
    return Entry(volume, mask, {**record["facts"], "digest": record["digest"]})


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a fact of type {type(value).__name__} cannot be stored")


def _digest(folder: Path) -> str:
    both = sha256(folder / "volume.npy") + sha256(folder / "mask.npy")
    return hashlib.sha256(both.encode()).hexdigest()


def _content(path: Path) -> str:
    """SHA-256 of a file, or of a folder's file names and contents."""
    if path.is_file():
        return sha256(path)
    files = sorted(f for f in path.rglob("*") if f.is_file())
    listing = "\n".join(f"{f.relative_to(path)} {sha256(f)}" for f in files)
    return hashlib.sha256(listing.encode()).hexdigest()
