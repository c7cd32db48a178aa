"""The HTTP service: scans in, results out, and nothing lost in between."""

from __future__ import annotations

import re
import threading
import time

import httpx
import pytest

from fmtool.errors import InputError, UsageError
from runtime.ledger import Ledger
from runtime.ledger.outcomes import items
from runtime.report.page import script
from runtime.service import tls
from runtime.service.answer import Fate, Outcome
from runtime.service.guard import SpaceGuard
from runtime.service.http import service
from runtime.service.http.auth import Auth, read_token
from runtime.service.http.limits import Limits
from runtime.service.repeats import FACTS


def test_a_scan_goes_in_and_its_result_and_page_come_out(served, scan):
    one = served()
    answer = one.post(scan())
    assert answer.status_code == 202
    assert len(answer.json()["id"]) == 32
    job = one.done(answer)
    assert job["state"] == "done"
    assert job["result"]["values"]["age"]["value"] == 40.0
    assert job["result"]["scan"] == job["id"]
    page = one.client.get(answer.headers["location"] + "/report")
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "fmtool" in page.text
    told = one.client.get(answer.headers["location"] + "/fhir")
    assert told.headers["content-type"] == "application/fhir+json"
    assert told.json()["entry"][0]["resource"]["resourceType"] == "DiagnosticReport"
    assert list((one.spool / "uploads").iterdir()) == []


def test_a_form_is_taken_too_and_its_file_name_is_not_used(served, scan):
    one = served()
    files = {"file": ("../../../etc/passwd", scan(), "application/octet-stream")}
    job = one.done(one.client.post("/v1/scans", files=files))
    assert job["state"] == "done"
    assert not [p for p in one.spool.rglob("*") if "passwd" in p.name]
    assert one.done(one.post(scan()))["result"]["content"] == job["result"]["content"]


def test_the_same_scan_is_computed_once(served, scan, worker):
    one = served()
    first, second = one.done(one.post(scan())), one.done(one.post(scan()))
    assert first["id"] != second["id"]
    assert len(worker.orders) == 1
    assert one.client.get(f"/v1/scans/{second['id']}/report").status_code == 200


@pytest.mark.parametrize("magic", [b"\x1f\x8b", b"BZh", b"\x28\xb5\x2f\xfd"])
def test_a_scan_that_cannot_be_used_fails_with_the_reason(served, worker, magic):
    one = served()
    worker.first = lambda order, stop: Outcome(Fate.refused, "InputError", "it is no head")
    job = one.done(one.post(magic + b" nothing"))
    assert (job["state"], job["error"], job["result"]) == ("failed", "it is no head", None)
    assert one.client.get(f"/v1/scans/{job['id']}/report").status_code == 404
    assert one.client.get(f"/v1/scans/{job['id']}/fhir").status_code == 404
    assert list((one.spool / "uploads").iterdir()) == []


def test_what_fails_otherwise_is_tried_three_times(served, scan, worker):
    one = served()
    worker.first = lambda order, stop: Outcome(Fate.broken, "Crash", "the process died")
    assert one.done(one.post(scan()))["state"] == "failed"
    assert len(worker.orders) == 3


def test_a_job_survives_a_restart(served, scan, worker):
    gate = threading.Event()

    def long(order, stop):
        while not (stop() or gate.is_set()):
            time.sleep(0.01)
        return None if gate.is_set() else Outcome(Fate.stopped)

    worker.first = long
    one = served()
    ids = [one.post(scan(n)).json()["id"] for n in range(3)]
    (one.spool / "uploads" / "torn").write_bytes(b"half")
    until_running = time.monotonic() + 5
    while not worker.orders:
        assert time.monotonic() < until_running
        time.sleep(0.01)
    one.ending.ask()
    one.ending.ask()  # a second signal: what runs is released
    one.stop()
    gate.set()
    worker.about = type(worker.about)("other", "c" * 64, "none")
    two = served()
    for identity in ids:
        end = time.monotonic() + 5
        while two.client.get(f"/v1/scans/{identity}").json()["state"] != "done":
            assert time.monotonic() < end
            time.sleep(0.01)
    assert not (two.spool / "uploads" / "torn").exists()
    with Ledger(two.spool / "ledger.sqlite") as ledger:
        bundles = {row["bundle"] for row in ledger.run("SELECT bundle FROM results")}
    assert bundles == {"c" * 64}  # of the bundle that answered, not of the one that was there


