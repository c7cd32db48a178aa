"""The brain mask as a DICOM Segmentation (PS3.3, A.51), in the source's own voxels."""

from __future__ import annotations

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.seg import (
    SegmentAlgorithmTypeValues,
    Segmentation,
    SegmentationTypeValues,
    SegmentDescription,
)
from pydicom.sr.codedict import codes

from fmtool import __version__
from runtime.documents.naming import MASK, UTF8, description, equipment
from runtime.documents.slices import BrainSlices
from runtime.documents.uid import derived
from runtime.result import Result


def segmentation(result: Result, slices: BrainSlices, name: str) -> Segmentation:
    """The brain mask of a result, on the slices that hold it.

    Args:
        result: what was predicted.
        slices: of its source.
        name: of this answer: the UIDs derive from it.
    """
    segment = SegmentDescription(
        segment_number=1,
        segment_label="Brain",
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=codes.SCT.Brain,
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=AlgorithmIdentificationSequence(
            name="fmtool brain mask", family=codes.DCM.ArtificialIntelligence, version=__version__
        ),
        tracking_uid=derived("brain", name),
        tracking_id="Brain",
    )
    segment.RecommendedDisplayCIELabValue = [40000, 32896, 50000]  # a light green
    made = Segmentation(
        source_images=slices.images,
        pixel_array=slices.mask.view(np.uint8),
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[segment],
        series_instance_uid=derived("seg series", name),
        series_number=MASK,
        sop_instance_uid=derived("seg", name),
        instance_number=1,
        omit_empty_frames=False,
        content_label="BRAIN",
        content_description="Brain mask",
        series_description=description(slices.first, "brain"),
        specific_character_set=UTF8,
        **equipment(result),
    )
    made.BodyPartExamined = "HEAD"
    slices.refer(made)
    return made
