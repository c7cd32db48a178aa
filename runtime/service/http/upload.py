"""Uploads: from a request's body to a file, never more of it in memory than a few chunks."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from runtime.scan.dicom.found import is_dicom
from runtime.scan.stream import MAGICS
from runtime.service.guard import Reservation, is_full
from runtime.service.http.limits import Limits, Refusal
from runtime.service.http.parts import FilePart

MULTIPART = "multipart/form-data"
RAW = (
    "application/octet-stream",
    "application/gzip",
    "application/x-gzip",
    "application/zip",
    "application/x-zip-compressed",
    "application/dicom",
)
_BUFFER = 1 << 20
_STARTS = (
    *MAGICS,
    b"PK\x03\x04",
    b"\x00\x00\x00\x01",  # MGH
    *(size.to_bytes(4, order) for size in (348, 540) for order in ("little", "big")),  # NIfTI
)


class Sink:
    """A file that is being written, and the digest of what is in it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream = path.open("xb")
        self._hash = hashlib.sha256()
        self._buffer = bytearray()
        self.start = b""
        self.size = 0

    def write(self, data: bytes) -> None:
        """Take the next bytes; they go to disk with `flush`."""
        if len(self.start) < 132:
            self.start += data[: 132 - len(self.start)]
        self._buffer += data
        self.size += len(data)

    async def flush(self, least: int = 0) -> bool:
        """Write what is held, if it is more than `least`; the event loop goes on meanwhile."""
        if len(self._buffer) <= least:
            return False
        data, self._buffer = bytes(self._buffer), bytearray()
        await run_in_threadpool(self._put, data)
        return True

    async def close(self) -> str:
        """Have everything on disk for good; the SHA-256 of the content."""
        await self.flush()
        await run_in_threadpool(self._sync)
        return self._hash.hexdigest()

    def discard(self) -> None:
        """Delete the file."""
        self._stream.close()
        self._path.unlink(missing_ok=True)

    def _put(self, data: bytes) -> None:
        self._hash.update(data)
        self._stream.write(data)

    def _sync(self) -> None:
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()


def check_head(request: Request, limits: Limits) -> int:
    """Refuse what the head alone shows to be wrong; the bytes that it announces, 0 if it does not.

    Raises:
        Refusal: 411, 413 or 415.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != MULTIPART and kind not in RAW:
        raise Refusal(
            415, "send the scan as application/octet-stream, or as the part 'file' of a form"
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refusal(415, "send the file as it is, without a content encoding")
    length = request.headers.get("content-length", "0")
    count = int(length) if length.isascii() and length.isdigit() and len(length) < 20 else 0
    if count > limits.max_bytes:
        raise _too_large(limits)
    return count


async def receive(
    request: Request, path: Path, limits: Limits, space: Reservation
) -> tuple[str, int]:
    """Write a request's scan to `path`; the SHA-256 and the size of it.

    Args:
        request: whose head was checked.
        path: of the file, which is not there yet.
        limits: see there.
        space: that was promised for it.

    Raises:
        Refusal: if it is too large, too slow, malformed, or no scan; then there is no file.
        OSError: if it cannot be written; then neither.
    """
    sink = Sink(path)
    kept = False
    try:
        content_type = request.headers.get("content-type", "")
        multipart = content_type.lower().startswith(MULTIPART)
        part = FilePart(content_type, sink.write) if multipart else None
        async for chunk in _chunks(request, limits):
            if part is None:
                sink.write(chunk)
            else:
                part.feed(chunk)
            if await sink.flush(_BUFFER):
                space.wrote(sink.size)
        if part is not None:
            part.close()
        if not sink.start.startswith(_STARTS) and not is_dicom(sink.start):
            raise Refusal(415, "the file is not NIfTI, MGH, DICOM or a zip of DICOM files")
        content = await sink.close()
        space.wrote(sink.size)
        kept = True
        return content, sink.size
    except OSError as error:
        if is_full(error):
            raise Refusal(503, "the disk is full", limits.retry_s) from None
        raise
    finally:
        if not kept:
            sink.discard()


async def _chunks(request: Request, limits: Limits) -> AsyncIterator[bytes]:
    stream = request.stream()
    total, started = 0, time.monotonic()
    while True:
        try:
            async with asyncio.timeout(limits.body_s):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise Refusal(408, "the body came too slowly") from None
        except ClientDisconnect:
            raise Refusal(400, "the client went away") from None
        total += len(chunk)
        if total > limits.max_bytes:
            raise _too_large(limits)
        if limits.too_slow(total, time.monotonic() - started):
            raise Refusal(408, "the body came too slowly")
        yield chunk


def _too_large(limits: Limits) -> Refusal:
    return Refusal(413, f"at most {limits.max_bytes} bytes are taken")