def test_a_full_queue_is_said_with_429(served, scan, worker):
    gate = threading.Event()
    worker.first = lambda order, stop: gate.wait(10) and None
    one = served(Limits(queue=4, retry_s=7))
    codes = []

    def post(number):
        answer = one.post(scan(number))
        codes.append((answer.status_code, answer.headers.get("retry-after")))

    threads = [threading.Thread(target=post, args=(n,)) for n in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gate.set()
    assert codes.count((202, None)) == 4
    assert codes.count((429, "7")) == 46
    assert one.client.get("/health").status_code == 200


def test_the_token_is_asked_for_everywhere_it_matters(served, scan):
    one = served()
    bare = httpx.Client(base_url=one.client.base_url, trust_env=False)
    assert bare.get("/health").status_code == 200
    assert bare.get("/ready").status_code == 200
    assert bare.get("/openapi.json").status_code == 200
    wrong = ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic " + "t" * 32})
    for headers in wrong:
        head = {"content-type": "application/octet-stream", **headers}
        for answer in (
            bare.post("/v1/scans", content=scan(), headers=head),
            bare.get("/v1/scans/" + "0" * 32, headers=headers),
            bare.get("/v1/scans/" + "0" * 32 + "/report", headers=headers),
            bare.get("/v1/scans/" + "0" * 32 + "/fhir", headers=headers),
            bare.get("/metrics", headers=headers),
        ):
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
    assert list((one.spool / "uploads").iterdir()) == []


@pytest.mark.parametrize(
    "identity", ["0" * 32, "x", "..", "%2e%2e%2fledger.sqlite", "0" * 31 + "'", "a" * 5000]
)
def test_an_id_that_is_none_is_not_found(served, identity):
    one = served()
    assert one.client.get(f"/v1/scans/{identity}").status_code == 404
    assert one.client.get(f"/v1/scans/{identity}/report").status_code == 404


def test_metrics_and_readiness(served, scan, worker, monkeypatch):
    one = served()
    one.done(one.post(scan()))
    text = one.client.get("/metrics").text
    assert 'fmtool_scans_total{outcome="done"} 1.0' in text
    assert 'fmtool_jobs{state="done"} 1.0' in text
    assert "fmtool_scan_seconds_count 1.0" in text
    assert 'route="/v1/scans/{identity}"' in text
    assert one.client.get("/ready").status_code == 200
    worker.alive = False
    assert one.client.get("/ready").status_code == 503
    worker.alive = True
    monkeypatch.setattr(SpaceGuard, "enough", lambda self, more=0: False)
    assert one.client.get("/ready").status_code == 503
    full = one.post(scan(1))
    assert (full.status_code, full.headers["retry-after"]) == (503, "10")


def test_a_full_disk_is_waited_for(served, scan, worker):
    blocked = Outcome(Fate.blocked, "disk_full", "cannot write")
    worker.first = lambda order, stop: blocked if len(worker.orders) < 2 else None
    one = served()
    assert one.done(one.post(scan()))["state"] == "done"


def test_openapi_describes_the_upload(served):
    schema = served().client.get("/openapi.json").json()
    post = schema["paths"]["/v1/scans"]["post"]
    assert "multipart/form-data" in post["requestBody"]["content"]
    assert post["security"] == [{"HTTPBearer": []}]
    assert {"202", "401", "413", "415", "429"} <= set(post["responses"])


def test_settled_jobs_are_deleted_after_their_time(served, scan):
    one = served()
    path = one.post(scan()).headers["location"]
    end = time.monotonic() + 5
    while one.client.get(path).json()["state"] != "done":
        assert time.monotonic() < end
    one.stop()
    two = served(keep_days=0.0)
    end = time.monotonic() + 5
    while two.client.get(path).status_code != 404:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert list((two.spool / "pages").iterdir()) == []
    with Ledger(two.spool / "ledger.sqlite") as ledger:
        assert ledger.run("SELECT count(*) AS n FROM results").fetchone()["n"] == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "::", "scanner"])
