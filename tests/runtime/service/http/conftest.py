"""A service on a port of its own, whose worker answers at once."""

from __future__ import annotations

import logging
import threading
import time

import httpx
import pytest

pytest.importorskip("fastapi", reason="the http extra is absent")
pytest.importorskip("uvicorn", reason="the http extra is absent")
pytest.importorskip("prometheus_client", reason="the http extra is absent")
pytest.importorskip("python_multipart", reason="the http extra is absent")

from runtime.service.ending import Ending
from runtime.service.http import service
from runtime.service.http.limits import Limits

TOKEN = "t" * 32


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.touch(mode=0o600)
    path.write_text(TOKEN + "\n")
    return path


@pytest.fixture
def served(tmp_path, worker, token_file):
    """`served(**settings)`: a running service: its `client`, `port`, `ending` and `spool`."""
    started = []

    class Served:
        def __init__(self, limits=None, worker=worker, token=TOKEN, **settings):
            self.spool = tmp_path / "spool"
            self.ending = Ending()
            self.port = None
            wanted = service.HttpSettings(
                spool=self.spool,
                port=0,
                token_file=token_file if token else None,
                limits=limits or Limits(),
                **{"min_free_bytes": 0, **settings},
            )
            seen = _Port(self)
            logging.getLogger("fmtool.http").addHandler(seen)
            logging.getLogger("fmtool.http").setLevel("INFO")
            self.thread = threading.Thread(
                target=service.serve, args=(wanted, lambda: worker, self.ending)
            )
            self.thread.start()
            until(lambda: self.port or not self.thread.is_alive())
            logging.getLogger("fmtool.http").removeHandler(seen)
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            url = f"http{'s' * bool(settings.get('tls'))}://127.0.0.1:{self.port}"
            self.client = httpx.Client(
                base_url=url, headers=headers, timeout=10, trust_env=False, verify=False
            )
            until(lambda: self.client.get("/health").status_code == 200)
            started.append(self)

        def post(self, body=b"", **words):
            headers = {"content-type": "application/octet-stream", **words.pop("headers", {})}
            return self.client.post("/v1/scans", content=body, headers=headers, **words)

        def done(self, answer):
            """Wait for the job of a POST's answer."""
            assert answer.status_code == 202, answer.text
            path = answer.headers["location"]
            until(lambda: self.client.get(path).json()["state"] in ("done", "failed"))
            return self.client.get(path).json()

        def stop(self):
            self.client.close()
            self.ending.ask()
            self.thread.join(15)
            assert not self.thread.is_alive()
            if self in started:
                started.remove(self)

    yield Served
    for one in list(started):
        one.stop()


class _Port(logging.Handler):
    """Reads the port from the log, as an operator would."""

    def __init__(self, served):
        super().__init__()
        self._served = served

    def emit(self, record):
        if record.msg == "listening":
            self._served.port = record.fmtool_facts["port"]


def until(true, seconds=8.0):
    end = time.monotonic() + seconds
    while True:
        try:
            if true():
                return
        except httpx.ConnectError:
            pass  # not listening yet
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


@pytest.fixture
def scan():
    """`scan(n)`: bytes that begin as a NIfTI file does, and that the worker answers."""

    def make(number=0):
        return (348).to_bytes(4, "little") + b" %d" % number

    return make
