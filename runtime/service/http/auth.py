"""Who may use the service: whoever has the token; without one, this machine's own programs."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path

from fmtool.errors import InputError, UsageError
from fmtool.files import secret
from runtime.service.tls import is_loopback

SHORTEST = 16
LONGEST = 4096


def read_token(path: Path) -> str:
    """The token that a file holds: one line.

    Raises:
        InputError: if the file cannot be read, is open to others, or its token is too short.
    """
    remedy = "make one: (umask 077; openssl rand -hex 32 > FILE)"
    text = secret(path, LONGEST, "the token file", remedy)
    token = text.strip()
    if not SHORTEST <= len(token) <= LONGEST or not all(33 <= c < 127 for c in token):
        raise InputError(
            f"the token file {path} must hold one line of at least {SHORTEST} letters and digits; "
            f"{remedy}"
        )
    return token.decode("ascii")


def check_host(host: str, has_token: bool) -> None:
    """Refuse to listen beyond this machine without a token.

    Raises:
        UsageError: then.
    """
    if not has_token and not is_loopback(host):
        raise UsageError(
            f"{host} may be reached from other machines: give --token-file, or listen on 127.0.0.1"
        )


class Auth:
    """Says who may pass.

    Args:
        token: that a request must show; None to let local programs pass, but not web pages.
    """

    def __init__(self, token: str | None) -> None:
        self._digest = None if token is None else _digest(token)

    @property
    def has_token(self) -> bool:
        """Whether a token must be shown."""
        return self._digest is not None

    def passes(self, headers: Mapping[str, str]) -> bool:
        """Whether a request may pass; the time this takes tells nothing about the token.

        Without a token, another's page in this machine's browser must not pass for a local program:
        it sends its `Origin`, or, if its own name was made to point here, that name as `Host`.
        """
        if self._digest is None:
            host = headers.get("host", "")
            own = headers.get("origin") in (None, f"http://{host}", f"https://{host}")
            return own and is_loopback(_name(host))
        scheme, _, given = headers.get("authorization", "").partition(" ")
        same = hmac.compare_digest(_digest(given.strip()), self._digest)
        return scheme.lower() == "bearer" and same


def _name(host: str) -> str:
    """The name of a `Host` header, without the port."""
    if host.startswith("["):
        return host.partition("]")[0]
    return host.partition(":")[0]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
