"""The brain mask as a DICOM Segmentation (PS3.3, A.51), in the source's own voxels."""

from __future__ import annotations

from highdicom import AlgorithmIdentificationSequence
from highdicom.seg import SegmentAlgorithmTypeValues, SegmentDescription
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from fmtool import __version__
from runtime.documents import multiframe
from runtime.documents.coding import Coded
from runtime.documents.document import document
from runtime.documents.naming import MASK
from runtime.documents.slices import BrainSlices
from runtime.documents.uid import derived
from runtime.result import Result

_SEGMENTED = Coded("113076", "DCM", "Segmentation")


def segmentation(result: Result, slices: BrainSlices, name: str) -> Dataset:
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
    made = document(result, slices.first, MASK, "SEG", "seg", name, "brain")
    made.ImageType = ["DERIVED", "PRIMARY"]
    made.SegmentationType, made.SegmentsOverlap = "BINARY", "NO"
    made.SegmentSequence = [segment]
    made.ContentLabel, made.ContentDescription = "BRAIN", "Brain mask"
    shared, identified = Dataset(), Dataset()
    identified.ReferencedSegmentNumber = 1
    shared.SegmentIdentificationSequence = [identified]
    multiframe.lay(made, slices, slices.mask, (1, 1), _SEGMENTED, shared, segment=True)
    return made
