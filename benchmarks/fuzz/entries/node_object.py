"""The data set of a C-STORE request: received, stored, read as a scan, and quoted in documents."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from pydicom import config, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)
from pynetdicom.events import Event

from benchmarks.fuzz.entries import made_dicom
from benchmarks.fuzz.entry import Entry
from fmtool.errors import FmtoolError, InputError
from fmtool.task import AGE, SEX
from runtime import scan
from runtime.preprocess.pipeline import Prepared
from runtime.preprocess.template import Template
from runtime.result import Prediction, Result
from runtime.service.answer import Fate, Order, answered
from runtime.service.node.documents import documents
from runtime.service.node.policy import Policy
from runtime.service.node.receive import SUCCESS, receive
from runtime.service.node.storage import Inbox

config.settings.reading_validation_mode = config.IGNORE  # as the node sets it

_SYNTAXES = (
    *(ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless),
)
_POLICY = Policy(allow=("ANY",), min_free_bytes=0)
_WORDS = ("SOPClassUID", "SOPInstanceUID")


def _event(data: bytes, syntax: UID) -> Any:
    """A request that names the object as the object itself does, where it can be read."""
    named = {}
    try:
        found = read_dataset(BytesIO(data), syntax == ImplicitVRLittleEndian, True)
        named = {word: str(found.get(word, "")) for word in _WORDS}
    except Exception:  # of any kind: then the request names another
        named = dict.fromkeys(_WORDS, "")
    sop_class = UID(named["SOPClassUID"] or made_dicom.MR)
    instance = named["SOPInstanceUID"] or "1.2.3"
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = made_dicom.MR, UID("1.2.3")
    meta.TransferSyntaxUID = syntax
    return SimpleNamespace(
        request=SimpleNamespace(AffectedSOPClassUID=sop_class, AffectedSOPInstanceUID=instance),
        context=SimpleNamespace(abstract_syntax=sop_class, transfer_syntax=syntax),
        encoded_dataset=lambda include_meta: data,
        file_meta=meta,
        assoc=SimpleNamespace(requestor=SimpleNamespace(ae_title="SCANNER", address="127.0.0.1")),
    )


def _answer(folder: Path) -> Result:
    """Reads as the predictor does; a slice among good ones is a volume."""
    try:
        scan.read(folder)
    except FmtoolError as error:
        if not isinstance(error, InputError):
            raise
    array = np.linspace(0, 1, 27, dtype=np.float32).reshape(3, 3, 3)
    prepared = Prepared(array, array > 0.2, np.eye(4), array, array > 0.2, np.eye(4), {})
    about = {"name": "made", "digest": "ab" * 32, "demonstration": True, "limits": []}
    values = {"age": Prediction(AGE, 41.2, {}, []), "sex": Prediction(SEX, 0.25, {}, [])}
    return Result("s", values, array[0, 0], [], prepared, about, "none", {}, {}, [])


def _trial(data: bytes, folder: Path) -> None:
    """The first byte is the transfer syntax."""
    syntax = _SYNTAXES[(data[:1] or b"\0")[0] % len(_SYNTAXES)]
    inbox = Inbox(folder / "inbox", 0)
    try:
        outcome = receive(cast(Event, _event(data[1:], syntax)), inbox, _POLICY)
        if outcome.status != SUCCESS or outcome.name is None:
            return
        series = inbox.folder / "receiving" / outcome.name.series
        order = Order(series, inbox.temporary, "the series", "")
        came = answered(order, _answer, documents, cast(Template, None))
    finally:
        inbox.close()
    if came.fate is not Fate.done:
        raise InputError(came.reason)


def _seeds() -> list[bytes]:
    found = []
    for number, syntax in enumerate(_SYNTAXES):
        file = next(made_dicom.slices(syntax))
        length = dcmread(BytesIO(file)).file_meta.FileMetaInformationGroupLength
        found.append(bytes([number]) + file[132 + 12 + length :])
    return found


_TAGS = (b"\x10\x00\x10\x00PN", b"\x08\x00\x05\x00CS", b"\x20\x00\x0d\x00UI", b"\x10\x00\x20\x00LO")
_VALUES = (
    b"\x1b$B",
    b"ISO 2022 IR 87",
    b"=" * 8,
    b"^" * 9,
    b"\\",
    b"\0",
    b"1..2",
    b"9" * 65,
    b"..",
)

ENTRY = Entry(_seeds, _trial, _TAGS + _VALUES)
