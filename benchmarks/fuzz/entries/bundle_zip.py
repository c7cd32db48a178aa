"""A zipped bundle: `fmtool.bundle.open`."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from pathlib import Path

from benchmarks.fuzz.entries import made_bundle
from benchmarks.fuzz.entry import Entry
from fmtool import bundle as bundles


def _seeds() -> list[bytes]:
    trust = json.dumps(made_bundle.trust()).encode()
    with tempfile.TemporaryDirectory() as scratch:
        made = made_bundle.write(Path(scratch), made_bundle.manifest(), trust)
        found = []
        for method in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
            zipfile.ZIP_LZMA,
            zipfile.ZIP_BZIP2,
        ):
            out = io.BytesIO()
            with zipfile.ZipFile(out, "w", method) as archive:
                for file in sorted(made.iterdir()):
                    archive.write(file, f"made.fmtool/{file.name}")
            found.append(out.getvalue())
    return found


def _trial(data: bytes, folder: Path) -> None:
    file = folder / "made.zip"
    file.write_bytes(data)
    with bundles.open(file):
        pass


ENTRY = Entry(_seeds, _trial, (b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"../"))
