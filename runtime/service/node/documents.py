"""The documents of an answer, made in the process that computes it and may break."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from io import BytesIO
from os import PathLike

from pydicom import dcmread
from pydicom.dataset import Dataset

from runtime.ledger.names import site_key
from runtime.preprocess.template import Template
from runtime.result import Result
from runtime.service.answer import Answerer, Order
from runtime.service.node.log import hush_libraries
from runtime.service.node.storage import job


def answerer(
    bundle: str | PathLike[str] | None, tasks: Sequence[str] | None, fhir: bool, deidentify: bool
) -> Answerer:
    """An `Answerer` that makes documents, for a process of its own."""
    hush_libraries()
    key = site_key() if deidentify else None
    return Answerer(bundle, tasks, partial(documents, fhir=fhir, key=key))


def documents(
    order: Order,
    result: Result,
    template: Template,
    fhir: bool = False,
    key: bytes | None = None,
) -> dict[str, bytes]:
    """The report, the page and, where the slices have a frame of reference, mask and maps.

    Args:
        order: whose source is a series' folder in the inbox.
        result: what was predicted.
        template: not drawn.
        fhir: whether there is a FHIR report as well.
        key: the site's, to de-identify them; None to leave them in the patient's name.

    Raises:
        InputError: if the folder holds no object.
    """
    from runtime.documents import fhir as records
    from runtime.documents import page, parametric_map, segmentation, slices, source, sr
    from runtime.documents.deidentify import Deidentifier
    from runtime.service.node import studies  # not for the node's own process: large

    del template
    wanted = order.tasks or tuple(result.predictions)
    shown = replace(result, predictions={n: result.predictions[n] for n in wanted})
    series, name = source.read(order.source), job(order.source)
    first, stack, brain, maps = series.first, result.stack, None, []
    patient = Deidentifier(key, str(first.PatientID or first.StudyInstanceUID)) if key else None
    earlier = studies.earlier(order.source, first, name)
    if patient is not None:
        patient.strip(first)
    if stack is not None and first.get("FrameOfReferenceUID"):  # without it nothing lies on it
        place = slices.BrainSlices.of(stack, first, result.prepared)
        brain = segmentation.segmentation(shown, place, name)
        maps = [
            parametric_map.parametric_map(shown, one, number, place, name)
            for number, one in enumerate(parametric_map.trusted(shown), 1)
        ]
    report = sr.report(shown, series, name, earlier, brain)
    made = [report, page.page(shown, first, name), *([brain] if brain is not None else []), *maps]
    files = {}
    for number, document in enumerate(made, 1):
        data = _file(document)
        if patient is not None:  # of a copy, as it is read
            copy = dcmread(BytesIO(data))
            patient.clean(copy)
            data = _file(copy)
        files[f"{number}.dcm"] = data
    if fhir:
        if patient is not None:
            shown = patient.named(shown)
        told = records.bundle(shown, patient.patient if patient else first.PatientID or None)
        files[f"{len(made) + 1}.fhir"] = json.dumps(told, allow_nan=False).encode()
    return files


def _file(document: Dataset) -> bytes:
    stream = BytesIO()
    document.save_as(stream, enforce_file_format=True)
    return stream.getvalue()
