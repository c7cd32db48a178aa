"""TLS: a service as a server, and as a client that sends results."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass, replace
from pathlib import Path

from fmtool.errors import InputError, UsageError
from fmtool.files import secret


@dataclass(frozen=True)
class TlsFiles:
    """PEM files: a service's certificate and key, and whose certificates it trusts.

    Attributes:
        cert: the certificate, with its chain.
        key: its private key, without a passphrase.
        ca: the authorities whose certificates are taken from peers; None takes any client.
    """

    cert: Path
    key: Path
    ca: Path | None = None


def files(
    cert: Path | None, key: Path | None, ca: Path | None = None, required: bool = False
) -> TlsFiles | None:
    """The files named, or None for a service without TLS.

    Raises:
        UsageError: for some but not all, or for none where TLS is required.
    """
    if required and not (cert and key and ca):
        raise UsageError("TLS is required: name --tls-cert, --tls-key and --tls-ca")
    if not (cert or key or ca):
        return None
    if not (cert and key):
        raise UsageError("--tls-cert and --tls-key go together: name both")
    return TlsFiles(cert, key, ca)


_LOCAL_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost"})


def is_loopback(host: str) -> bool:
    """Whether an address or a host's name means this machine and no other."""
    bare = host.strip("[]").lower()
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return bare in _LOCAL_NAMES


def server_context(tls: TlsFiles) -> ssl.SSLContext:
    """TLS 1.2 or newer; with authorities, a client must show a certificate of theirs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, tls)
    if tls.ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(tls: TlsFiles | None, ca: Path | None = None) -> ssl.SSLContext:
    """The peer's certificate must be of the authorities named, and of no other, and name its host.

    Where none is named, it must be of one of the system's.

    Args:
        tls: the service's own, to be shown; None to show none.
        ca: authorities, in place of those of `tls`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    ca = ca or (tls.ca if tls else None)
    if ca is None:
        context.load_default_certs()
    if tls is not None:
        _load(context, replace(tls, ca=ca))
    elif ca is not None:
        try:
            context.load_verify_locations(ca)
        except OSError as error:  # ssl.SSLError is one
            raise InputError(
                f"cannot use {ca} for TLS ({error.strerror or error}); name a PEM file of "
                "certificates"
            ) from None
    return context


def _load(context: ssl.SSLContext, tls: TlsFiles) -> None:
    secret(tls.key, 0, "the key", "name a PEM file")
    try:
        context.load_cert_chain(tls.cert, tls.key, password=lambda: "")
        if tls.ca is not None:
            context.load_verify_locations(tls.ca)
    except OSError as error:  # ssl.SSLError is one
        raise InputError(
            f"cannot use {tls.cert}, {tls.key}{f' and {tls.ca}' if tls.ca else ''} for TLS "
            f"({error.strerror or error}); name PEM files that belong together, the key without a "
            "passphrase"
        ) from None
