"""The DICOM node under load: is anything lost, and does its memory stay flat?

The node runs in a process of its own, with an answer that refuses every series at once; what is
measured is receiving, storing, completing and putting aside. After a warm-up of every kind of load,
one association after the other, then many at once until all instances are sent; the node's resident
memory is read when it is idle again.

    python -m benchmarks.node_load                      # 500 in a row, 32 at once, 10,000 instances
    python -m benchmarks.node_load --in-a-row 50 --instances 1000 --at-once 8
    python -m benchmarks.node_load --documents          # whole heads, each with an answer

With `--documents` the instances are small heads, an association each, sent again whole if it
breaks; their answer is made up, their documents (report, page, mask, map and FHIR) are real and
committed by a peer.

Writes one JSON object to stdout; exit code 1 if an instance or a document was lost or memory grew
beyond 5 %.
"""

from __future__ import annotations

import multiprocessing
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom.sop_class import MRImageStorage  # type: ignore[attr-defined]

from benchmarks.node.archive import Archive, drained
from benchmarks.node.made import MadeUp, series
from benchmarks.node.scanner import Sent, send
from benchmarks.shared import script
from runtime.service.answer import AnsweredBy, Fate, Order, Outcome
from runtime.service.ending import Ending
from runtime.service.log import configure
from runtime.service.node.log import hush_libraries
from runtime.service.node.peers.destinations import Destinations
from runtime.service.node.policy import Peer, Policy
from runtime.service.node.server import DicomNode, NodeSettings
from runtime.service.worker import OrderWorker
from runtime.system.child import GiveUp

GROWTH = 0.05
"""How much more memory than after the warm-up is too much."""


_PER_SERIES = 100
_SETTLE_S = 1.0
_END_S = 1800.0


def main() -> int:
    """Run the load; 0 if nothing was lost and memory stayed flat."""
    args = script.options(
        __doc__,
        in_a_row=500,
        at_once=32,
        instances=10_000,
        documents=(False, "answer every series, with every document switched on"),
        folder=(Path, "for the inbox; a temporary one if absent"),
    )
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        report = run(Path(folder), args.in_a_row, args.at_once, args.instances, args.documents)
    script.tell(report, None)
    return 0 if not report["lost"] and report["growth"] <= GROWTH else 1


