"""`fmtool serve dicom`: as a process, from its first line to SIGTERM."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time

import pytest

pytest.importorskip("pynetdicom", reason="the dicom extra is absent")

_MR = "1.2.840.10008.5.1.4.1.1.4"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--allow"),
        (("--allow", "A\\B"), "AE title"),
        (("--allow", "A", "--peer", "PACS"), "AET@HOST:PORT"),
        (("--allow", "A", "--tls-required"), "--tls-cert"),
        (("--allow", "A", "--tls-cert", "a.pem"), "--tls-key"),
        (("--allow", "A", "--peer", "P@h:1", "--peer-tls"), "--peer-tls"),
    ],
)
def test_a_wrong_command_is_said(fmtool, tmp_path, words, said):
    done = fmtool("serve", "dicom", "--inbox", tmp_path / "inbox", *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "inbox").exists()


def test_a_port_that_is_taken_is_said(fmtool, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = fmtool("serve", "dicom", "--inbox", tmp_path, "--allow", "A", "--port", port)
    assert done.returncode == 1
    assert f"port {port}" in done.stderr


def _object():
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = _MR, generate_uid(prefix=None)
    ds.PatientName, ds.PatientID = "Planted", "PLANTED"
    ds.add_new("PatientBirthDate", "LO", "planted")
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(prefix=None), generate_uid(prefix=None)
    ds.StudyDescription = "planted"
    return ds


def test_a_node_from_start_to_sigterm(tmp_path):
    from pynetdicom import AE

    words = ["serve", "dicom", "--inbox", str(tmp_path / "inbox"), "--allow", "SCANNER"]
    words += ["--port", "0", "--settle", "0.5", "--min-free", "0"]
    with (tmp_path / "log").open("w") as stream:
        node = subprocess.Popen([sys.executable, "-m", "fmtool", *words], stderr=stream)
    try:

        def event(name):
            end = time.monotonic() + 120
            while time.monotonic() < end and node.poll() is None:
                lines = map(json.loads, (tmp_path / "log").read_text(encoding="utf-8").splitlines())
                if found := [line for line in lines if line["event"] == name]:
                    return found[0]
                time.sleep(0.1)
            raise AssertionError((tmp_path / "log").read_text(encoding="utf-8"))

        ae = AE("SCANNER")
        ae.add_requested_context("1.2.840.10008.1.1")  # Verification
        ae.add_requested_context(_MR, "1.2.840.10008.1.2.1")
        assoc = ae.associate("127.0.0.1", event("listening")["port"], ae_title="FMTOOL")
        assert assoc.send_c_echo().Status == 0
        assert assoc.send_c_store(_object()).Status == 0
        assoc.release()
        event("quarantined")  # one object of a few bytes is no head
    finally:
        node.send_signal(signal.SIGTERM)
        assert node.wait(60) == 143
    log = (tmp_path / "log").read_text(encoding="utf-8")
    assert [json.loads(line)["event"] for line in log.splitlines()][-1] == "stopped"
    names = " ".join(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert "planted" not in (log + names).lower()
    assert list((tmp_path / "inbox" / "quarantine").glob("*.json"))
