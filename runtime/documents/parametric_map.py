"""An attribution as a DICOM Parametric Map (PS3.3, A.75), on the source's slices.

Along the slices its pixels are a few of the source's apart: a map's own positions are mostly 16 mm
apart, and between them nothing is known. Its first pixel of each slice is the slice's first.
"""

from __future__ import annotations

import numpy as np
from highdicom import VOILUTTransformation
from highdicom.pm import RealWorldValueMapping
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset

from runtime.documents import multiframe
from runtime.documents.coding import NO_UNITS, Coded, map_concept, unit
from runtime.documents.document import document
from runtime.documents.naming import MAPS, long
from runtime.documents.slices import BrainSlices
from runtime.result import Prediction, Result

_CALCULATED = Coded("112187", "DCM", "Unspecified method of calculation")
_KIND = ["DERIVED", "PRIMARY", "VOLUME", "QUANTITY"]
_PIXEL_MM = 4.0
_ZERO, _MOST = 1 << 15, (1 << 15) - 1


def trusted(result: Result) -> list[Prediction]:
    """The answers whose maps are worth a document: of heads that beat their baseline."""
    return [
        prediction
        for name, prediction in result.predictions.items()
        if name in result.maps and prediction.evidence.get("beats_baseline") is True
    ]


def parametric_map(
    result: Result, prediction: Prediction, number: int, slices: BrainSlices, name: str
) -> Dataset:
    """One answer's map: what each place adds to it, less what the template's does; 0 outside.

    Args:
        result: what was predicted.
        prediction: one of its answers that has a map.
        number: of this map among the answer's, from 1.
        slices: of its source.
        name: of this answer: the UIDs derive from it.
    """
    task = prediction.task
    down, across = (max(1, int(_PIXEL_MM // mm)) for mm in slices.frames[0].spacing or ())
    mask = slices.mask[:, ::down, ::across]
    place = slices.affine @ np.diag([across, down, 1.0, 1.0])
    to_mni = np.linalg.inv(result.prepared.transform) @ place
    shape = (mask.shape[2], mask.shape[1], mask.shape[0])
    found = result.maps[task.name]
    meant = map_concept(task.name, found.label)
    values = found.sample(to_mni, shape).transpose(2, 1, 0) * mask
    slope = max(float(np.abs(values).max()), 1e-12) / _MOST
    stored = (np.rint(values / slope) + _ZERO).astype(np.uint16)
    in_unit = CodedConcept(*unit(task.unit if task.classes is None else NO_UNITS))
    made = document(result, slices.first, MAPS, "OT", "map", name, "maps", one=(number, task.name))
    made.ImageType, made.ContentQualification = _KIND, "RESEARCH"
    made.BurnedInAnnotation = made.RecognizableVisualFeatures = "NO"
    made.AcquisitionContextSequence = []
    made.ContentLabel, made.PixelPresentation = "MAP", "MONOCHROME"
    made.ContentDescription = long(f"Where the answer for {task.name} comes from")
    shared, kind, stored_are = Dataset(), Dataset(), Dataset()
    kind.FrameType = _KIND
    shared.ParametricMapFrameTypeSequence = [kind]
    stored_are.RescaleIntercept, stored_are.RescaleSlope = 0.0, 1.0
    stored_are.RescaleType = "US"
    shared.PixelValueTransformationSequence = [stored_are]
    shared.RealWorldValueMappingSequence = [
        RealWorldValueMapping(
            lut_label=meant.value,
            lut_explanation=meant.meaning,
            unit=in_unit,
            value_range=(0, 2 * _ZERO - 1),
            slope=slope,
            intercept=-_ZERO * slope,
            quantity_definition=CodedConcept(*meant),
        )
    ]
    shared.FrameVOILUTSequence = [VOILUTTransformation(window_center=_ZERO, window_width=2 * _MOST)]
    multiframe.lay(made, slices, stored, (down, across), _CALCULATED, shared)
    return made
