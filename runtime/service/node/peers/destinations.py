"""Where a node's documents go: the peer, and whoever takes FHIR reports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fmtool.errors import UsageError
from runtime.report.publish import check_writable
from runtime.service.node.peers import Route
from runtime.service.node.peers.association import Caller
from runtime.service.node.peers.commit import CommitRoute
from runtime.service.node.peers.cstore import StoreRoute
from runtime.service.node.peers.fhir import FhirRoute, FolderRoute
from runtime.service.node.peers.stow import StowRoute
from runtime.service.node.policy import Peer, Policy
from runtime.service.tls import TlsFiles, client_context
from runtime.service.web import WebClient, WebServer


@dataclass(frozen=True)
class Destinations:
    """Where documents go; what has no place to go to waits.

    Attributes:
        peer: of the DICOM documents: a node, or a DICOMweb server.
        tls: whether the peer is spoken to over TLS with the node's own certificate.
        token: a file with the DICOMweb server's bearer token.
        ca: authorities of the servers' certificates, PEM; else the node's own, else the system's.
        fhir: of FHIR reports: a server, or a folder; None for no reports.
        fhir_token: a file with the FHIR server's bearer token.
    """

    peer: Peer | WebServer | None = None
    tls: bool = False
    token: Path | None = None
    ca: Path | None = None
    fhir: WebServer | Path | None = None
    fhir_token: Path | None = None


NOWHERE = Destinations()
"""All of it waits."""


def routes(to: Destinations, policy: Policy, own: TlsFiles | None) -> dict[str, Route]:
    """The ways there, by the end of a document's name.

    Raises:
        UsageError: for files without what they are for, or the other way round.
        InputError: if one of them, or the folder, cannot be used.
    """
    if to.tls and own is None:
        raise UsageError("--peer-tls needs --tls-cert and --tls-key")
    if to.tls and isinstance(to.peer, WebServer) and not to.peer.encrypted:
        raise UsageError("--peer-tls needs an https:// address")
    if to.token and not isinstance(to.peer, WebServer):
        raise UsageError("--peer-token is for a peer that is an https:// address")
    if to.fhir_token and not isinstance(to.fhir, WebServer):
        raise UsageError("--fhir-token is for a FHIR server: name its address with --fhir")
    if to.ca and not any(
        isinstance(one, WebServer) and one.encrypted for one in (to.peer, to.fhir)
    ):
        raise UsageError("--peer-ca is for a peer or a FHIR server at an https:// address")

    def client(server: WebServer, token: Path | None) -> WebClient:
        ca = to.ca or (own.ca if own else None)
        context = client_context(own if to.tls else None, ca) if server.encrypted else None
        return WebClient(server, context, token, policy.dimse_s)

    ways: dict[str, Route] = {}
    if isinstance(to.peer, WebServer):
        ways[".dcm"] = StowRoute(client(to.peer, to.token))
    elif to.peer is not None:
        ways[".dcm"] = StoreRoute(_caller(to.peer, to, policy, own))
    if isinstance(to.fhir, WebServer):
        ways[".fhir"] = FhirRoute(client(to.fhir, to.fhir_token))
    elif to.fhir is not None:
        check_writable(to.fhir)
        ways[".fhir"] = FolderRoute(to.fhir)
    return ways


def commit_route(to: Destinations, policy: Policy, own: TlsFiles | None) -> CommitRoute | None:
    """The way to ask the peer to keep what it has stored; None if it is no DICOM node.

    Raises:
        InputError: as `routes`.
    """
    return CommitRoute(_caller(to.peer, to, policy, own)) if isinstance(to.peer, Peer) else None


def _caller(peer: Peer, to: Destinations, policy: Policy, own: TlsFiles | None) -> Caller:
    return Caller(peer, policy, client_context(own) if to.tls else None)
