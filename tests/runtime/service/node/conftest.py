"""A node on a free loopback port, tiny synthetic series, and an answer that needs no network."""

from __future__ import annotations

import io
import json
import logging
import threading
import time
from contextlib import contextmanager
from functools import partial
from socketserver import BaseServer
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("pynetdicom", reason="the dicom extra is absent")
pytest.importorskip("highdicom", reason="the dicom extra is absent")

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import MRImageStorage, SecondaryCaptureImageStorage
from pynetdicom.transport import ThreadedAssociationServer

from fmtool.errors import InputError
from fmtool.task import AGE, SEX
from runtime.ledger import Identifiers
from runtime.preprocess.pipeline import Prepared
from runtime.result import Failure, Prediction, Result
from runtime.service.answer import AnsweredBy, answered
from runtime.service.ending import Ending
from runtime.service.log import JsonLines
from runtime.service.node import front, server
from runtime.service.node.documents import documents
from runtime.service.node.log import logger
from runtime.service.node.peers.destinations import Destinations
from runtime.service.node.policy import Peer, Policy

PLANTED = "Planted^Patient"
COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.88.33"


def objects(count=3, patient=PLANTED, syntax=ExplicitVRLittleEndian, **extra):
    """A tiny MR series, one object per slice."""
    study, series = generate_uid(prefix=None), generate_uid(prefix=None)
    for number in range(1, count + 1):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = syntax
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = MRImageStorage
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
        ds.PatientName, ds.PatientID = patient, "PLANTED-ID"
        ds.PatientBirthDate, ds.PatientSex = "19700101", "F"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = study, series
        ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber = "20200102", "101112", "7", "A1"
        ds.Modality, ds.Manufacturer, ds.SeriesNumber = "MR", "Maker", 4
        ds.ReferringPhysicianName = "Planted^Physician"
        ds.InstanceNumber = number
        ds.Rows = ds.Columns = 8
        ds.BitsAllocated = ds.BitsStored = 16
        ds.HighBit, ds.PixelRepresentation, ds.SamplesPerPixel = 15, 0, 1
        ds.PhotometricInterpretation = "MONOCHROME2"
        ds.PixelData = np.full((8, 8), number, np.uint16).tobytes()
        for keyword, value in extra.items():
            setattr(ds, keyword, value)
        yield ds


def made_result(name="series"):
    """A Result as a Predictor would give it, of an 8x9x10 head."""
    array = np.linspace(0, 1, 720, dtype=np.float32).reshape(8, 9, 10)
    brain = array > 0.2
    prepared = Prepared(array, brain, np.eye(4), array, brain, np.eye(4), {"brain_volume_ml": 1.0})
    evidence = {"metric": "MAE", "value": 7.2, "unit": "years", "sample": "28 adults"}
    return Result(
        scan=name,
        predictions={
            "age": Prediction(AGE, 41.2345678, evidence, ["No better than its baseline."]),
            "sex": Prediction(SEX, 0.25, {}, []),
        },
        embedding=np.zeros(4, np.float32),
        quality=[],
        prepared=prepared,
        bundle={"name": "demo", "digest": "ab" * 32, "demonstration": True, "limits": ["Limits."]},
        engine="onnxruntime on cpu, float32",
        facts={"brain_volume_ml": 1.0},
        timings={"total": 0.1},
        warnings=["A check warned."],
    )


class Running:
    """A node and its log."""

    def __init__(self, node, stream, policy):
        self.node, self._stream, self.policy = node, stream, policy
        self.inbox = node.inbox.folder

    @property
    def port(self):
        return self.node.address[1]

    @property
    def log(self):
        return self._stream.getvalue()

    def events(self, name):
        lines = [json.loads(line) for line in self.log.splitlines()]
        return [line for line in lines if line["event"] == name]

    def wait(self, name, count=1, seconds=60.0):
        """Until an event was logged so often; its lines."""
        return until(lambda: len(e := self.events(name)) >= count and e, seconds, lambda: self.log)

    def files(self, place):
        return sorted((self.inbox / place).rglob("*.dcm"))


def until(condition, seconds=60.0, otherwise=lambda: "waited in vain"):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, otherwise()
        time.sleep(0.02)
    return found


