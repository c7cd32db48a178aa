"""Posting to a site's own server over HTTP: to the address that was named and to no other.

What is sent is streamed; what is answered is bounded, in bytes and in time. No proxy of the
environment is used and no redirection followed.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from fmtool.errors import InputError, UsageError
from fmtool.files import secret
from runtime.service.tls import is_loopback

_ANSWER_BYTES = 1 << 20
_WHOLE_S = 600.0
_TOKEN_BYTES = 16384
_TOKEN = re.compile(rb"[\x21-\x7e]+")


@dataclass(frozen=True)
class WebServer:
    """A server's address; `path` begins with a slash and does not end with one, or is empty."""

    host: str
    port: int
    path: str
    encrypted: bool


def parse_server(text: str) -> WebServer:
    """The server of an https:// address, or of an http:// one on this machine.

    Raises:
        UsageError: for anything else.
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    known = parts.scheme in ("http", "https") if host else False
    if not known or not re.fullmatch(r"[!-~]*", text) or "%" in host:
        raise UsageError(f"{text!r} is no address such as https://pacs.example/dicom-web")
    if parts.username is not None or parts.query or parts.fragment:
        raise UsageError(
            "an address takes no user, query or fragment (others of this machine could read it): "
            "a token goes into a file of its own"
        )
    if parts.scheme == "http" and not is_loopback(host):
        raise UsageError(f"{text} would send patients' data unencrypted: use https://")
    encrypted = parts.scheme == "https"
    return WebServer(host, port or (443 if encrypted else 80), parts.path.rstrip("/"), encrypted)


class Unanswered(Exception):
    """The server was not reached, or gave no answer that can be read; and why."""


@dataclass(frozen=True)
class Answer:
    """A status and a body."""

    status: int
    body: bytes


class WebClient:
    """Posts to a server.

    Args:
        server: see there.
        tls: a client's context, for an encrypted one.
        token: a file with a bearer token; read anew for each post, so that it may be renewed.
        quiet_s: without a byte, until an answer is waited for no longer.

    Raises:
        InputError: if the token cannot be read or is none.
    """

    def __init__(
        self, server: WebServer, tls: ssl.SSLContext | None, token: Path | None, quiet_s: float
    ) -> None:
        self._server, self._tls, self._token, self._quiet_s = server, tls, token, quiet_s
        self._authorization()

    def post(
        self, path: str, headers: Mapping[str, str], body: Iterable[bytes], size: int
    ) -> Answer:
        """Post a body of so many bytes below the server's address.

        Raises:
            Unanswered: if there is no answer.
            OSError: if the body cannot be read.
        """
        server, connection = self._server, self._connection()
        told = {"Content-Length": str(size), "Connection": "close", "User-Agent": "fmtool"}
        failure: list[OSError] = []
        timer = None
        try:
            told |= {**headers, **self._authorization()}
            connection.connect()
            timer = threading.Timer(_WHOLE_S, _cut, [connection.sock])
            timer.daemon = True
            timer.start()
            # It may have refused before all of it was sent, and said why.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request("POST", server.path + path, _read(body, failure), told)
            answer = connection.getresponse()
            return Answer(answer.status, answer.read(_ANSWER_BYTES))
        except InputError:
            raise Unanswered("the token file cannot be used") from None
        except ssl.SSLError as error:
            raise Unanswered(f"TLS failed: {error.reason or error.strerror}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            if failure:
                raise failure[0] from None
            raise Unanswered(f"no answer ({type(error).__name__})") from None
        finally:
            if timer:
                timer.cancel()
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        server = self._server
        if server.encrypted:
            return http.client.HTTPSConnection(
                server.host, server.port, timeout=self._quiet_s, context=self._tls
            )
        return http.client.HTTPConnection(server.host, server.port, timeout=self._quiet_s)

    def _authorization(self) -> dict[str, str]:
        if self._token is None:
            return {}
        remedy = "write the server's token into a file that only this user can read"
        token = secret(self._token, _TOKEN_BYTES, "the token file", remedy).strip()
        if len(token) > _TOKEN_BYTES or not _TOKEN.fullmatch(token):
            raise InputError(f"the token file {self._token} must hold one line; {remedy}")
        return {"Authorization": f"Bearer {token.decode('ascii')}"}


def _read(body: Iterable[bytes], failure: list[OSError]) -> Iterable[bytes]:
    """The body; that it cannot be read is told apart from that it cannot be sent."""
    try:
        yield from body
    except OSError as error:
        failure.append(error)
        raise


def _cut(sock: socket.socket) -> None:
    """End a connection that another thread waits on."""
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not TLS's own, which unwraps it
    except OSError:
        return  # it ended by itself
