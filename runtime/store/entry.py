"""Entry: a prepared scan in the store; its arrays are mapped when they are asked for.

A process may hold a limited number of memory maps and open files, 65530 and often 1024 of them on
Linux, and a large cohort has more arrays than that.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fmtool.errors import InputError
from fmtool.files import sha256
from runtime.store.file_digests import Digests

_PRIVATE = 0o600
VOLUME, MASK, FACTS = "volume.npy", "mask.npy", "facts.json"


class MadeScan(NamedTuple):
    """What is to be stored of a prepared scan: volume and mask (z, y, x), and plain facts."""

    volume: NDArray[np.float32]
    mask: NDArray[np.bool_]
    facts: dict[str, Any]


@dataclass(frozen=True)
class StoredScan:
    """A prepared scan.

    Attributes:
        folder: where its files are.
        facts: what preparing found, and "digest", which names the content of volume and mask.
    """

    folder: Path
    facts: dict[str, Any]

    @property
    def volume(self) -> NDArray[np.float32]:
        """Float32 (z, y, x) on the model's crop, read-only, memory-mapped."""
        return self._map(VOLUME)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Bool, the volume's shape, read-only, memory-mapped."""
        return self._map(MASK)

    def _map(self, name: str) -> NDArray[Any]:
        try:
            array: NDArray[Any] = np.load(self.folder / name, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self.folder / name} was there and cannot be read any more ({error}); "
                "prepare the cohort again"
            ) from None
        return array


def save(folder: Path, made: MadeScan) -> None:
    """Write an entry's files, which only their owner may read, into an empty folder."""
    np.save(folder / VOLUME, np.ascontiguousarray(made.volume, dtype=np.float32))
    np.save(folder / MASK, np.ascontiguousarray(made.mask, dtype=np.bool_))
    record = {
        "facts": made.facts,
        "digest": _both(sha256(folder / VOLUME), sha256(folder / MASK)),
        "facts_sha256": _of_facts(made.facts),
    }
    (folder / FACTS).write_text(json.dumps(record, indent=1, default=_plain) + "\n")
    for file in folder.iterdir():
        file.chmod(_PRIVATE)


def load(folder: Path, digests: Digests, anew: bool = False) -> StoredScan:
    """The entry in `folder`, if its bytes are those that were written.

    Args:
        folder: of the entry.
        digests: the memory of files that were verified before.
        anew: verify all bytes, whatever is remembered.

    Raises:
        OSError, ValueError, KeyError, TypeError: if the entry is damaged.
    """
    record = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    if record["facts_sha256"] != _of_facts(record["facts"]):
        raise ValueError("its facts have changed")
    found = _both(digests.of(folder / VOLUME, anew), digests.of(folder / MASK, anew))
    if record["digest"] != found:
        raise ValueError("its bytes have changed")
    return StoredScan(folder, {**record["facts"], "digest": record["digest"]})


def trusted(folder: Path) -> StoredScan:
    """The entry in `folder`, which was verified a moment ago."""
    record = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    return StoredScan(folder, {**record["facts"], "digest": record["digest"]})


def _both(volume: str, mask: str) -> str:
    return hashlib.sha256((volume + mask).encode()).hexdigest()


def _of_facts(facts: dict[str, Any]) -> str:
    text = json.dumps(facts, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a fact of type {type(value).__name__} cannot be stored")