class Answering:
    """A worker in this process: `answer` gives a folder's Result, or a Failure, or raises."""

    about = AnsweredBy("demo", "ab" * 32, "none")
    alive = True

    def __init__(self, answer, make):
        self._answer, self._make = answer, make

    def ensure(self):
        pass

    def __call__(self, order, give_up):
        found = []

        def predict(folder):
            found.append(self._answer(folder))
            if isinstance(found[0], Failure):
                raise InputError(found[0].reason)
            return found[0]

        return answered(order, predict, self._make, None)


@pytest.fixture
def run_node(tmp_path, monkeypatch):
    """`with run_node(answer, peer=..., **policy) as running`: a node, stopped at the end."""

    monkeypatch.setattr(server, "_POLL_S", 0.02)
    monkeypatch.setattr(front, "_PAUSE_S", 0.02)

    @contextmanager
    def run(answer=None, peer=None, tls=None, to=None, wanted=None, **changes):
        changes = {"allow": ("SCANNER",), "settle_s": 0.3, "min_free_bytes": 0, **changes}
        policy, stream = Policy(**changes), io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(JsonLines(Identifiers.drop))
        before = logger.level
        logger.addHandler(handler)
        logger.setLevel("INFO")
        try:
            to = to or Destinations(peer)
            settings = server.NodeSettings(policy, tmp_path / "inbox", port=0, to=to, tls=tls)
            node = server.DicomNode(settings, Ending(2.0))
            make = partial(documents, **(wanted or {}))
            node.start(Answering(answer or (lambda folder: made_result(folder.name)), make))
            try:
                yield Running(node, stream, policy)
            finally:
                node.stop()
        finally:
            logger.removeHandler(handler)
            logger.setLevel(before)

    return run


@contextmanager
def calling(running, aet="SCANNER", called="FMTOOL", contexts=None, tls_args=None):
    """An association with a node, established or not; released or aborted at the end."""
    ae = AE(aet)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 20
    for sop_class, syntaxes in contexts or [
        ("1.2.840.10008.1.1", ImplicitVRLittleEndian),
        (MRImageStorage, [ExplicitVRLittleEndian]),
    ]:
        ae.add_requested_context(sop_class, syntaxes)
    assoc = ae.associate("127.0.0.1", running.port, ae_title=called, tls_args=tls_args)
    try:
        yield assoc
    finally:
        if assoc.is_established:
            assoc.release()


def send(running, datasets, **how):
    """Send objects over one association; their statuses."""
    with calling(running, **how) as assoc:
        assert assoc.is_established
        return [assoc.send_c_store(ds).get("Status") for ds in datasets]


class Pacs:
    """A peer that takes reports; `answers` are the statuses that it gives first, and `unwanted`
    the objects that it never takes; `takes` are its SOP classes, in `syntaxes`.
    """

    def __init__(self, aet="PACS", takes=(COMPREHENSIVE_SR, SecondaryCaptureImageStorage),
                 syntaxes=(ExplicitVRLittleEndian, ImplicitVRLittleEndian)):  # fmt: skip
        self.received, self.answers, self.unwanted = [], [], set()
        self._lock = threading.Lock()
        self._ae = AE(aet)
        self._ae.require_called_aet = True
        for sop_class in takes:
            self._ae.add_supported_context(sop_class, list(syntaxes))
        self.aet, self.port, self._server = aet, 0, None

    def start(self, ssl_context=None):
        self._server = self._ae.make_server(
            ("127.0.0.1", self.port),
            evt_handlers=[(evt.EVT_C_STORE, self._store)],
            ssl_context=ssl_context,
            server_class=ThreadedAssociationServer,
        )
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.port = self._server.server_address[1]
        return self

    def stop(self):
        if self._server is not None:
            BaseServer.shutdown(self._server)
            self._server.server_close()
            self._server = None

    @property
    def peer(self):
        return Peer(self.aet, "127.0.0.1", self.port)

    def _store(self, event):
        with self._lock:
            if self.answers and (answer := self.answers.pop(0)):
                return answer(event) if callable(answer) else answer
            ds = event.dataset
            if ds.SOPInstanceUID in self.unwanted:
                return 0xC000
            ds.file_meta = event.file_meta
            self.received.append(ds)
        return 0x0000


@pytest.fixture
def pacs():
    peer = Pacs().start()
    yield peer
    peer.stop()


@pytest.fixture(scope="session")
def kit():
    """The helpers above, for test files, which cannot import them."""
    return SimpleNamespace(
        objects=objects,
        result=made_result,
        until=until,
        calling=calling,
        send=send,
        pacs=Pacs,
        planted=PLANTED,
    )
