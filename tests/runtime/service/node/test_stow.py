"""Documents to a DICOMweb server, and reports to a FHIR server: small ones of the tests' own."""

from __future__ import annotations

import io
import json
import re
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydicom import dcmread

from fmtool.errors import InputError, UsageError
from runtime.service import tls, web
from runtime.service.node import outgoing
from runtime.service.node.peers import NotTaken, Unreached
from runtime.service.node.peers.destinations import Destinations, routes
from runtime.service.node.policy import Policy, parse_fhir, parse_peer

SR = "1.2.840.10008.5.1.4.1.1.88.33"
TOKEN = "a-token.of/the+server=="


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(outgoing, "_FIRST_S", 0.1)


class Web:
    """A server that keeps what it is sent. `answers` are given first: a status, a pair of status
    and JSON body, or a function of the instance's UID that makes one; None for a normal answer.
    """

    def __init__(self, context=None):
        self.received, self.asked, self.answers = [], [], []
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                length = int(self.headers["Content-Length"])
                outer.answer(self, self.rfile.read(length))

            def log_message(self, *words):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, handler, body):
        with self._lock:
            self.asked.append((handler.path, dict(handler.headers)))
            document = self.document(handler, body)
            said = self.answers.pop(0) if self.answers else None
            said = said(getattr(document, "SOPInstanceUID", None)) if callable(said) else said
            status, told = (said, {}) if isinstance(said, int) else said or (200, {})
            if status == 200 and said is None:
                self.received.append(document)
        text = told if isinstance(told, bytes) else json.dumps(told).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(text)))
        if 300 <= status < 400:
            handler.send_header("Location", f"http://127.0.0.1:{self.port}/elsewhere")
        handler.end_headers()
        handler.wfile.write(text)

    def document(self, handler, body):
        """What a body holds: one instance, or a FHIR resource."""
        kind = handler.headers["Content-Type"]
        if kind == "application/fhir+json":
            return json.loads(body)
        assert 'multipart/related; type="application/dicom"; boundary=' in kind
        mark = b"--" + kind.rpartition("=")[2].encode()
        before, part, after = body.split(mark)
        assert (before, after) == (b"", b"--\r\n")
        head, _, data = part.partition(b"\r\n\r\n")
        assert head == b"\r\nContent-Type: application/dicom"
        return dcmread(io.BytesIO(data.removesuffix(b"\r\n")))

    def url(self, path="", scheme="http"):
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server():
    server = Web()
    yield server
    server.stop()


@pytest.fixture
def token(tmp_path):
    path = tmp_path / "token"
    path.touch(mode=0o600)
    path.write_text(f"{TOKEN}\n")
    return path


def failed(reason, status=200):
    """An answer that an instance failed for a reason."""
    return lambda uid: (
        status,
        {"00081198": {"vr": "SQ", "Value": [{
            "00081155": {"vr": "UI", "Value": [uid]},
            "00081197": {"vr": "US", "Value": [reason]},
        }]}},
    )  # fmt: skip


def warned(uid):
    """An answer that an instance was stored, with a remark."""
    return 202, {"00081199": {"vr": "SQ", "Value": [{
        "00081155": {"vr": "UI", "Value": [uid]}, "00081196": {"vr": "US", "Value": [0xB000]},
    }]}}  # fmt: skip


def reasons(node):
    files = (node.inbox / "refused").rglob("*.json")
    return {p.stem: json.loads(p.read_text(encoding="utf-8"))["reason"] for p in files}


def test_documents_are_stored_with_the_token(run_node, kit, server, token):
    to = Destinations(parse_peer(server.url("/dicom-web/")), token=token)
    with run_node(to=to) as node:
        kit.send(node, kit.objects(1))
        node.wait("sent")
        assert TOKEN not in node.log
    assert [ds.Modality for ds in server.received] == ["SR", "OT"]
    for path, headers in server.asked:
        assert path == "/dicom-web/studies"
        assert headers["Authorization"] == f"Bearer {TOKEN}"
        assert headers["Accept"] == "application/dicom+json"


