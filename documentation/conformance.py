"""The tables of the DICOM conformance statement, from what the node does (PS3.2)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from pydicom.datadict import dictionary_description, tag_for_keyword
from pydicom.tag import Tag
from pydicom.uid import UID
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from documentation.verbs import table
from runtime.documents.naming import DOCUMENTS
from runtime.documents.source import WANTED
from runtime.service.node import receive, scp
from runtime.service.node.peers import commit, cstore
from runtime.service.node.policy import Policy

_LIMITS = {
    "max_associations": "associations at once",
    "max_pdu": "largest PDU asked for, bytes",
    "max_object_bytes": "largest message, bytes",
    "max_association_bytes": "all that one association sends, bytes",
    "acse_s": "until a connection must have asked for an association, s",
    "dimse_s": "until a peer must have answered, s",
    "network_s": "without a PDU until an association is aborted, s",
    "pdu_s": "from a PDU's first byte to its last, s",
    "commit_s": "until a peer that reports nothing is asked again to keep documents, s",
    "association_s": "of one association, s",
}


def classes() -> str:
    """SOP classes: in which role, in which transfer syntaxes."""
    taken = [(sop, "SCP", scp.TRANSFER_SYNTAXES) for sop in scp.SOP_CLASSES]
    sent = [(sop, "SCU", cstore.TRANSFER_SYNTAXES) for sop, _ in DOCUMENTS.values()]
    kept = (commit.SOP_CLASS, "SCU", commit.TRANSFER_SYNTAXES)
    rows = [(Verification, "SCP", None), *taken, *sent, kept]
    return table(
        ("SOP class", "UID", "role", "transfer syntaxes"),
        [
            (UID(sop).name, f"`{sop}`", role, _syntaxes(syntaxes) if syntaxes else "the default")
            for sop, role, syntaxes in rows
        ],
    )


def syntaxes() -> str:
    """Transfer syntaxes by name."""
    every = dict.fromkeys([*scp.TRANSFER_SYNTAXES, *cstore.TRANSFER_SYNTAXES])
    return table(("transfer syntax", "UID"), [(uid.name, f"`{uid}`") for uid in every])


def statuses() -> str:
    """What C-STORE requests are answered with."""
    return table(
        ("status", "the object"),
        [(f"0x{code:04X}", said) for code, said in receive.STATUSES.items()],
    )


def reports() -> str:
    """What N-EVENT-REPORT requests are answered with."""
    return table(
        ("status", "the report"),
        [(f"0x{code:04X}", said) for code, said in commit.STATUSES.items()],
    )


def documents() -> str:
    """The objects made of one answer."""
    return table(
        ("series number", "SOP class", "holds"),
        [(str(number), sop.name, said) for number, (sop, said) in DOCUMENTS.items()],
    )


def attributes() -> str:
    """What is copied from the source."""
    return table(
        ("attribute", "tag"),
        [
            (dictionary_description(word), str(Tag(tag_for_keyword(word) or 0)))
            for word in sorted(WANTED, key=lambda word: tag_for_keyword(word) or 0)
        ],
    )


def limits() -> str:
    """Associations, sizes and timeouts, as they are unless an option says otherwise."""
    fields = {field.name: field.default for field in dataclasses.fields(Policy)}
    rows = [
        (said, f"{fields[name]:g}") if name.endswith("_s") else (said, str(fields[name]))
        for name, said in _LIMITS.items()
    ]
    return table(("limit", "default"), rows)


def _syntaxes(every: Iterable[UID]) -> str:
    return "; ".join(uid.name for uid in every)


TABLES = {
    "dicom_classes": classes,
    "dicom_syntaxes": syntaxes,
    "dicom_statuses": statuses,
    "dicom_reports": reports,
    "dicom_documents": documents,
    "dicom_attributes": attributes,
    "dicom_limits": limits,
}
"""By the name that a page says."""
