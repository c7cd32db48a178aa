"""Documents to a DICOMweb server: STOW-RS (PS3.18, 10.5), a request for each."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from pydicom import dcmread
from pydicom.uid import UID

from fmtool.files import open_regular
from runtime.service.node.peers import NotTaken, Unreached, judge, unreadable
from runtime.service.web import Answer, Unanswered, WebClient

_CHUNK = 1 << 16
_STORED, _FAILED = "00081199", "00081198"  # Referenced SOP Sequence, Failed SOP Sequence
_INSTANCE, _REASON = "00081155", "00081197"
_ELSEWHERE = (401, 403, 404, 405, 407, 410)  # it is the token or the address, no document
_NEVER = (406, 413, 415, 422)


class StowRoute:
    """STOW-RS to a server.

    Args:
        client: of the server; its address is the one that `/studies` is below.
    """

    def __init__(self, client: WebClient) -> None:
        self._client = client

    def send(self, file: Path) -> None:
        """Send a document; see `Route`."""
        try:
            head = dcmread(file, specific_tags=["SOPClassUID", "SOPInstanceUID"])
            sop_class, instance = UID(head.SOPClassUID), str(head.SOPInstanceUID)
        except Exception as error:  # whatever damaged bytes raise in the parser
            raise unreadable(error) from None
        boundary = secrets.token_hex(16)
        lead = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        tail = f"\r\n--{boundary}--\r\n".encode()
        kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
        headers = {"Content-Type": kind, "Accept": "application/dicom+json"}
        try:
            with open_regular(file) as stream:
                size = len(lead) + file.stat().st_size + len(tail)
                body = _parts(lead, stream, tail)
                answer = self._client.post("/studies", headers, body, size)
        except Unanswered as error:
            raise Unreached(str(error)) from None
        except OSError as error:
            raise unreadable(error) from None
        _judge(answer, instance, sop_class.name)


def _parts(lead: bytes, stream: BinaryIO, tail: bytes) -> Iterator[bytes]:
    yield lead
    while chunk := stream.read(_CHUNK):
        yield chunk
    yield tail


def _judge(answer: Answer, instance: str, sop_class: str) -> None:
    """See what an answer says of a document.

    Raises:
        Unreached: if it is not about the document.
        NotTaken: if the document is not stored.
    """
    status = answer.status
    refuse_others(status)
    said = _said(answer.body)
    for item in _items(said, _FAILED):
        if _value(item, _INSTANCE) in (instance, None):
            reason = _value(item, _REASON)
            judge(reason if type(reason) is int else 0xC000, sop_class=sop_class)
            return
    if status in (200, 201, 204):
        return
    if status == 202 and any(_value(i, _INSTANCE) == instance for i in _items(said, _STORED)):
        return
    raise NotTaken(f"the server answered {status}", status in _NEVER or None, http_status=status)


def refuse_others(status: int) -> None:
    """See whether an HTTP status is about what was sent.

    Raises:
        Unreached: if it is about who sent it and where.
        NotTaken: if it passes.
    """
    if status in _ELSEWHERE or 300 <= status < 400:
        raise Unreached(f"it answered {status}")
    if status in (408, 425, 429) or status >= 500:
        raise NotTaken(f"the server answered {status}", False, http_status=status)


def _said(body: bytes) -> dict[str, Any]:
    """The response's data set in DICOM JSON; empty if it is none."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _items(data: dict[str, Any], tag: str) -> list[dict[str, Any]]:
    element = data.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return [v for v in values if isinstance(v, dict)] if isinstance(values, list) else []


def _value(item: dict[str, Any], tag: str) -> Any:
    element = item.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values[0] if isinstance(values, list) and values else None
