"""`fmtool serve http`, as a site runs it."""

from __future__ import annotations

import json
import signal
import time

import pytest


@pytest.fixture
def service(serving):
    """A running service: its process, and a client with the token."""
    with serving() as found:
        yield found


def test_a_bad_scan_and_the_end(service, settled, fmtool, tmp_path):
    process, client = service
    while client.get("/ready").status_code != 200:
        time.sleep(0.05)
    files = {"file": ("Smith_J.nii.gz", b"\x1f\x8b nothing")}
    job = settled(client, client.post("/v1/scans", files=files).headers["location"])
    assert job["state"] == "failed"
    assert str(tmp_path) not in job["error"]
    facts = json.loads(fmtool("status", "--spool", tmp_path / "spool", "--json").stdout)
    assert facts["states"]["quarantined"] == 1
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 143
    said = process.stderr.read()
    assert "Smith" not in said
    assert {json.loads(line)["event"] for line in said.splitlines()} >= {"accepted", "quarantined"}


@pytest.mark.slow
def test_a_whole_head(service, settled, whole_head):
    _, client = service
    answer = client.post(
        "/v1/scans",
        content=whole_head.read_bytes(),
        headers={"content-type": "application/octet-stream"},
    )
    path = answer.headers["location"]
    job = settled(client, path)
    assert job["state"] == "done", job
    assert set(job["result"]["values"]) == {"age", "sex"}
    assert "data:image/png" in client.get(path + "/report").text


def test_wrong_words(fmtool, tmp_path):
    token = tmp_path / "token"
    token.write_text("t" * 32)
    token.chmod(0o644)
    spool = tmp_path / "spool"
    for words, code, said in (
        (("--host", "0.0.0.0"), 2, "--token-file"),
        (("--tls-cert", token), 2, "go together"),
        (("--token-file", token), 1, "open to others"),
    ):
        done = fmtool("serve", "http", "--spool", spool, *words)
        assert done.returncode == code, done.stderr
        assert said in done.stderr
    assert not spool.exists()
