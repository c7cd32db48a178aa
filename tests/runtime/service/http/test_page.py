"""The page to drop a scan on: what it may do, and what a browser does with it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
import zipfile

import httpx
import pytest
from typer.testing import CliRunner

from fmtool.cli import app as cli
from runtime.report.page.facts import STAGES
from runtime.report.page.script import SLICES
from runtime.service.answer import Fate, Outcome, pages, put
from runtime.service.http import page
from runtime.service.http.auth import Auth
from runtime.service.http.limits import Limits


def test_the_policy_lets_the_page_run_its_own_script_and_a_report_s(served):
    one = served()
    answer = httpx.get(one.client.base_url, trust_env=False)  # no token: it holds nothing
    assert answer.status_code == 200
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    rules = dict(r.split(" ", 1) for r in answer.headers["content-security-policy"].split("; "))
    assert rules["default-src"] == rules["frame-ancestors"] == rules["form-action"] == "'none'"
    assert rules["connect-src"] == "'self'"
    (script,) = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    digests = [
        f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'"
        for s in (script, SLICES)
    ]
    assert rules["script-src"].split() == digests
    assert not re.search(r"""(src|href)=["']?(https?:)?//|url\(|@import""", answer.text)
    assert not re.search(r"\son\w+=|innerHTML|eval\(|localStorage|document\.cookie", answer.text)


def test_without_the_page_there_is_neither_page_nor_list(served):
    one = served(page=False)
    assert one.client.get("/").status_code == 404
    assert one.client.get("/v1/scans").status_code == 405
    assert "/v1/scans/{identity}" in one.client.get("/openapi.json").json()["paths"]


def test_the_option_is_there():
    said = CliRunner().invoke(cli, ["serve", "http", "--help"], env={"COLUMNS": "200"}).output
    assert "--no-page" in said


def test_the_last_jobs_are_listed_for_who_has_the_token(served, scan):
    one = served()
    good, bad = one.post(scan()), one.post(b"PK\x03\x04 no zip")
    for answer in (good, bad):
        one.done(answer)
    listed = one.client.get("/v1/scans").json()["jobs"]
    assert [job["id"] for job in listed] == [bad.json()["id"], good.json()["id"]]
    assert [job["state"] for job in listed] == ["failed", "done"]
    assert "is not a NIfTI file" in listed[0]["error"]
    assert listed[1]["error"] is None
    bare = httpx.get(f"{one.client.base_url}/v1/scans", trust_env=False)
    assert bare.status_code == 401


def test_a_running_job_says_what_it_has_come_to(served, scan, worker):
    go = threading.Event()
    worker.first = lambda order, stop: go.wait(10) and None
    worker.stage = "bias"
    one = served()
    answer = one.post(scan())
    end = time.monotonic() + 8
    while (job := one.client.get("/v1/scans").json()["jobs"][0])["state"] != "running":
        assert time.monotonic() < end
    assert job["stage"] == "bias"
    go.set()
    one.done(answer)
    assert one.client.get("/v1/scans").json()["jobs"][0]["stage"] == ""


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({"host": "127.0.0.1:8080", "origin": "http://127.0.0.1:8080"}, True),
        ({"host": "localhost:8080", "origin": "http://localhost:8080"}, True),
        ({"host": "127.0.0.1:8080", "origin": "http://127.0.0.1:9090"}, False),
        ({"host": "127.0.0.1:8080", "origin": "http://localhost:8080"}, False),
        ({"host": "127.0.0.1:8080", "origin": "null"}, False),
        ({"host": "127.0.0.1:8080", "origin": ""}, False),
        ({"host": "evil.example", "origin": "http://evil.example"}, False),
    ],
)
def test_without_a_token_the_service_s_own_page_passes_and_no_other(headers, passes):
    assert Auth(None).passes(headers) is passes


