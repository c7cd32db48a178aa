"""The DICOM node killed at random moments, with every document on: is any of them lost?

The node runs in a process of its own; its answer is made up, its documents (report, page, mask, map
and FHIR) are real, and go to a peer that stores them and reports its commitments in associations of
its own. Each round sends a small series until it is acknowledged, and kills the node (SIGKILL) at a
random moment after that; at the end it runs until nothing waits any more.

    python -m benchmarks.node_crash --kills 200

Writes one JSON object to stdout; exit code 1 if a document is absent, differs or is not committed.
"""

from __future__ import annotations

import multiprocessing
import random
import sys
import tempfile
import threading
import time
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, cast

from benchmarks.node.archive import Archive, drained
from benchmarks.node.made import MadeUp, series
from benchmarks.node.scanner import send
from benchmarks.shared import script
from runtime.service.ending import Ending
from runtime.service.log import configure
from runtime.service.node.log import hush_libraries
from runtime.service.node.peers.destinations import Destinations
from runtime.service.node.policy import Peer, Policy
from runtime.service.node.server import DicomNode, NodeSettings
from runtime.service.worker import OrderWorker

_LONGEST_S = 4.0  # from the last acknowledgement to the kill
_END_S = 600.0


def main() -> int:
    """Kill, let it end, check; 0 if nothing was lost."""
    args = script.options(__doc__, kills=200, seed=0)
    with tempfile.TemporaryDirectory(prefix="fmtool-crash-") as name:
        report = run(Path(name), args.kills, random.Random(args.seed))
    script.tell(report, None)
    return 1 if report["documents_lost"] else 0


def run(folder: Path, kills: int, draw: random.Random) -> dict[str, Any]:
    """Kill a node so often; what its peer and its folders have in the end."""
    archive = Archive()
    for name in ("fhir", "series"):
        (folder / name).mkdir()
    broken = 0
    for number in range(kills):
        node, archive.node = _start(folder, archive.port)
        head = series(folder / "series" / str(number), number)
        broken += send(archive.node, head, whole=True).broken
        time.sleep(draw.uniform(0.0, _LONGEST_S))
        node.kill()
        node.join()
    node, archive.node = _start(folder, archive.port)
    inbox = folder / "inbox"
    drained(inbox, _END_S)
    node.kill()
    node.join()
    return {"kills": kills, "associations_broken": broken, **archive.kept(folder, kills)}


def _start(folder: Path, peer: int) -> tuple[BaseProcess, int]:
    """A node's process, and its port."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    node = context.Process(target=_node, args=(theirs, folder, peer), daemon=True)
    node.start()
    return node, ours.recv()


def _node(pipe: Connection, folder: Path, peer: int) -> None:
    configure(folder / "node.log")
    hush_libraries()
    to = Destinations(Peer("ARCHIVE", "127.0.0.1", peer), fhir=folder / "fhir")
    policy = Policy(allow=("SCANNER",), settle_s=0.5, min_free_bytes=0, commit_s=5.0)
    node = DicomNode(NodeSettings(policy, folder / "inbox", port=0, to=to), Ending())
    node.start(cast(OrderWorker, MadeUp()))
    pipe.send(node.address[1])
    threading.Event().wait()


if __name__ == "__main__":
    sys.exit(main())
