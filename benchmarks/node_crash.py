"""The DICOM node killed at random moments, with every document on: is any of them lost?

The node runs in a process of its own; its answer is made up, its documents (report, page, mask, map
and FHIR) are real, and go to a peer that stores them and reports its commitments in associations of
its own. Each round sends a small series until it is acknowledged, and kills the node (SIGKILL) at a
random moment after that; at the end it runs until nothing waits any more.

    python -m benchmarks.node_crash --kills 200

Writes one JSON object to stdout; exit code 1 if a document is absent, differs or is not committed.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import sys
import tempfile
import threading
import time
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, cast

import nibabel as nib
import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import MRImageStorage  # type: ignore[attr-defined]
from pynetdicom.sop_class import StorageCommitmentPushModelInstance as Instance

from benchmarks.packages.made_series import write
from benchmarks.shared import script
from fmtool import bundle as bundles
from fmtool.task import AGE
from runtime import scan
from runtime.attribution import Attribution, placed
from runtime.documents.naming import DOCUMENTS
from runtime.preprocess.pipeline import Prepared
from runtime.result import Prediction, Result
from runtime.service.answer import AnsweredBy, Order, Outcome, answered
from runtime.service.ending import Ending
from runtime.service.log import configure
from runtime.service.node.documents import documents
from runtime.service.node.log import hush_libraries
from runtime.service.node.peers.commit import SOP_CLASS
from runtime.service.node.peers.destinations import Destinations
from runtime.service.node.policy import Peer, Policy
from runtime.service.node.server import DicomNode, NodeSettings
from runtime.service.worker import OrderWorker
from runtime.system.child import GiveUp

_LONGEST_S = 4.0  # from the last acknowledgement to the kill
_END_S = 600.0


def main() -> int:
    """Kill, let it end, check; 0 if nothing was lost."""
    args = script.options(__doc__, kills=200, seed=0)
    with tempfile.TemporaryDirectory(prefix="fmtool-crash-") as name:
        report = run(Path(name), args.kills, random.Random(args.seed))
    script.tell(report, None)
    return 1 if report["problems"] else 0


def run(folder: Path, kills: int, draw: random.Random) -> dict[str, Any]:
    """Kill a node so often; what its peer and its folders have in the end."""
    archive = Archive()
    for name in ("fhir", "series"):
        (folder / name).mkdir()
    for number in range(kills):
        node, archive.node = _start(folder, archive.port)
        _send(archive.node, _series(folder / "series" / str(number), number))
        time.sleep(draw.uniform(0.0, _LONGEST_S))
        node.kill()
        node.join()
    node, archive.node = _start(folder, archive.port)
    inbox, end = folder / "inbox", time.monotonic() + _END_S
    places = ("receiving", "answering", "outgoing", "committing")
    while any(any((inbox / place).iterdir()) for place in places) and time.monotonic() < end:
        time.sleep(0.2)
    node.kill()
    node.join()
    jobs = [json.loads(file.read_bytes()) for file in (inbox / "sent").glob("*.json")]
    expected = kills * (len(DOCUMENTS) + 1)
    found = {
        "kills": kills,
        "documents": len(archive.stored) + len(list((folder / "fhir").iterdir())),
        "committed": sum(len(job["committed"]) for job in jobs),
        "sent_again": archive.again,
        "different": archive.different,
        "put_aside": len(list(inbox.glob("refused/*/*"))) + len(list(inbox.glob("quarantine/*"))),
    }
    short = expected - found["documents"], kills * len(DOCUMENTS) - found["committed"]
    problems = [*short, found["different"], found["put_aside"]]
    return {**found, "problems": sum(map(abs, problems))}


class Archive:
    """The peer: what it stored, by instance, and how often it got one again, as it was or not."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.again = self.different = self.node = 0
        ae = AE("ARCHIVE")
        for sop_class, _ in DOCUMENTS.values():
            ae.add_supported_context(sop_class)
        ae.add_supported_context(SOP_CLASS)
        handlers: list[Any] = [(evt.EVT_C_STORE, self._store), (evt.EVT_N_ACTION, self._asked)]
        server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        assert server is not None
        self.port = int(server.server_address[1])

    def _store(self, event: evt.Event) -> int:
        uid, data = str(event.dataset.SOPInstanceUID), bytes(event.encoded_dataset(False))
        if uid in self.stored:
            self.again += 1
            self.different += len(self.stored[uid]) != len(data)
        self.stored[uid] = data
        return 0

    def _asked(self, event: evt.Event) -> tuple[int, None]:
        said = event.action_information
        kept = [i.ReferencedSOPInstanceUID in self.stored for i in said.ReferencedSOPSequence]
        if all(kept):
            threading.Thread(target=self._report, args=(said,), daemon=True).start()
        return 0, None

    def _report(self, said: Dataset) -> None:
        ae = AE("ARCHIVE")
        ae.add_requested_context(SOP_CLASS)
        role = build_role(SOP_CLASS, scp_role=True)
        association = ae.associate("127.0.0.1", self.node, ae_title="FMTOOL", ext_neg=[role])
        if association.is_established:  # else the node was killed, and asks again
            association.send_n_event_report(said, 1, SOP_CLASS, Instance)
            association.release()


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
    policy = Policy(allow=("CRASH",), settle_s=0.5, min_free_bytes=0, commit_s=5.0)
    node = DicomNode(NodeSettings(policy, folder / "inbox", port=0, to=to), Ending())
    node.start(cast(OrderWorker, _MadeUp()))
    pipe.send(node.address[1])
    threading.Event().wait()