def test_what_the_page_is_given_is_escaped(monkeypatch):
    monkeypatch.setitem(STAGES, 'a"b', "<i>&")
    html = page.page("/a.b~c")
    assert 'data-root="/a.b~c"' in html
    assert "<i>&" not in html
    found = re.search(r'data-stages="([^"]*)"', html)
    assert found
    text = found[1].replace("&quot;", '"').replace("&lt;", "<").replace("&gt;", ">")
    assert json.loads(text.replace("&amp;", "&"))['a"b'] == "<i>&"


# In a browser.


@pytest.fixture
def tab(browser, served, worker):
    """`tab(**how)`: the page of a running service in a browser, and the service."""

    def opened(width=1280, dark=False, token=None, **settings):
        one = served(token=token, **settings)
        browser.open(f"{one.client.base_url}", width, dark)
        browser.call("DOM.enable")
        return browser, one

    yield opened
    browser.run("sessionStorage.clear()")


def shown(browser, wanted, where="said", seconds=20.0):
    """Wait until an element says something."""
    end, text = time.monotonic() + seconds, ""
    while wanted not in text:
        assert time.monotonic() < end, text
        text = browser.run(f"document.getElementById('{where}').innerText") or ""
        time.sleep(0.02)
    return text


def choose(browser, field, *files):
    """Choose files, as a person would in the dialogue."""
    root = browser.call("DOM.getDocument")["root"]["nodeId"]
    node = browser.call("DOM.querySelector", nodeId=root, selector=f"#{field}")["nodeId"]
    browser.call("DOM.setFileInputFiles", nodeId=node, files=[str(f) for f in files])


