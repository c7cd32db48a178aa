"""Other people's DICOM software: dcmtk and Orthanc send a real series and take the report back.

`make peers-check` fetches Debian's packages of them and unpacks them, which needs no root; they are
found by PATH, LD_LIBRARY_PATH and ORTHANC_PLUGINS.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import highdicom
import pytest
from pydicom import dcmread

from fmtool import NOTICE

pytestmark = [pytest.mark.slow, pytest.mark.data, pytest.mark.timeout(1800)]


TASKS = ("age", "sex")
"""Of the demonstration bundle."""

_OWN = str(Path(sys.executable).parent)


def _tool(name):
    # Not those of the environment: pynetdicom has a `storescu` of its own.
    places = [place for place in os.environ["PATH"].split(os.pathsep) if place != _OWN]
    found = shutil.which(name, path=os.pathsep.join([*places, "/usr/sbin"]))
    if found is None:
        pytest.skip(f"{name} is absent: make peers-check fetches it")
    return found


def _free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def _until(condition, seconds=1500.0):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.5)
    return found


@contextmanager
def _process(*words, log):
    with open(log, "wb") as stream:
        process = subprocess.Popen(list(map(str, words)), stdout=stream, stderr=stream)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) is not None


@pytest.fixture(scope="module")
def series(data_dir, tmp_path_factory):
    """The real series, unpacked."""
    archives = sorted((data_dir / "dicom").glob("*.zip"))
    if not archives:
        pytest.skip(f"no series in {data_dir / 'dicom'}")
    folder = tmp_path_factory.mktemp("series")
    zipfile.ZipFile(archives[0]).extractall(folder)
    return folder


@pytest.fixture
def node(tmp_path):
    """`with node(peer) as (port, log, inbox)`: `fmtool serve dicom` in a process of its own."""

    @contextmanager
    def run(peer, *more):
        port, log, inbox = _free_port(), tmp_path / "node.log", tmp_path / "inbox"
        words = ["serve", "dicom", "--inbox", inbox, "--port", port, "--peer", peer]
        words += ["--allow", "SCANNER", "--allow", "ORTHANC", "--settle", "5", "--min-free", "100"]
        words += more
        with _process(sys.executable, "-m", "fmtool", *words, log=log) as process:
            _until(
                lambda: (
                    '"listening"' in log.read_text(encoding="utf-8") or process.poll() is not None
                )
            )
            assert process.poll() is None, log.read_text(encoding="utf-8")
            yield port, log, inbox
        assert process.returncode == 143, log.read_text(encoding="utf-8")
        assert "Jane" not in log.read_text(encoding="utf-8")

    return run


def _said(log, event):
    """The log's lines of an event."""
    lines = map(json.loads, log.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line["event"] == event]


def _committed(inbox):
    """The documents of the only job, all sent, that the peer said it keeps."""
    (job,) = (inbox / "sent").iterdir()
    said = json.loads(job.read_bytes())
    assert not said["refused"]
    return said["committed"]


def _check(documents, source):
    """All documents of the source's patient and study, clean where a checker is at hand."""
    kinds = Counter(ds.SOPClassUID.keyword for ds in documents.values())
    maps = kinds.pop("ParametricMapStorage")
    assert 1 <= maps <= len(TASKS)  # of each head that is better than its baseline
    assert kinds == {
        "ComprehensiveSRStorage": 1, "SecondaryCaptureImageStorage": 1, "SegmentationStorage": 1,
    }  # fmt: skip
    by_class = {ds.SOPClassUID.keyword: ds for ds in documents.values()}
    for ds in documents.values():
        for keyword in ("PatientName", "PatientID", "StudyInstanceUID"):
            assert ds[keyword].value == source[keyword].value
    report = by_class["ComprehensiveSRStorage"]
    groups = highdicom.sr.ComprehensiveSR.from_dataset(
        report
    ).content.get_volumetric_roi_measurement_groups()
    values = {g.tracking_identifier: g.get_measurements()[0].value for g in groups}
    mask = by_class["SegmentationStorage"]
    assert {g.referenced_segment.referenced_sop_instance_uid for g in groups} == {
        mask.SOPInstanceUID
    }
    assert mask.FrameOfReferenceUID == source.FrameOfReferenceUID
    assert 20 < values["age"] < 70
    assert NOTICE in report.to_json()
    assert by_class["SecondaryCaptureImageStorage"].pixel_array.ndim == 3
    if checker := shutil.which("dciodvfy"):
        for path in documents:
            done = subprocess.run([checker, path], capture_output=True, text=True, check=False)
            assert "Error" not in done.stdout + done.stderr, done.stderr


