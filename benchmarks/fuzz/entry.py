"""Entry: one place where foreign bytes come in, how a trial sends them there, and its watch.

The watch knows what a trial raised, and the ends that Python cannot catch.
"""

from __future__ import annotations

import faulthandler
import hashlib
import resource
import shutil
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from pkgutil import resolve_name
from typing import TextIO
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZIP_STORED, ZipFile, ZipInfo

from fmtool.errors import UNSHOWN, FmtoolError

_PLACES = {
    "mrd": "mrd.ENTRY",
    "nifti": "nifti.ENTRY",
    "task": "task.ENTRY",
    "project": "project.ENTRY",
    "manifest": "bundle.CLAIMS",
    "bundle_zip": "bundle.ZIP",
    "trust": "bundle.TRUST",
    "robustness": "bundle.ROBUSTNESS",
    "signature": "bundle.SIGNATURE",
    "graph": "site.GRAPH",
    "reference": "site.REFERENCE",
    "head": "encoder.HEAD",
    "dicom_file": "dicom.FILE",
    "dicom_zip": "dicom.ZIP",
    "dicom_pixels": "dicom.PIXELS",
    "cohort_csv": "cohort.CSV",
    "cohort_bids": "cohort.BIDS",
    "checkpoint": "encoder.CHECKPOINT",
    "encoder": "encoder.FOLDER",
    "monai": "encoder.MONAI",
    "ledger": "ledger.ENTRY",
    "multipart": "multipart.ENTRY",
    "node_object": "node_object.ENTRY",
    "node_wire": "node_wire.ENTRY",
}
NAMES = tuple(_PLACES)
"""Each is an `Entry` of a module of `benchmarks.fuzz.entries`."""


@dataclass(frozen=True)
class Entry:
    """What is fuzzed.

    Attributes:
        seeds: well-formed inputs to start from; they must be taken, or refused, at once.
        trial: sends an input in; told an empty folder of its own. It may raise `refusals`, and
            nothing else.
        tokens: words of the format, to be put anywhere.
        structured: how inputs are taken apart: "bytes", or "json".
        refusals: what says "no" properly.
    """

    seeds: Callable[[], list[bytes]]
    trial: Callable[[bytes, Path], None]
    tokens: tuple[bytes, ...] = ()
    structured: str = "bytes"
    refusals: tuple[type[BaseException], ...] = (FmtoolError,)


def load(name: str) -> Entry:
    """The entry of that name, or another module's by its full name, with what it imports."""
    here = f"benchmarks.fuzz.entries.{_PLACES[name]}" if name in _PLACES else f"{name}.ENTRY"
    entry = resolve_name(here)
    assert isinstance(entry, Entry)
    return entry


def zipped(members: Mapping[str, bytes]) -> list[bytes]:
    """Seeds: the members, by name, in a zip for each way to compress them."""
    found = []
    for method in (ZIP_STORED, ZIP_DEFLATED, ZIP_BZIP2, ZIP_LZMA):
        out = BytesIO()
        with ZipFile(out, "w") as archive:
            for name, content in members.items():
                archive.writestr(ZipInfo(name), content, method)
        found.append(out.getvalue())
    return found


HANG_S = 10.0
_LONGEST = 10_000  # letters of a sentence: paths alone may have 4096 each
_ALWAYS = 64 << 20  # what the process itself needs beyond the trial


@dataclass(frozen=True)
class Finding:
    """Something that no input may do.

    Attributes:
        kind: the exception's name, "hang", "killed" or "sentence".
        where: the innermost line of the project's own code.
        told: the trace or the sentence.
    """

    kind: str
    where: str
    told: str

    @property
    def name(self) -> str:
        """The same for the same defect."""
        digest = hashlib.sha256(f"{self.kind}{self.where}".encode()).hexdigest()[:8]
        return f"{self.kind}-{digest}"


def limit_memory(most_bytes: int) -> None:
    """Let this process map so much more than it does now; beyond, Python raises MemoryError."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + most_bytes + _ALWAYS
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def peak_bytes() -> int:
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


@contextmanager
def watchdog(log: TextIO, seconds: float = HANG_S) -> Iterator[None]:
    """End this process, its traces in `log`, if the block takes longer, even inside a C library."""
    faulthandler.dump_traceback_later(seconds, exit=True, file=log)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def attempt(entry: Entry, data: bytes, folder: Path) -> Finding | None:
    """Send `data` in; what it did that it may not."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        entry.trial(data, folder)
    except entry.refusals as refusal:
        return _sentence(refusal)
    except KeyboardInterrupt:
        raise
    except (
        BaseException
    ) as error:  # whatever it is, it is a finding: pyo3's panics are no Exception
        return Finding(type(error).__name__, _where(error), traceback.format_exc()[-6000:])
    return None


def _sentence(refusal: BaseException) -> Finding | None:
    """A refusal is one readable line: nothing in it that a terminal or a log would obey."""
    text = str(refusal)
    if not UNSHOWN.search(text) and len(text) < _LONGEST:
        return None
    return Finding("sentence", _where(refusal), repr(text[:2000]))


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if _own(f.filename)]
    return " ".join(f"{Path(f.filename).name}:{f.lineno}" for f in (own[-1:] + frames[-1:]))


def _own(file: str) -> bool:
    return any(f"/{part}/" in file for part in ("fmtool", "runtime", "training")) and (
        "site-packages" not in file
    )