def drop(browser, *files):
    """Drop files on the page."""
    data = {"items": [], "files": [str(f) for f in files], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        browser.call("Input.dispatchDragEvent", type=kind, x=300, y=300, data=data)


def report(browser):
    """The report's frame: whether it is shown, and what of it."""
    return browser.run("!document.getElementById('report').hidden && frame.srcdoc.length")


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_a_dropped_file_is_answered_and_its_report_read_in_place(tab, scan, tmp_path, width, dark):
    browser, one = tab(width, dark)
    file = tmp_path / "Jane Doe.nii"
    file.write_bytes(scan())
    shown(browser, "None yet.", "none")
    drop(browser, file)
    shown(browser, "Done: the report is below.")
    assert report(browser) > 1000
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run("list.querySelector('span').innerText") == "Done"
    assert browser.run("getComputedStyle(document.body).backgroundColor") == (
        "rgb(14, 18, 23)" if dark else "rgb(244, 246, 248)"
    )
    assert browser.complaints() == []
    asked = {a.split("/", 3)[3] for a in browser.requests() if a.startswith("http")}
    assert all(a == "" or a.startswith("v1/scans") for a in asked)
    assert browser.run("Object.keys(sessionStorage).length + localStorage.length") == 0
    browser.open(f"{one.client.base_url}", width, dark)  # and again, later
    shown(browser, "Done", "list")
    browser.run("list.querySelector('button').click()")
    end = time.monotonic() + 10
    while not report(browser):
        assert time.monotonic() < end
    assert browser.run("document.activeElement.id") == "answer"


def test_a_folder_goes_as_a_zip_without_its_names(tab, worker, tmp_path, kit_answer):
    held = []

    def zipped(order, stop):
        with zipfile.ZipFile(order.source) as archive:
            assert archive.testzip() is None
            held.append({i.filename: archive.read(i) for i in archive.infolist()})
        put(order.into, pages(order, kit_answer(), {}))
        return Outcome(Fate.done, result=kit_answer())

    worker.first = zipped
    folder = tmp_path / "Jane Doe"
    (folder / "deeper").mkdir(parents=True)
    content = {bytes([n]) * (1000 * n + 1) for n in range(7)}
    for number, data in enumerate(sorted(content)):
        place = folder / "deeper" if number % 2 else folder
        (place / f"Jane_{number}.dcm").write_bytes(data)
    (folder / ".DS_Store").write_bytes(b"x")
    browser, _ = tab()
    drop(browser, folder)
    shown(browser, "Done: the report is below.")
    (names,) = held
    assert sorted(names) == [f"{n}.dcm" for n in range(1, 8)]
    assert set(names.values()) == content
    assert browser.complaints() == []


def test_what_is_refused_is_said_and_can_be_read_out(tab, scan, tmp_path):
    browser, _ = tab()
    text, bad = tmp_path / "notes.txt", tmp_path / "bad.zip"
    text.write_text("no scan <b>at all</b>")
    bad.write_bytes(b"PK\x03\x04 no zip")
    choose(browser, "file", text)
    shown(browser, "Not taken: the file is not NIfTI, MGH, DICOM or a zip of DICOM files")
    choose(browser, "file", bad)
    assert "is not a NIfTI file" in shown(browser, "Failed:")
    tree = browser.call("Accessibility.getFullAXTree")["nodes"]
    roles = {(n["role"]["value"], n.get("name", {}).get("value", "")) for n in tree}
    names = {name for _, name in roles}
    assert {"Send a scan", "Last jobs", "choose a file", "choose a folder"} <= names
    assert "status" in {role for role, _ in roles}


def test_a_full_queue_is_said(tab, scan, worker, tmp_path):
    go = threading.Event()
    worker.first = lambda order, stop: go.wait(20) and None
    worker.stage = "strip"
    browser, _ = tab(limits=Limits(queue=1))
    file = tmp_path / "scan.nii"
    file.write_bytes(scan())
    choose(browser, "file", file)
    shown(browser, "Running: Find the brain")
    assert browser.run("document.querySelector('[aria-current=step]').innerText") == (
        "Find the brain"
    )
    choose(browser, "file", file)
    shown(browser, "Not taken: the queue is full; try again later")
    go.set()
    shown(browser, "Done", "list")


def test_a_token_is_asked_for_and_kept_for_the_session_alone(tab, scan, tmp_path):
    token = "t" * 32
    browser, _ = tab(token=token)
    shown(browser, "The service asks for its token.")
    for given, said in (("wrong-token-of-another", "The token is wrong"), (token, "")):
        browser.run(f"token.value = {json.dumps(given)}; login.requestSubmit()")
        shown(browser, said)
    shown(browser, "None yet.", "none")
    file = tmp_path / "scan.nii"
    file.write_bytes(scan())
    choose(browser, "file", file)
    shown(browser, "Done: the report is below.")
    assert browser.run("login.hidden")
    assert browser.run("JSON.stringify(sessionStorage)") == json.dumps(
        {"fmtool-token": token}, separators=(",", ":")
    )
    assert browser.run("localStorage.length + document.cookie.length") == 0


def test_a_service_that_ends_is_said(tab, scan, tmp_path, worker):
    go = threading.Event()
    worker.first = lambda order, stop: go.wait(20) and None
    browser, one = tab()
    file = tmp_path / "scan.nii"
    file.write_bytes(scan())
    choose(browser, "file", file)
    shown(browser, "Running")
    threading.Timer(0.2, go.set).start()
    one.stop()
    shown(browser, "the service does not answer; trying again")
    choose(browser, "file", file)
    shown(browser, "Not taken: the service went away; send it again")


def test_the_keyboard_reaches_everything(tab, scan, tmp_path):
    browser, one = tab()
    one.done(one.post(scan()))
    browser.open(f"{one.client.base_url}")
    shown(browser, "Done", "list")
    reached = []
    for _ in range(3):
        browser.press("Tab")
        reached.append(browser.run("document.activeElement.id || document.activeElement.tagName"))
    assert reached == ["file", "folder", "BUTTON"]
    label = browser.run("document.activeElement.getAttribute('aria-label')")
    assert label.startswith("Read the report of ")