class _MadeUp:
    """Who answers: nothing is predicted, and all documents are made."""

    about = AnsweredBy("none", "ab" * 32, "none")
    alive = True

    def ensure(self) -> None:
        """It is there."""

    def __call__(self, order: Order, give_up: GiveUp) -> Outcome:
        return answered(order, _result, partial(documents, fhir=True), cast(Any, None))


def _result(folder: Path) -> Result:
    head = scan.read(folder)
    brain = head.array > np.median(head.array)
    prepared = Prepared(
        head.array, brain, np.eye(4), head.array, brain, head.affine, {"brain_volume_ml": 1.0}
    )
    values = np.random.default_rng(0).normal(size=(10, 12, 12)).astype(np.float32)
    shown = Attribution(values, float(values.mean()), None, placed(values.shape, None))
    evidence = {"metric": "MAE", "value": 7.0, "unit": "years", "beats_baseline": True}
    about = {"name": "none", "digest": "ab" * 32, "demonstration": True, "limits": []}
    return Result(
        scan=folder.name,
        predictions={"age": Prediction(AGE, 40.0, evidence, [])},
        embedding=np.zeros(4, np.float32),
        quality=[],
        prepared=prepared,
        bundle=about,
        engine="none",
        facts={"brain_volume_ml": 1.0},
        timings={"total": 0.0},
        maps={"age": shown},
        stack=head.stack,
    )


def _series(folder: Path, seed: int) -> list[Dataset]:
    """A head of few voxels, another for each seed."""
    template = nib.load(bundles.DEMO / "template.nii.gz")
    voxels = np.asarray(template.dataobj, dtype=np.float32)[::4, ::4, ::4] + seed % 7
    volume = folder.with_suffix(".nii")
    nib.save(nib.Nifti1Image(voxels, template.affine @ np.diag([4, 4, 4, 1.0])), volume)
    write(volume, folder)
    return [dcmread(file) for file in sorted(folder.iterdir())]


def _send(port: int, series: list[Dataset]) -> None:
    ae = AE("CRASH")
    ae.add_requested_context(MRImageStorage)
    association = ae.associate("127.0.0.1", port, ae_title="FMTOOL")
    for one in series:
        if association.send_c_store(one).get("Status") != 0:
            raise SystemExit("the node did not take an object")
    association.release()


if __name__ == "__main__":
    sys.exit(main())