def test_dcmtk_sends_and_receives(series, node, tmp_path):
    echo, send, receive = _tool("echoscu"), _tool("storescu"), _tool("storescp")
    out, port = tmp_path / "received", _free_port()
    out.mkdir()
    (one, *_) = sorted(series.rglob("*.dcm"))
    with (
        _process(receive, "-aet", "PACS", "-od", out, port, log=tmp_path / "scp.log"),
        node(f"PACS@127.0.0.1:{port}") as (node_port, log, inbox),
    ):
        where = ("-aet", "SCANNER", "-aec", "FMTOOL", "127.0.0.1", str(node_port))
        subprocess.run([echo, *where], check=True)
        wrong = subprocess.run([echo, *where[:1], "NOBODY", *where[2:]], check=False)
        assert wrong.returncode != 0
        subprocess.run([send, *where, "+sd", "+r", str(series)], check=True)
        _until(lambda: list((inbox / "sent").iterdir()) or list(inbox.glob("quarantine/*.json")))
        assert not list(inbox.glob("quarantine/*.json")), [
            p.read_text(encoding="utf-8") for p in inbox.glob("quarantine/*.json")
        ]
        documents = {path: dcmread(path) for path in out.iterdir()}
        assert _committed(inbox) == []  # storescp keeps what it stores, and offers no more
        assert len(_said(log, "commitment_not_offered")) == 1
    _check(documents, dcmread(one))


_PLUGINS = "/usr/share/orthanc/plugins"


@pytest.mark.parametrize("back", ["C-STORE", "STOW-RS"])
def test_orthanc_sends_and_receives(series, node, tmp_path, back):
    orthanc, send = _tool("Orthanc"), _tool("storescu")
    plugins = Path(os.environ.get("ORTHANC_PLUGINS", _PLUGINS))
    if back == "STOW-RS" and not (plugins / "libOrthancDicomWeb.so").exists():
        pytest.skip(f"no DICOMweb plugin in {plugins}: make peers-check fetches it")
    dicom, http = _free_port(), _free_port()
    (one, *_) = sorted(series.rglob("*.dcm"))
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text("cGFjczpzZWNyZXQ=")

    def rest(path, body=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{http}{path}", None if body is None else body.encode()
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.read()

    peer = (f"ORTHANC@127.0.0.1:{dicom}",)
    if back == "STOW-RS":
        peer = (f"http://127.0.0.1:{http}/dicom-web/", "--peer-token", str(token))
    with node(*peer) as (node_port, log, inbox):
        config = {
            "Plugins": [str(plugins / "libOrthancDicomWeb.so")] * (back == "STOW-RS"),
            "DicomAet": "ORTHANC",
            "DicomPort": dicom,
            "DicomCheckCalledAet": True,
            "HttpPort": http,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAlwaysAllowStore": True,
            "StorageDirectory": str(tmp_path / "db"),
            "IndexDirectory": str(tmp_path / "db"),
            "DicomModalities": {"fmtool": ["FMTOOL", "127.0.0.1", node_port]},
        }
        (tmp_path / "orthanc.json").write_text(json.dumps(config))
        with _process(orthanc, tmp_path / "orthanc.json", log=tmp_path / "orthanc.log") as server:
            _until(
                lambda: (
                    "Orthanc has started" in (tmp_path / "orthanc.log").read_text(encoding="utf-8")
                )
            )
            assert server.poll() is None
            where = ("-aet", "SCANNER", "-aec", "ORTHANC", "127.0.0.1", str(dicom))
            subprocess.run([send, *where, "+sd", "+r", str(series)], check=True)
            (source,) = json.loads(rest("/series"))
            rest("/modalities/fmtool/echo", "{}")
            rest("/modalities/fmtool/store", source)
            _until(lambda: len(json.loads(rest("/series"))) == 5)
            _until(lambda: list((inbox / "sent").iterdir()))
            documents = {}
            for its in set(json.loads(rest("/series"))) - {source}:
                for instance in json.loads(rest(f"/series/{its}"))["Instances"]:
                    path = tmp_path / f"{instance}.dcm"
                    path.write_bytes(rest(f"/instances/{instance}/file"))
                    documents[path] = dcmread(path)
            assert len(json.loads(rest("/studies"))) == 1  # filed with the study it is about
            if back == "C-STORE":  # and it calls back to say that it keeps them
                assert _committed(inbox) == [f"{n}.dcm" for n in range(1, len(documents) + 1)]
                (said,) = _said(log, "commitment_reported")
                assert (said["kept"], said["lost"]) == (len(documents), 0)
    _check(documents, dcmread(one))