def test_no_token_beyond_loopback(tmp_path, host, worker):
    with pytest.raises(UsageError, match="--token-file"):
        service.serve(service.HttpSettings(tmp_path / "s", host), lambda: worker, None)
    assert not (tmp_path / "s").exists()


def test_without_a_token_local_programs_pass_and_web_pages_do_not(served, scan):
    one = served(token=None)
    assert one.post(scan()).status_code == 202
    assert one.post(scan(), headers={"Origin": "http://evil.example"}).status_code == 401
    assert one.post(scan(), headers={"Host": "evil.example"}).status_code == 401
    assert Auth(None).passes({"host": "[::1]:8080"})
    assert not Auth(None).passes({})


@pytest.mark.parametrize(
    ("mode", "text", "said"),
    [
        (0o640, "t" * 32, "open to others"),
        (0o604, "t" * 32, "open to others"),
        (0o600, "short", "at least 16"),
        (0o600, "two lines of\nthe token", "at least 16"),
        (0o600, "", "at least 16"),
    ],
)
def test_a_token_file_that_is_not_safe_is_refused(tmp_path, mode, text, said):
    path = tmp_path / "token"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(InputError, match=said):
        read_token(path)


def test_a_credential_of_systemd_may_show_its_mask(tmp_path, monkeypatch):
    path = tmp_path / "token"
    path.write_text("t" * 32)
    path.chmod(0o440)
    with pytest.raises(InputError, match="open to others"):
        read_token(path)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_token(path) == "t" * 32
    path.chmod(0o444)
    with pytest.raises(InputError, match="open to others"):
        read_token(path)


def test_what_cannot_be_used_is_refused_in_a_sentence(served, tmp_path, worker, token_file):
    with pytest.raises(InputError, match="cannot be read"):
        read_token(tmp_path / "absent")
    one = served()
    settings = service.HttpSettings(tmp_path / "other", port=one.port)
    with pytest.raises(InputError, match="cannot listen"):
        service.serve(settings, lambda: worker, None)
    with pytest.raises(InputError, match="another service"):
        service.serve(service.HttpSettings(one.spool), lambda: worker, None)
    with pytest.raises(InputError, match="for TLS"):
        service.serve(
            service.HttpSettings(tmp_path / "x", tls=tls.TlsFiles(token_file, token_file)),
            lambda: worker,
            None,
        )
    with pytest.raises(UsageError, match="go together"):
        tls.files(token_file, None)


@pytest.mark.parametrize("path", ["/v1/scans", "/v1/scans/", "/v1/scans//"])
def test_no_answer_sends_a_client_to_another_scheme_or_host(served, scan, path):
    one = served()
    head = {"content-type": "application/octet-stream", "X-Forwarded-Proto": "https"}
    answer = one.client.post(path, content=scan(), headers=head)
    assert answer.status_code == 202
    job = answer.headers["location"]
    assert job == f"/v1/scans/{answer.json()['id']}"
    one.done(answer)
    for known in (
        job,
        f"{job}/report",
        f"{job}/fhir",
        "/health",
        "/ready",
        "/metrics",
        "/openapi.json",
    ):
        assert one.client.get(f"{known}/").status_code == 200, known
        assert one.client.get(f"{known}/").content[:9] == one.client.get(known).content[:9]
    for none in ("/v1/scans/", "/v1/", "/", "//evil.example/", "/v1/scans/0/"):
        answer = one.client.get(none)
        assert answer.status_code in (200, 404, 405)
        assert "location" not in answer.headers