@pytest.fixture
def send(server, kit, tmp_path):
    """`send()`: one document, by a route of its own."""
    (document,) = kit.objects(1)
    document.save_as(tmp_path / "1.dcm", enforce_file_format=True)
    route = routes(Destinations(parse_peer(server.url())), Policy(allow=("A",)), None)[".dcm"]
    return lambda: route.send(tmp_path / "1.dcm")


@pytest.mark.parametrize(
    "answer", [warned, failed(0x0111), failed(0xB006, 202), 204, (200, b"<xml/>"), 201]
)
def test_what_a_server_says_of_a_stored_instance(send, server, answer):
    server.answers = [answer]
    send()
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (failed(0x0122, 409), "the peer answered 0x0122"),
        (failed(0xA900), "the peer answered 0xA900"),
        (failed(0xC122, 202), "the peer answered 0xC122"),
        (415, "the server answered 415"),
        (413, "the server answered 413"),
    ],
)
def test_a_refusal_for_good(send, server, answer, why):
    server.answers = [answer]
    with pytest.raises(NotTaken, match=why) as found:
        send()
    assert found.value.lasting is True


@pytest.mark.parametrize("answer", [503, 500, 429, failed(0xA700), failed(0x0110, 409)])
def test_a_failure_that_passes(send, server, answer):
    server.answers = [answer]
    with pytest.raises(NotTaken) as found:
        send()
    assert found.value.lasting is False


@pytest.mark.parametrize(
    "answer",
    [409, 400, failed(0xC000), (202, b"<not json>"), (202, [1]), (202, {"00081199": None}),
     (202, {"00081199": {"Value": [{"00081155": {"Value": ["1.2.3"]}}]}}), (409, b"[" * 100_000),
     (200, {"00081198": {"Value": [{"00081197": {"Value": ["x"]}}]}})],
)  # fmt: skip
def test_a_failure_of_which_nothing_more_is_known(send, server, answer):
    server.answers = [answer]
    with pytest.raises(NotTaken) as found:
        send()
    assert found.value.lasting is None


@pytest.mark.parametrize("status", [401, 403, 404, 302, 307])
def test_what_is_no_document_s_fault(send, server, status):
    server.answers = [status]
    with pytest.raises(Unreached, match=f"it answered {status}"):
        send()
    assert [path for path, _ in server.asked] == ["/studies"]  # no redirection is followed


def test_what_fails_is_tried_again_or_put_aside_and_holds_up_no_other(
    run_node, kit, server, monkeypatch
):
    monkeypatch.setattr(outgoing, "_TRIES", 2)
    server.answers = [401, None, 503, 409, failed(0xC000)]
    with run_node(to=Destinations(parse_peer(server.url()))) as node:
        kit.send(node, kit.objects(1))
        node.wait("not_all_sent")
        assert reasons(node) == {"1": "the peer answered 0xC000"}
        assert len(node.events("peer_unreachable")) == 1
        assert [e["again_in_s"] for e in node.events("send_failed")] == [0.1, 0.2]
    assert [ds.Modality for ds in server.received] == ["OT"]


def test_a_server_that_is_away_or_silent_or_no_server():
    place, mute = socket.socket(), socket.create_server(("127.0.0.1", 0))
    place.bind(("127.0.0.1", 0))  # and does not listen
    policy = Policy(allow=("A",), dimse_s=0.2)
    with pytest.raises(web.Unanswered, match="Refused"):
        _post(f"http://127.0.0.1:{place.getsockname()[1]}", policy)
    with pytest.raises(web.Unanswered, match="TimeoutError"):
        _post(f"http://127.0.0.1:{mute.getsockname()[1]}", policy)

    mute.accept()[0].close()  # the one before

    def babble():
        connection, _ = mute.accept()
        connection.recv(1 << 16)
        connection.sendall(b"SSH-2.0-none\r\n")
        connection.close()

    threading.Thread(target=babble, daemon=True).start()
    with pytest.raises(web.Unanswered, match="no answer"):
        _post(f"http://127.0.0.1:{mute.getsockname()[1]}", Policy(allow=("A",)))
    place.close()
    mute.close()


