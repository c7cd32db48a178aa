"""Feeding, disturbing and measuring a watch, and whether every input came out where it should.

The studies that go into the inbox all differ; every tenth input is broken, in another way each.
"""

from __future__ import annotations

import gzip
import json
import math
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import psutil

from benchmarks.soak import SETTLE_S
from fmtool import bundle as bundles
from fmtool import space
from runtime.ledger import FILE, Ledger
from runtime.ledger.outcomes import counts, outcomes


def _cut(path: Path, head: bytes) -> None:
    path.write_bytes(head[: len(head) // 3])


def _nan(path: Path, head: bytes) -> None:
    image = nib.Nifti1Image.from_bytes(head)
    voxels = np.asarray(image.dataobj, dtype=np.float32).copy()
    voxels[::5] = np.nan
    path.write_bytes(nib.Nifti1Image(voxels, image.affine).to_bytes())


def _constant(path: Path, head: bytes) -> None:
    path.write_bytes(head[:352] + head[352:356] * ((len(head) - 352) // 4))


def _claims(path: Path, head: bytes) -> None:
    path.write_bytes(head[:42] + (30000).to_bytes(2, "little") * 3 + head[48:])


def _folder(path: Path, head: bytes) -> None:
    path.mkdir()
    (path / "notes.txt").write_bytes(head[:100])


KINDS: dict[str, Any] = {
    "cut off": _cut,
    "no image": lambda path, head: path.write_bytes(b"no image " + head[148:228]),
    "NaN": _nan,
    "constant": _constant,
    "claims 2e13 voxels": _claims,
    "folder without scan": _folder,
    "half a zip": lambda path, head: path.write_bytes(b"PK\x03\x04" + head[100:5000]),
    "link": lambda path, head: path.symlink_to("/etc/hostname"),
}
"""By kind, what writes such an input from a head's bytes."""


EVERY = 10
"""One input of so many is corrupt."""

_DESCRIPTION = slice(148, 228)  # of a NIfTI-1 header: free text that no result depends on


@dataclass
class Feed:
    """What was put into the inbox.

    Attributes:
        good: names of studies to be answered.
        bad: names of what must be put aside, with the kind of damage.
    """

    inbox: Path
    heads: list[bytes]
    good: list[str] = field(default_factory=list)
    bad: dict[str, str] = field(default_factory=dict)

    def one(self) -> None:
        """Put in the next input; every seventh is still growing when it is first seen."""
        number = len(self.good) + len(self.bad)
        if number % EVERY == EVERY - 1:
            kinds = list(KINDS)
            kind = kinds[len(self.bad) % len(kinds)]
            name = f"bad{number:06d}.nii"
            KINDS[kind](self.inbox / name, self._head(number))
            self.bad[name] = kind
        else:
            name = f"good{number:06d}"
            data = self._head(number)
            if len(self.heads) > 1:  # TurboPrep's two files
                folder = self.inbox / name
                folder.mkdir()
                (folder / "normalized.nii.gz").write_bytes(gzip.compress(data, 1))
                (folder / "mask.nii.gz").write_bytes(gzip.compress(self.heads[1], 1))
            else:
                name += ".nii"
                with (self.inbox / name).open("wb") as stream:
                    stream.write(data[: len(data) // 2])
                    if number % 7 == 0:
                        stream.flush()
                        time.sleep(SETTLE_S / 2)
                    stream.write(data[len(data) // 2 :])
            self.good.append(name)

    def _head(self, number: int) -> bytes:
        data = bytearray(self.heads[0])
        data[_DESCRIPTION] = (b"soak %06d" % number).ljust(80, b"\0")
        return bytes(data)


def heads(scan: Path | None) -> list[bytes]:
    """A head as uncompressed NIfTI-1, or the bundle's template with its mask, as TurboPrep's."""
    if scan is not None:
        image = nib.Nifti1Image.from_filename(scan)
        array = np.asarray(image.dataobj, dtype=np.float32)
        return [nib.Nifti1Image(array, image.affine).to_bytes()]
    voxels = np.asarray(nib.Nifti1Image.from_filename(bundles.DEMO / "template.nii.gz").dataobj)
    parts = (voxels.astype(np.float32), (voxels > 0).astype(np.uint8))
    return [nib.Nifti1Image(part, space.grid_affine()).to_bytes() for part in parts]


class WatchProcess:
    """`fmtool watch` as a process, and the most memory that it and its children had."""

    def __init__(self, inbox: Path, out: Path, bundle: Path | None) -> None:
        words = ["watch", inbox, "--out", out, "--settle", SETTLE_S, "--log", out / "watch.log"]
        words += ["--bundle", bundle] if bundle else []
        self._words = [sys.executable, "-m", "fmtool", *map(str, words)]
        self.starts = 0
        self.start()

    def start(self) -> None:
        """Start it, again."""
        self._process = subprocess.Popen(self._words)
        self.started = time.monotonic()
        self.starts += 1

    def end(self, number: int) -> tuple[int, float]:
        """Send a signal; the exit code, and the seconds until the end."""
        clock = time.monotonic()
        self._process.send_signal(number)
        return self._process.wait(), time.monotonic() - clock

    def kill(self) -> None:
        """End it, if it runs; nothing is left behind after a failure here."""
        self._process.kill()
        self._process.wait()

    @property
    def alive(self) -> bool:
        """Whether it runs; nobody else should end it."""
        return self._process.poll() is None

    def memory(self) -> int:
        """Bytes of it and its children, without what they share."""
        try:
            whole = psutil.Process(self._process.pid)
            return sum(p.memory_full_info().uss for p in (whole, *whole.children(recursive=True)))
        except psutil.Error:
            return 0  # one of them ended in between


AHEAD = 6
"""Studies that wait: enough that the watch never does."""

WARM_S = 30.0


def soak(minutes: float, scan: Path | None, bundle: Path | None, folder: Path) -> dict[str, Any]:
    """Feed, disturb, check; what came out, as plain data."""
    inbox, out = folder / "inbox", folder / "outbox"
    for place in (inbox, out):
        place.mkdir()
    watch = WatchProcess(inbox, out, bundle)
    try:
        return _soak(minutes, Feed(inbox, heads(scan)), watch, inbox, out)
    finally:
        watch.kill()


def _soak(
    minutes: float, feed: Feed, watch: WatchProcess, inbox: Path, out: Path
) -> dict[str, Any]:
    began, ends = time.monotonic(), {}
    memory: list[tuple[float, int]] = []
    faults = [(minutes * 20, signal.SIGTERM), (minutes * 40, signal.SIGKILL)]
    while (now := time.monotonic() - began) < minutes * 60:
        if not watch.alive:
            raise SystemExit("the watch ended by itself; see its log")
        if faults and now > faults[0][0]:
            _, number = faults.pop(0)
            ends[number.name] = watch.end(number)
            watch.start()
        if sum(1 for _ in inbox.iterdir()) < AHEAD:
            feed.one()
        elif time.monotonic() - watch.started > WARM_S:
            memory.append((now, watch.memory()))
            time.sleep(0.2)
        else:
            time.sleep(0.2)
        if shutil.disk_usage(out).free < 4 << 30:
            raise SystemExit("too little space is left to go on")
        for original in (out / "done").glob("good*"):  # an hour of originals would fill the disk
            shutil.rmtree(original) if original.is_dir() else original.unlink(missing_ok=True)
    fed = time.monotonic() - began
    while any(inbox.iterdir()) and watch.alive:
        time.sleep(0.2)
    ends["SIGTERM at the end"] = watch.end(signal.SIGTERM)
    return {
        "minutes": round(fed / 60, 2),
        "studies per minute": round(len(feed.good) / fed * 60, 2),
        "starts": watch.starts,
        "ends": {name: [code, round(seconds, 2)] for name, (code, seconds) in ends.items()},
        **_memory(memory),
        **check(feed, out),
    }


def _memory(samples: list[tuple[float, int]]) -> dict[str, Any]:
    """The middle of the first and of the last quarter's samples, in MB."""
    sizes = [size for _, size in samples if size]
    if len(sizes) < 8:
        return {}
    quarter = len(sizes) // 4
    first, last = np.median(sizes[:quarter]), np.median(sizes[-quarter:])
    return {"memory MB": [round(float(first) / 1e6), round(float(last) / 1e6)]}


def check(feed: Feed, out: Path) -> dict[str, Any]:
    """Whether every input came out where it should."""
    problems = []
    values = []
    for name in feed.good:
        path = out / name.removesuffix(".nii") / "result.json"
        try:
            values.append(json.loads(path.read_text())["values"]["age"]["value"])
        except (OSError, ValueError, KeyError):
            problems.append(f"{name} has no answer")
    for name, kind in feed.bad.items():
        note = out / "quarantine" / name.removesuffix(".nii") / "reason.txt"
        if not note.is_file() or not note.read_text().strip():
            problems.append(f"{name} ({kind}) was not put aside with a reason")
    if any(not math.isfinite(v) for v in values) or np.ptp(values or [0.0]) > 0.01:
        problems.append(f"the same head got values from {min(values)} to {max(values)}")
    with Ledger(out / FILE) as ledger:
        states = counts(ledger)
        results = len({row["content"] for row in outcomes(ledger) if "values" in row})
    if results != len(feed.good) or states["done"] != len(feed.good):
        problems.append(f"the ledger says {states}, {results} results")
    return {
        "good": len(feed.good),
        "answered": len(values),
        "bad": len(feed.bad),
        "kinds": dict(Counter(feed.bad.values())),
        "ledger": states,
        "problems": problems,
    }