def test_a_probe_may_ask_with_head(served, worker, scan):
    one = served()
    job = one.post(scan())
    one.done(job)
    for path in ("/health", "/ready", "/metrics", job.headers["location"]):
        asked = one.client.head(path)
        assert (asked.status_code, asked.content) == (200, b""), path
        assert asked.headers["content-type"] == one.client.get(path).headers["content-type"]
    worker.alive = False
    assert one.client.head("/ready").status_code == 503
    assert one.client.head("/health").status_code == 200
    del one.client.headers["Authorization"]
    assert one.client.head("/health").status_code == 200
    assert one.client.head("/metrics").status_code == 401


@pytest.mark.parametrize("given", ["/fmtool", "fmtool/", "/a/b-1.c/"])
@pytest.mark.parametrize("stripped", [True, False])
def test_behind_a_proxy_the_paths_are_the_proxys(served, scan, given, stripped):
    root = service.root_path(given)
    one = served(root_path=root)
    head = {"content-type": "application/octet-stream"}
    before = "" if stripped else root
    answer = one.client.post(f"{before}/v1/scans", content=scan(), headers=head)
    assert answer.status_code == 202
    job = answer.headers["location"]
    assert job == f"{root}/v1/scans/{answer.json()['id']}"
    assert one.client.get(job.removeprefix(root) if stripped else job).status_code == 200
    schema = one.client.get(f"{before}/openapi.json").json()
    assert schema["servers"] == [{"url": root}]
    assert one.client.head(f"{before}/health").status_code == 200


@pytest.mark.parametrize("given", ["http://x/y", "/a b", "/../x", "/a//b", "/a?b", "/\xe4", "/a\n"])
def test_a_root_path_that_is_none_is_refused(given):
    with pytest.raises(UsageError, match="--root-path"):
        service.root_path(given)
    assert service.root_path("/") == service.root_path("") == ""


def test_the_log_and_the_record_say_who_asked(served, scan, caplog):
    one = served()
    with caplog.at_level("INFO", "fmtool.http"):
        assert httpx.get(f"{one.client.base_url}/v1/scans/x").status_code == 401
        assert one.post(b"no scan").status_code == 415
        one.done(one.post(scan()))
    told = {r.msg: getattr(r, FACTS) for r in caplog.records if hasattr(r, FACTS)}
    assert told["accepted"]["peer"] == told["refused"]["peer"] == "127.0.0.1"
    statuses = [getattr(r, FACTS)["status"] for r in caplog.records if r.msg == "refused"]
    assert statuses == [401, 415]
    with Ledger(one.spool / "ledger.sqlite") as ledger:
        assert [item.sender for item in items(ledger)] == ["127.0.0.1"]


def test_a_page_carries_its_policy_as_a_header_too(served, scan):
    one = served()
    answer = one.post(scan())
    one.done(answer)
    page = one.client.get(answer.headers["location"] + "/report")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    (digest,) = re.findall(r"'sha256-[^']+'", policy)
    assert digest in script.policy(script.SLICES)


def test_another_account_reads_nothing_of_a_spool_that_was_open(served, scan, tmp_path, as_account):
    spool = tmp_path / "spool"
    (spool / "pages").mkdir(parents=True)
    with Ledger(spool / "ledger.sqlite"):
        (spool / "ledger.sqlite").chmod(0o644)
    spool.chmod(0o755)
    one = served()
    one.done(one.post(scan()))
    for path in (spool, *spool.rglob("*")):
        assert not path.stat().st_mode & 0o077, path
    for attempt in (
        lambda: (spool / "ledger.sqlite").read_bytes(),
        lambda: list(spool.iterdir()),
        lambda: (spool / "pages").rename(spool / "gone"),
        lambda: (spool / "planted").touch(),
    ):
        assert not as_account(54322, attempt)
