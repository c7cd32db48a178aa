"""A result as a DICOM Structured Report: Comprehensive SR, template TID 1500 (PS3.16)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    ComprehensiveSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    RelationshipTypeValues,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ComprehensiveSRStorage

from fmtool import NOTICE, __version__
from runtime.report import words
from runtime.result import Prediction, Result
from runtime.service.uid import derived

UTF8 = "ISO_IR 192"
"""What documents are written in, whatever the source was (PS3.3, C.12.1.1.2)."""

SCHEME = "99FMTOOL"
"""The coding scheme of fmtool's own concepts; 99 marks it as private (PS3.16, 8)."""

_UCUM = {  # the units a task may have: UCUM code and its meaning
    "years": ("a", "year"),
    "months": ("mo", "month"),
    "days": ("d", "day"),
    "probability": ("1", "no units"),
    "mm": ("mm", "millimeter"),
    "mm3": ("mm3", "cubic millimeter"),
    "ml": ("mL", "milliliter"),
    "%": ("%", "percent"),
}


def report(
    result: Result, source: Sequence[Dataset], name: str, earlier: Sequence[str] = ()
) -> ComprehensiveSR:
    """The report of a result.

    Args:
        result: what was predicted.
        source: the headers of the series; `runtime.service.node.source`.
        name: of this answer: the report's UIDs derive from it.
        earlier: the names of the study's answers before, whose reports are its predecessors.
    """
    digest = str(result.bundle["digest"])
    observer = ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=derived("device", digest),
            name="fmtool",
            manufacturer_name="fmtool",
            model_name=_long(result.bundle["name"]),
            serial_number=digest[:64],
        ),
    )
    content = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=observer),
        procedure_reported=CodedConcept("24590-2", "LN", "MR Brain"),
        imaging_measurements=[
            _measurement(prediction, result, name) for prediction in result.predictions.values()
        ],
        title=codes.DCM.ImagingMeasurementReport,
    )
    for sentence in (_of(source[0]), *_sentences(result)):
        content[0].ContentSequence.append(
            TextContentItem(codes.DCM.Comment, sentence, RelationshipTypeValues.CONTAINS)
        )
    return ComprehensiveSR(
        evidence=list(source),
        content=content,
        series_instance_uid=derived("sr series", name),
        series_number=9501,
        sop_instance_uid=derived("sr", name),
        instance_number=1,
        manufacturer="fmtool",
        manufacturer_model_name=_long(result.bundle["name"]),
        software_versions=__version__,
        device_serial_number=digest[:64],
        series_description=description(source[0]),
        previous_versions=[_reference(source[0], one) for one in earlier] or None,
        is_complete=True,
        is_final=False,
        is_verified=False,
        specific_character_set=UTF8,
        coding_schemes=[
            CodingSchemeIdentificationItem(
                designator=SCHEME, name="Measurements of fmtool", responsible_organization="fmtool"
            )
        ],
    )


def series(first: Dataset) -> str:
    """What a series is called: "series 4"; "a series" if it has no number."""
    number = first.get("SeriesNumber")
    return "a series" if number is None else f"series {number}"


def description(first: Dataset) -> str:
    """The SeriesDescription of what is made of a series."""
    return f"fmtool of {series(first)}: research, not for clinical use"


def _of(first: Dataset) -> str:
    """Which series a report is about, in words."""
    named = f", {said}" if (said := first.get("SeriesDescription")) else ""
    return f"Of {series(first)}{named} (SeriesInstanceUID {first.SeriesInstanceUID})."


def _reference(first: Dataset, name: str) -> Dataset:
    """The report of another answer in the same study, as far as a reference to it goes."""
    referred = Dataset()
    referred.StudyInstanceUID = first.StudyInstanceUID
    referred.SeriesInstanceUID = derived("sr series", name)
    referred.SOPClassUID = ComprehensiveSRStorage
    referred.SOPInstanceUID = derived("sr", name)
    return referred


def _measurement(
    prediction: Prediction, result: Result, name: str
) -> MeasurementsAndQualitativeEvaluations:
    task = prediction.task
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=derived("measurement", task.name, name), identifier=task.name
        ),
        algorithm_id=AlgorithmIdentification(
            name=f"fmtool {__version__}, bundle {result.bundle['name']}",
            version=str(result.bundle["digest"]),
            parameters=[f"engine: {result.engine}", NOTICE],
        ),
        finding_sites=[FindingSite(codes.SCT.Brain)],
        measurements=[
            Measurement(
                name=concept(prediction), value=_decimal(prediction.value), unit=unit(task.unit)
            )
        ],
    )


def concept(prediction: Prediction) -> CodedConcept:
    """What is measured, in fmtool's own coding scheme: its code is the task's name."""
    task = prediction.task
    code = re.sub(r"[^A-Za-z0-9_-]", "_", task.name)
    if len(code) > 16:  # the VR SH
        code = f"{code[:9]}_{sha256(task.name.encode()).hexdigest()[:6]}"
    what = f"Predicted {task.name}" if task.classes is None else f"Probability of {task.classes[1]}"
    about = "" if task.classes is None else f" ({task.name})"
    return CodedConcept(code, SCHEME, _long(f"{what}{about}, from brain MRI"))


def unit(name: str) -> CodedConcept:
    """A task's unit as UCUM: a code of its own, or an annotation, such as {NIHSS_points}."""
    if name in _UCUM:
        code, meaning = _UCUM[name]
        return CodedConcept(code, "UCUM", meaning)
    plain = re.sub(r"[^!-z]", "_", name)[:14]  # the VR SH, less the braces
    return CodedConcept(f"{{{plain}}}", "UCUM", _long(name))


def _sentences(result: Result) -> list[str]:
    """What a reader must see beside the numbers; the notice first."""
    bundle = result.bundle
    said = [NOTICE, f"Bundle {bundle['name']}, SHA-256 {bundle['digest']}; {result.engine}."]
    if bundle["demonstration"]:
        said.append("Demonstration bundle: its answers are not to be relied on.")
    said += bundle["limits"]
    for name, value in result.to_dict()["values"].items():
        lead = words.evidence(value)
        said += [f"{name}: {sentence}" for sentence in ([lead] if lead else [])]
        said += [f"{name}: {sentence}" for sentence in value["warnings"]]
    return said + result.warnings


def _decimal(value: float) -> float:
    """Six digits: more than any of this means, and short enough for the VR DS."""
    return float(f"{value:.6g}")


def _long(text: object) -> str:
    """Text for the VR LO."""
    return str(text).replace("\\", "/")[:64]
