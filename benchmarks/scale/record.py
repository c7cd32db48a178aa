"""What the command itself does for each scan: digest, enter, claim, record, write."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runtime.batch import outputs
from runtime.batch.enrol import enrol
from runtime.ledger import Ledger
from runtime.ledger.outcomes import outcomes

_COPIES = 16


def measure(scan: Path, result: Mapping[str, Any], count: int, work: Path) -> dict[str, float]:
    """Seconds and bytes a scan, in a folder on the disk of `work`.

    Args:
        scan: a file; copies of it are digested, cached by the system.
        result: by `Result.to_dict()`.
        count: items to record.
        work: an existing folder.
    """
    with tempfile.TemporaryDirectory(dir=work) as folder:
        top = Path(folder)
        digest = _digest(scan, top)
        with Ledger(top / "ledger.sqlite") as ledger:
            start = time.perf_counter()
            items = [ledger.add(f"/{n}.nii.gz", f"{n:064x}", "b" * 64, {}) for n in range(count)]
            added = time.perf_counter()
            for item in items:
                ledger.claim(item)
                ledger.finish(item, result)
            ended = time.perf_counter()
            ledger.vacuum()
            size = (top / "ledger.sqlite").stat().st_size
            writing = time.perf_counter()
            rows = list(outcomes(ledger))
            paths = outputs.write_rows(rows, top)
            written = time.perf_counter() - writing
        return {
            "digest": digest,
            "add": (added - start) / count,
            "claim and finish": (ended - added) / count,
            "ledger bytes": size / count,
            "write": written / count,
            "output bytes": sum(path.stat().st_size for path in paths) / count,
        }


def _digest(scan: Path, top: Path) -> float:
    """Seconds to digest a scan and to enter it, by the threads that `enrol` has."""
    data = scan.read_bytes()
    copies = [top / f"{number}{''.join(scan.suffixes)}" for number in range(_COPIES)]
    for number, copy in enumerate(copies):
        copy.write_bytes(data + bytes([number]))  # contents of their own
    with Ledger(top / "digests.sqlite") as ledger:
        start = time.perf_counter()
        assert len(list(enrol(ledger, copies, "b" * 64, {}))) == _COPIES
        return (time.perf_counter() - start) / _COPIES
