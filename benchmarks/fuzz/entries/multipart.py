"""What an HTTP client sends: the type and the body of a POST, `runtime.service.http.upload`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from fastapi import Request

from benchmarks.fuzz.entry import Entry
from runtime.service.guard import SpaceGuard
from runtime.service.http import upload
from runtime.service.http.limits import Limits, Refusal

_LIMITS = Limits(max_bytes=1 << 18)
_NIFTI = (348).to_bytes(4, "little") + bytes(344)


def _part(*headers: bytes, body: bytes = _NIFTI) -> bytes:
    lines = b"\r\n".join((b"--edge", *headers, b"", body))
    return b"multipart/form-data; boundary=edge\n" + lines + b"\r\n--edge--\r\n"


def _trial(data: bytes, folder: Path) -> None:
    """The first line is the content type, the rest the body, in pieces."""
    kind, _, body = data.partition(b"\n")
    size = 1 + len(body) // (1 + sum(data[:4]) % 7)
    pieces = [body[at : at + size] for at in range(0, len(body), size)] or [b""]

    async def receive() -> dict[str, Any]:
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
    path = folder / "upload"
    try:
        upload.check_head(request, _LIMITS)
        with SpaceGuard(folder, 0).reserved(0) as space:
            asyncio.run(upload.receive(request, path, _LIMITS, space))
    except Refusal:
        assert not path.exists(), "a refused upload was left behind"
        raise
    assert path.stat().st_size <= len(body)


def _seeds() -> list[bytes]:
    named = b'Content-Disposition: form-data; name="file"; filename="a.nii"'
    star = b"Content-Disposition: form-data; name=\"file\"; filename*=UTF-8''a%00"
    kind = b"Content-Type: application/octet-stream"
    return [
        _part(named, kind),
        _part(star),
        _part(b'Content-Disposition: form-data; name="other"', body=b"x"),
        b"application/octet-stream\n" + _NIFTI,
        b'multipart/form-data; boundary="a b"\n--a b\r\n\r\n\r\n--a b--',
    ]


_MARKS = (b"\r\n", b"--edge", b"--edge--", b"boundary=", b'name="file"', b";", b'"', b"=", b"\\")
_MORE = (b"filename*=utf-16''%ff", b"name*0=fi; name*1=le", b"\0", b"\xff", b"Content-Disposition:")

ENTRY = Entry(_seeds, _trial, _MARKS + _MORE, refusals=(Refusal,))
