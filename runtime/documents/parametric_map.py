"""An attribution as a DICOM Parametric Map (PS3.3, A.75), on the source's slices.

Along the slices its pixels are a few of the source's apart: a map's own positions are mostly 16 mm
apart, and between them nothing is known. Its first pixel of each slice is the slice's first.
"""

from __future__ import annotations

import numpy as np
from highdicom import (
    PixelMeasuresSequence,
    PlaneOrientationSequence,
    PlanePositionSequence,
    VOILUTTransformation,
)
from highdicom.pm import ParametricMap, RealWorldValueMapping
from highdicom.sr import CodedConcept

from runtime.documents.coding import NO_UNITS, map_concept, unit
from runtime.documents.naming import MAPS, UTF8, description, equipment, long
from runtime.documents.slices import BrainSlices
from runtime.documents.uid import derived
from runtime.result import Prediction, Result

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
) -> ParametricMap:
    """One answer's map: what each place adds to it, less what the template's does; 0 outside.

    Args:
        result: what was predicted.
        prediction: one of its answers that has a map.
        number: of this map among the answer's, from 1.
        slices: of its source.
        name: of this answer: the UIDs derive from it.
    """
    task, lead = prediction.task, slices.images[0]
    spacing = [float(mm) for mm in lead.PixelSpacing]
    every = [max(1, int(_PIXEL_MM // mm)) for mm in spacing]
    mask = slices.mask[:, :: every[0], :: every[1]]
    place = slices.affine @ np.diag([every[1], every[0], 1.0, 1.0])
    to_mni = np.linalg.inv(result.prepared.transform) @ place
    shape = (mask.shape[2], mask.shape[1], mask.shape[0])
    found = result.maps[task.name]
    meant = map_concept(task.name, found.label)
    values = found.sample(to_mni, shape).transpose(2, 1, 0) * mask
    slope = max(float(np.abs(values).max()), 1e-12) / _MOST
    stored = (np.rint(values / slope) + _ZERO).astype(np.uint16)
    in_unit = CodedConcept(*unit(task.unit if task.classes is None else NO_UNITS))
    made = ParametricMap(
        source_images=slices.images,
        pixel_array=stored,
        series_instance_uid=derived("map series", name),
        series_number=MAPS,
        sop_instance_uid=derived("map", task.name, name),
        instance_number=number,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[
            RealWorldValueMapping(
                lut_label=meant.value,
                lut_explanation=meant.meaning,
                unit=in_unit,
                value_range=(0, 2 * _ZERO - 1),
                slope=slope,
                intercept=-_ZERO * slope,
                quantity_definition=CodedConcept(*meant),
            )
        ],
        voi_lut_transformations=[VOILUTTransformation(window_center=_ZERO, window_width=2 * _MOST)],
        pixel_measures=PixelMeasuresSequence(
            pixel_spacing=[mm * n for mm, n in zip(spacing, every, strict=True)],
            slice_thickness=float(np.linalg.norm(slices.affine[:3, 2])),
        ),
        plane_orientation=PlaneOrientationSequence("PATIENT", lead.ImageOrientationPatient),
        plane_positions=[
            PlanePositionSequence("PATIENT", image.ImagePositionPatient) for image in slices.images
        ],
        content_label="MAP",
        content_description=long(f"Where the answer for {task.name} comes from"),
        series_description=description(slices.first, "maps"),
        specific_character_set=UTF8,
        **equipment(result),
    )
    made.BodyPartExamined = "HEAD"
    slices.refer(made)
    return made
