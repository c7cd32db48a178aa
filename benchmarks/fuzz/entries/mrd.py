"""What a client sends to the MRD server: `runtime.service.mrd`, from the bytes to a volume.

A trial reads the messages as a connection does, then what they say as the answering process does:
attributes, mini headers, the XML header, parameters, geometry.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from benchmarks.fuzz.entry import Entry
from runtime.scan import Scan
from runtime.service.mrd import images, mini_header, parameters, volume, wire
from runtime.service.mrd.rehearsal import dicom, scanner
from runtime.service.mrd.rehearsal.scanner import Arrangement
from runtime.service.mrd.wire import MrdMessage, Tag

_MOST = 4 << 20


def _trial(data: bytes, folder: Path) -> None:
    stream, held, messages = io.BytesIO(data), 0, list[MrdMessage]()

    def allow(size: int) -> None:
        nonlocal held
        held += size
        assert size <= wire.MAX_IMAGE_BYTES, "more was asked for than is ever taken"

    while (message := wire.read(stream.read, allow)) is not None and message.kind != Tag.CLOSE:
        messages.append(message)
    parameters.read(wire.text_of(m) for m in messages if m.kind == Tag.TEXT)
    for message in messages:
        if message.kind == Tag.IMAGE:
            one = images.taken_apart(wire.image(message))
            for value in one.meta.get("IceMiniHead", ()):
                mini_header.changed(value, {"SliceNo": "1"}, {"ImageTypeValue4": "X"})
    read = volume.read(messages)
    assert read.scan.array.size <= _MOST
    dicom.write(messages[:2], folder, "fuzz")


def _seeds() -> list[bytes]:
    voxels = np.random.default_rng(3).random((16, 16, 16), dtype=np.float32)
    scan = Scan(voxels, np.diag([2.0, 2.0, 2.0, 1.0]))
    hows = (
        Arrangement("axial", packed=True),
        Arrangement("axial", packed=True, marked=False, centred=False),
        Arrangement("coronal", shuffled=1),
    )
    return [
        wire.text_message('{"parameters": {"mask": "true", "report": false}}').wire
        + b"".join(message.wire for message in scanner.stream(scan, how))
        for how in hows
    ]


_NUMBERS = tuple(kind.to_bytes(2, "little") for kind in (*Tag, 1008, 1010))
_WORDS = (
    b"<meta><name>",
    b"</value>",
    b"ImageRowDir",
    b"IceMiniHead",
    b"<!DOCTYPE",
    b"NaN",
    b"{ }",
)

ENTRY = Entry(_seeds, _trial, _NUMBERS + _WORDS)