def run(
    folder: Path, in_a_row: int, at_once: int, instances: int, documents: bool = False
) -> dict[str, float]:
    """Load a node; what was sent, lost and how memory went, bytes."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    archive = Archive() if documents else None
    (folder / "fhir").mkdir()
    peer = archive.port if archive else None
    node = context.Process(target=_node, args=(theirs, folder, at_once, peer), daemon=True)
    node.start()
    port = ours.recv()
    assert node.pid is not None
    loads = _heads(folder) if archive else ([one] for one in _instances())
    if archive:
        archive.node = port
    try:
        parts = [_in_a_row(port, _some(loads, max(60, in_a_row // 5)))]
        parts.append(
            _at_once(port, at_once, _some(loads, max(10 * at_once, instances // 5)), documents)
        )
        warm = _idle_rss(node.pid, folder)
        some = _some(loads, in_a_row)
        row, row_s = script.timed(lambda: _in_a_row(port, some))
        after_row = _idle_rss(node.pid, folder)
        many = _some(loads, instances)
        once, once_s = script.timed(lambda: _at_once(port, at_once, many, documents))
        after, idle_s = script.timed(lambda: _idle_rss(node.pid or 0, folder))
    finally:
        ours.send(None)
        node.join(60)
    sent = _sum([*parts, row, once])
    report = {
        "in_a_row": in_a_row,
        "at_once": at_once,
        "instances": instances,
        "sent": sent.instances,
        "associations_broken": sent.broken,
        "associations_per_s": round(len(some) / row_s, 1),
        "instances_per_s": round(once.instances / once_s, 1),
        "idle_s": round(idle_s, 1),
        "rss_warm": warm,
        "rss_after_row": after_row,
        "rss_after": after,
        "growth": round(max(after, after_row) / warm - 1, 4),
    }
    if archive is None:
        return report | {"lost": sent.instances - len(list(folder.rglob("*.dcm")))}
    kept = archive.kept(folder, len(list((folder / "heads").glob("*.nii"))))
    return report | kept | {"lost": kept["documents_lost"]}


def _some(loads: Iterator[list[Dataset]], count: int) -> list[list[Dataset]]:
    """What goes over an association each, until it is so many instances."""
    found: list[list[Dataset]] = []
    while sum(map(len, found)) < count:
        found.append(next(loads))
    return found


def _heads(folder: Path) -> Iterator[list[Dataset]]:
    (folder / "heads").mkdir()
    for number in count():
        yield series(folder / "heads" / str(number), number)
        shutil.rmtree(folder / "heads" / str(number))


def _node(pipe: Connection, folder: Path, at_once: int, peer: int | None) -> None:
    configure(folder / "node.log")
    hush_libraries()
    policy = Policy(
        allow=("SCANNER",),
        max_associations=at_once,
        settle_s=_SETTLE_S,
        min_free_bytes=0,
        commit_s=5.0,
    )
    to = Destinations()
    if peer:
        to = Destinations(Peer("ARCHIVE", "127.0.0.1", peer), fhir=folder / "fhir")
    node = DicomNode(NodeSettings(policy, folder / "inbox", port=0, to=to), Ending())
    node.start(cast(OrderWorker, MadeUp() if peer else _Refusing()))
    pipe.send(node.address[1])
    pipe.recv()
    node.stop()


class _Refusing:
    """Who answers: nothing is predicted."""

    about = AnsweredBy("none", "", "none")
    alive = True

    def ensure(self) -> None:
        """It is there."""

    def __call__(self, order: Order, give_up: GiveUp) -> Outcome:
        return Outcome(Fate.refused, "InputError", "a load test")


def _instances() -> Iterator[Dataset]:
    study = generate_uid(prefix=None)
    for number in count():
        if number % _PER_SERIES == 0:
            series = generate_uid(prefix=None)
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID, ds.SOPInstanceUID = MRImageStorage, generate_uid(prefix=None)
        ds.PatientID, ds.StudyInstanceUID, ds.SeriesInstanceUID = "LOAD", study, series
        ds.Rows = ds.Columns = 8
        ds.BitsAllocated, ds.PixelRepresentation = 16, 0
        ds.PixelData = bytes(128)
        yield ds


def _in_a_row(port: int, loads: list[list[Dataset]]) -> Sent:
    """Send over as many associations, one after the other."""
    return _sum(send(port, load) for load in loads)


def _at_once(port: int, width: int, loads: list[list[Dataset]], whole: bool) -> Sent:
    """Send over `width` associations that are open at the same time; one for each if `whole`."""
    barrier = threading.Barrier(width)

    def all_of(share: list[list[Dataset]]) -> Sent:
        barrier.wait()
        if whole:
            return _sum(send(port, load, whole) for load in share)
        return send(port, list(chain.from_iterable(share)))

    shares = [loads[number::width] for number in range(width)]
    with ThreadPoolExecutor(width) as pool:
        return _sum(pool.map(all_of, shares))


def _sum(parts: Iterable[Sent]) -> Sent:
    every = list(parts)
    return Sent(sum(part.instances for part in every), sum(part.broken for part in every))


def _idle_rss(pid: int, folder: Path) -> int:
    """The node's resident memory once it has dealt with everything."""
    time.sleep(6 * _SETTLE_S)
    if not drained(folder / "inbox", _END_S):
        raise SystemExit(f"the node has not ended its work within {_END_S:g} s")
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise RuntimeError("no VmRSS: this benchmark needs Linux")


if __name__ == "__main__":
    sys.exit(main())
