"""A result as a DICOM Structured Report: Comprehensive SR, template TID 1500 (PS3.16)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    ReferencedSegment,
    RelationshipTypeValues,
    SourceSeriesForSegmentation,
    TextContentItem,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ComprehensiveSRStorage

from fmtool import NOTICE, __version__
from fmtool.task import SEVERAL
from runtime.documents import encoded
from runtime.documents.coding import SCHEME, Coded, class_concept, concept, unit
from runtime.documents.document import acquired, document
from runtime.documents.naming import REPORT, long, series
from runtime.documents.source import SourceSeries
from runtime.documents.uid import derived
from runtime.report import words
from runtime.result import Prediction, Result

_Group = MeasurementsAndQualitativeEvaluations | VolumetricROIMeasurementsAndQualitativeEvaluations


def report(
    result: Result,
    source: SourceSeries,
    name: str,
    earlier: Sequence[str] = (),
    brain: Dataset | None = None,
) -> Dataset:
    """The report of a result.

    Args:
        result: what was predicted.
        source: the series, from `runtime.documents.source`.
        name: of this answer: the report's UIDs derive from it.
        earlier: the names of the study's answers before, whose reports are its predecessors.
        brain: the segmentation of the brain, which each measurement refers to; None for none.
    """
    first = source.first
    digest = str(result.bundle["digest"])
    observer = ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=derived("device", digest),
            name="fmtool",
            manufacturer_name="fmtool",
            model_name=long(result.bundle["name"]),
            serial_number=digest[:64],
        ),
    )
    content = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=observer),
        procedure_reported=CodedConcept("24590-2", "LN", "MR Brain"),
        imaging_measurements=[
            *(_answer(each, result, name, first, brain) for each in result.predictions.values()),
            *([_volume(result, name, first, brain)] if brain is not None else []),
        ],
        title=codes.DCM.ImagingMeasurementReport,
    )
    for sentence in (_of(first), *_sentences(result)):
        content[0].ContentSequence.append(
            TextContentItem(codes.DCM.Comment, sentence, RelationshipTypeValues.CONTAINS)
        )
    made = document(result, first, REPORT, "SR", "sr", name)
    acquired(made, first)
    made.update(content[0])
    made.CompletionFlag, made.PreliminaryFlag = "COMPLETE", "PRELIMINARY"
    made.VerificationFlag = "UNVERIFIED"
    made.PerformedProcedureCodeSequence = []
    made.ReferencedPerformedProcedureStepSequence = []
    made.CodingSchemeIdentificationSequence = [
        CodingSchemeIdentificationItem(
            designator=SCHEME, name="Measurements of fmtool", responsible_organization="fmtool"
        )
    ]
    held = {str(first.SeriesInstanceUID): source.objects}
    if brain is not None:
        held[brain.SeriesInstanceUID] = [(brain.SOPClassUID, brain.SOPInstanceUID)]
    before = {
        derived("sr series", one): [(ComprehensiveSRStorage, derived("sr", one))] for one in earlier
    }
    study = str(first.StudyInstanceUID)
    encoded.put(
        made,
        CurrentRequestedProcedureEvidenceSequence=encoded.study(study, held),
        **({"PredecessorDocumentsSequence": encoded.study(study, before)} if before else {}),
    )
    return made


def _of(first: Dataset) -> str:
    """Which series a report is about, in words."""
    named = f", {said}" if (said := first.get("SeriesDescription")) else ""
    return f"Of {series(first)}{named} (SeriesInstanceUID {first.SeriesInstanceUID})."


def _answer(
    prediction: Prediction, result: Result, name: str, first: Dataset, brain: Dataset | None
) -> _Group:
    task, in_unit = prediction.task, unit(prediction.task.unit)
    values = {concept(task.name, task.classes): prediction.value}
    if prediction.probabilities is not None:  # of each class, calibrated if the head is
        chances = prediction.probabilities.items()
        values = {class_concept(task.name, one): chance for one, chance in chances}
    measured = [_measurement(what, value, in_unit) for what, value in values.items()]
    return _group(measured, task.name, result, name, first, brain)


def _volume(result: Result, name: str, first: Dataset, brain: Dataset) -> _Group:
    volume = result.prepared.facts["brain_volume_ml"]
    measured = Measurement(
        name=codes.SCT.Volume, value=_decimal(volume), unit=CodedConcept(*unit("ml"))
    )
    return _group([measured], "brain volume", result, name, first, brain)


def _measurement(what: Coded, value: float, in_unit: Coded) -> Measurement:
    return Measurement(name=CodedConcept(*what), value=_decimal(value), unit=CodedConcept(*in_unit))


def _group(
    measured: list[Measurement],
    called: str,
    result: Result,
    name: str,
    first: Dataset,
    brain: Dataset | None,
) -> _Group:
    """Measurements of one thing: of the segmented brain (TID 1411) where it is at hand."""
    about: dict[str, Any] = {
        "tracking_identifier": TrackingIdentifier(
            uid=derived("measurement", called, name), identifier=called
        ),
        "algorithm_id": AlgorithmIdentification(
            name=f"fmtool {__version__}, bundle {result.bundle['name']}",
            version=str(result.bundle["digest"]),
            parameters=[f"engine: {result.engine}", NOTICE],
        ),
        "finding_sites": [FindingSite(codes.SCT.Brain)],
        "measurements": measured,
    }
    if brain is None:
        return MeasurementsAndQualitativeEvaluations(**about)
    segment = ReferencedSegment(
        sop_class_uid=brain.SOPClassUID,
        sop_instance_uid=brain.SOPInstanceUID,
        segment_number=1,
        source_series=SourceSeriesForSegmentation(first.SeriesInstanceUID),
    )
    return VolumetricROIMeasurementsAndQualitativeEvaluations(referenced_segment=segment, **about)


def _sentences(result: Result) -> list[str]:
    """What a reader must see beside the numbers; the notice first."""
    bundle = result.bundle
    said = [NOTICE, f"Bundle {bundle['name']}, SHA-256 {bundle['digest']}; {result.engine}."]
    if bundle["demonstration"]:
        said.append("Demonstration bundle: its answers are not to be relied on.")
    said += bundle["limits"]
    for name, value in result.to_dict()["values"].items():
        lead = [words.evidence(value)]
        if value["kind"] in SEVERAL:  # its measurements name no class that is answered
            lead = [", ".join(filter(None, [*words.answer(value), words.interval(value)])), *lead]
        said += [f"{name}: {sentence}" for sentence in lead if sentence]
        said += [f"{name}: {sentence}" for sentence in value["warnings"]]
    return said + result.warnings


def _decimal(value: float) -> float:
    """Six digits: more than any of this means, and short enough for the VR DS."""
    return float(f"{value:.6g}")