def test_an_answer_is_bounded_in_time_and_bytes(monkeypatch):
    monkeypatch.setattr(web, "_WHOLE_S", 0.3)
    monkeypatch.setattr(web, "_ANSWER_BYTES", 1000)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        over = threading.Event()

        def drip(endless):
            connection, _ = listening.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + (b"x" * 5000 if endless else b""))
                while endless is False and not over.wait(0.01):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return

        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread = threading.Thread(target=drip, args=(True,), daemon=True)
        thread.start()
        assert len(_post(address, Policy(allow=("A",))).body) == 1000
        thread.join(10)
        thread = threading.Thread(target=drip, args=(False,), daemon=True)
        thread.start()
        monkeypatch.setattr(web, "_ANSWER_BYTES", 1 << 30)
        answer = _post(address, Policy(allow=("A",)))  # what came until the connection was cut
        assert 0 < len(answer.body) < 1 << 20
        over.set()
        thread.join(10)


def _post(address, policy):
    client = web.WebClient(web.parse_server(address), None, None, policy.dimse_s)
    return client.post("/studies", {}, [b"abc"], 3)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """An authority, another one, and the certificate of 127.0.0.1 by the first."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*words):
        try:
            subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)
        except FileNotFoundError:
            pytest.skip("openssl is absent")

    for name in ("ca", "other"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2",
                "-subj", f"/CN={name}")  # fmt: skip
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=server")  # fmt: skip
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2",
            "-CAcreateserial", "-out", "server.pem", "-extfile", "names")  # fmt: skip
    (folder / "server.key").chmod(0o600)
    return folder


def test_tls_trusts_the_authority_that_is_named_and_no_other(run_node, kit, certificates):
    files = tls.TlsFiles(certificates / "server.pem", certificates / "server.key")
    server = Web(tls.server_context(files))
    peer = parse_peer(server.url("/web", "https"))
    try:
        with run_node(to=Destinations(peer, ca=certificates / "other.pem")) as node:
            kit.send(node, kit.objects(1))
            (line, *_) = node.wait("peer_unreachable")
            assert line["why"] == "TLS failed: CERTIFICATE_VERIFY_FAILED"
        with run_node(to=Destinations(peer, ca=certificates / "ca.pem")) as node:
            node.wait("sent")
    finally:
        server.stop()
    assert [ds.Modality for ds in server.received] == ["SR", "OT"]


def test_a_server_may_ask_for_the_node_s_own_certificate(certificates, tmp_path):
    own = tls.TlsFiles(certificates / "server.pem", certificates / "server.key")
    both = tls.TlsFiles(own.cert, own.key, certificates / "ca.pem")
    server = Web(tls.server_context(both))
    try:
        peer, policy = web.parse_server(server.url("", "https")), Policy(allow=("A",))
        for shown in (None, own):
            context = tls.client_context(shown, certificates / "ca.pem")
            client = web.WebClient(peer, context, None, 5.0)
            headers = {"Content-Type": "application/fhir+json"}
            if shown is None:
                with pytest.raises(web.Unanswered):
                    client.post("", headers, [b"{}"], 2)
            else:
                assert client.post("", headers, [b"{}"], 2).status == 200
        assert ".dcm" in routes(Destinations(peer, tls=True), policy, both)
    finally:
        server.stop()


@pytest.mark.parametrize(
    "address",
    ["http://10.0.0.5/dicom-web", "ftp://pacs/x", "https://", "https://user:secret@pacs/",
     "https://pacs/?token=x", "https://pacs/#x", "https://pacs:99999/", "https://pa cs/",
     "https://pacs/\r\nX: y", "https://[::1", "https://pâcs/"],
)  # fmt: skip
def test_addresses_that_are_none_or_tell_too_much_are_refused(address):
    with pytest.raises(UsageError):
        parse_peer(address)
    with pytest.raises(UsageError):
        parse_fhir(address)


@pytest.mark.parametrize(
    ("address", "told"),
    [("https://pacs.example/dicom-web/", ("pacs.example", 443, "/dicom-web", True)),
     ("http://localhost:8042/dicom-web", ("localhost", 8042, "/dicom-web", False)),
     ("http://[::1]:80", ("::1", 80, "", False))],
)  # fmt: skip
def test_addresses(address, told):
    assert parse_peer(address) == web.WebServer(*told)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"tls": True}, "--peer-tls needs --tls-cert"),
        ({"token": "token"}, "--peer-token is for a peer"),
        ({"fhir_token": "token"}, "--fhir-token is for a FHIR server"),
        ({"ca": "ca"}, "--peer-ca is for"),
        ({"peer": parse_peer("https://pacs"), "ca": "/none.pem"}, "cannot use /none.pem for TLS"),
        ({"peer": parse_peer("https://pacs"), "token": "/none"}, "token file /none cannot be read"),
    ],
)
def test_files_without_what_they_are_for_are_refused(wrong, why, tmp_path):
    from pathlib import Path

    named = {k: Path(v) if isinstance(v, str) else v for k, v in wrong.items()}
    with pytest.raises((UsageError, InputError), match=re.escape(why)):
        routes(Destinations(**named), Policy(allow=("A",)), None)


@pytest.mark.parametrize("text", ["", "two words", "line\nline", "x" * 20_000])
def test_a_token_that_is_none_is_refused(tmp_path, text):
    path = tmp_path / "token"
    path.touch(mode=0o600)
    path.write_text(text)
    with pytest.raises(InputError, match="must hold one line"):
        web.WebClient(web.parse_server("https://pacs"), None, path, 1.0)
    path.chmod(0o644)
    with pytest.raises(InputError, match="open to others"):
        web.WebClient(web.parse_server("https://pacs"), None, path, 1.0)


def test_reports_are_filed_once_at_a_fhir_server(run_node, kit, server, token):
    server.answers = [503]
    to = Destinations(fhir=parse_fhir(server.url("/fhir")), fhir_token=token)
    with run_node(to=to, wanted={"fhir": True}) as node:
        kit.send(node, kit.objects(1))
        kit.until(lambda: server.received)
        kit.until(lambda: [f.suffix for f in node.files("outgoing")] == [".dcm"] * 2)
        assert not list((node.inbox / "outgoing").rglob("*.fhir"))
        assert TOKEN not in node.log
    (sent,) = server.received
    (path, headers) = server.asked[-1]
    assert (path, headers["Authorization"]) == ("/fhir", f"Bearer {TOKEN}")
    assert sent["type"] == "transaction"
    urls = {entry["fullUrl"] for entry in sent["entry"]}
    for entry in sent["entry"]:
        resource, identifier = entry["resource"], entry["fullUrl"]
        assert entry["request"] == {
            "method": "POST", "url": resource["resourceType"],
            "ifNoneExist": f"identifier=urn:ietf:rfc:3986|{identifier}",
        }  # fmt: skip
        assert {"system": "urn:ietf:rfc:3986", "value": identifier} in resource["identifier"]
        assert "id" not in resource
        if resource["resourceType"] != "Device":
            assert resource["subject"]["identifier"]["value"] == "PLANTED-ID"
    (report,) = (e["resource"] for e in sent["entry"] if "result" in e["resource"])
    assert {one["reference"] for one in report["result"]} <= urls


def test_a_fhir_server_s_refusal_is_put_aside_with_its_reason(run_node, kit, server, pacs):
    server.answers = [422]
    to = Destinations(pacs.peer, fhir=parse_fhir(server.url()))
    with run_node(to=to, wanted={"fhir": True}) as node:
        kit.send(node, kit.objects(1))
        node.wait("not_all_sent")
        assert reasons(node) == {"3": "the FHIR server answered 422"}
    assert len(pacs.received) == 2


def test_reports_go_into_a_folder(run_node, kit, tmp_path, pacs):
    to = Destinations(pacs.peer, fhir=parse_fhir(str(tmp_path / "reports")))
    with run_node(to=to, wanted={"fhir": True}) as node:
        kit.send(node, kit.objects(1))
        node.wait("sent")
    (path,) = (tmp_path / "reports").iterdir()
    told = json.loads(path.read_text())
    assert told["type"] == "collection"
    assert path.name == f"{told['entry'][0]['resource']['id']}.fhir.json"
