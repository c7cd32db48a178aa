"""Policy: who may send what, how much of it, and how slowly."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from fmtool.errors import UsageError
from runtime.service.web import WebServer, parse_server

_TITLE = re.compile(r"[\x20-\x5b\x5d-\x7e]{1,16}")  # the VR AE: no backslash, no control character
_MIB = 1 << 20
_GIB = 1 << 30


@dataclass(frozen=True)
class Policy:
    """The limits of a node; the defaults suit one scanner or a small PACS.

    Attributes:
        aet: the node's own AE title; an association for another one is refused.
        allow: the AE titles that may call. A title is a name, not a proof: use TLS for that.
        max_associations: at once; one more is refused for now. Of connections, whatever they say,
            there may be twice as many.
        max_pdu: the largest P-DATA-TF PDU asked for, bytes.
        max_any_pdu: the largest PDU of any kind that is read, bytes.
        max_object_bytes: of one message as it arrives; beyond it the association is aborted.
        max_association_bytes: of everything that one association sends.
        max_in_flight_bytes: of all messages being received, over all associations: what the node
            may hold in memory for them.
        max_header_bytes: how far into an object its identifiers are looked for.
        acse_s: until a connection must have asked for an association.
        dimse_s: until a peer must have answered.
        network_s: without a PDU until an association is aborted.
        pdu_s: from a PDU's first byte to its last.
        association_s: from the connection to its end.
        min_free_bytes: of the inbox's disk; below it nothing is accepted.
        commit_s: until a peer that was asked to keep documents, and took that, is asked again.
        settle_s: without a new object until a series is taken for complete.
        keep_days: until an answered series is deleted.
        unsuited_days: until a series that was put aside for what it is, such as no T1-weighted
            head, is deleted.
        failed_days: until one that was put aside for anything else is, and a document that the
            peer refused.
        max_quarantine_bytes: of all series that are put aside; unsuited and older ones go first.
    """

    aet: str = "FMTOOL"
    allow: tuple[str, ...] = ()
    max_associations: int = 32
    max_pdu: int = 64 << 10
    max_any_pdu: int = 256 << 10
    max_object_bytes: int = 512 * _MIB
    max_association_bytes: int = 32 * _GIB
    max_in_flight_bytes: int = _GIB
    max_header_bytes: int = 8 * _MIB
    acse_s: float = 10.0
    dimse_s: float = 30.0
    network_s: float = 60.0
    pdu_s: float = 30.0
    association_s: float = 6 * 3600.0
    min_free_bytes: int = 2 * _GIB
    commit_s: float = 3600.0
    settle_s: float = 30.0
    keep_days: float = 7.0
    unsuited_days: float = 7.0
    failed_days: float = 30.0
    max_quarantine_bytes: int = 20 * _GIB

    @property
    def max_connections(self) -> int:
        """At once, from accept on."""
        return 2 * self.max_associations

    @property
    def max_connections_each(self) -> int:
        """Of one address."""
        return self.max_connections - self.max_connections // 8

    def __post_init__(self) -> None:
        for title in (self.aet, *self.allow):
            check_title(title)
        if not self.allow:
            raise UsageError("no AE title may call this node; name those that may with --allow")


@dataclass(frozen=True)
class Peer:
    """Where results go: an AE title at a host and a port."""

    aet: str
    host: str
    port: int


def parse_peer(text: str) -> Peer | WebServer:
    """The peer of `AET@HOST:PORT`, or the DICOMweb server of an address.

    An IPv6 address stands in brackets.

    Raises:
        UsageError: for anything else.
    """
    if "://" in text:
        return parse_server(text)
    found = re.fullmatch(r"([^@]+)@(\[[^\]]+\]|[^:@\[\]]+):(\d{1,5})", text)
    if not found or not 0 < int(found[3]) < 65536:
        raise UsageError(
            f"the peer {text!r} is not AET@HOST:PORT, such as PACS@10.0.0.5:104, nor "
            "the address of a DICOMweb server, such as https://pacs.example/dicom-web"
        )
    return Peer(check_title(found[1]), found[2].strip("[]"), int(found[3]))


def parse_fhir(text: str) -> WebServer | Path:
    """The FHIR server of an address, or else a folder.

    Raises:
        UsageError: for an address that is none.
    """
    return parse_server(text) if "://" in text else Path(text)


def check_title(title: str) -> str:
    """The AE title, if it is one.

    Raises:
        UsageError: for one that is empty, too long, or has characters that no AE title has.
    """
    if not _TITLE.fullmatch(title) or title != title.strip():
        raise UsageError(
            f"{title!r} is not an AE title: 1 to 16 plain characters, no backslash, no space at "
            "either end"
        )
    return title
