"""A result as one page that any viewer shows: a Secondary Capture image, the notice burnt in.

No name, number or date of the patient is drawn: the viewer shows the ones of the header, which are
the source's.
"""

from __future__ import annotations

import numpy as np
from highdicom.sc import SCImage
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from runtime.documents import sheet
from runtime.documents.naming import PAGE, UTF8, description, equipment, series
from runtime.documents.uid import derived
from runtime.result import Result

_WIDTH, _MARGIN, _CHARACTERS = 1200, 40, 104


def page(result: Result, first: Dataset, name: str) -> SCImage:
    """The page of a result.

    Args:
        result: what was predicted.
        first: the header of one object of the series, from `runtime.documents.source`.
        name: of this answer: the page's UIDs derive from it.
    """
    document = SCImage.from_ref_dataset(
        first,
        pixel_array=np.asarray(picture(result, series(first))),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P"),
        series_instance_uid=derived("page series", name),
        series_number=PAGE,
        sop_instance_uid=derived("page", name),
        instance_number=1,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **equipment(result),
        specific_character_set=UTF8,
        series_description=description(first),
    )
    document.BodyPartExamined = "HEAD"
    document.BurnedInAnnotation = "NO"  # of the patient's identity, which is what it means
    document.copy_patient_and_study_information(first)
    return document


def picture(result: Result, of: str) -> Image.Image:
    """The page as it is drawn: the notice, the answers, what is to be looked at, the brain mask.

    Args:
        result: what was predicted.
        of: what the series is called.
    """
    brain = sheet.brain(result, _WIDTH - 2 * _MARGIN)
    lines = sheet.lines(result, f"fmtool report of {of}", _CHARACTERS)
    height = 3 * _MARGIN + sum(sheet.step(line) for line in lines) + brain.height
    drawn, top = sheet.drawn(lines, (_WIDTH, height), _MARGIN)
    drawn.paste(brain, ((_WIDTH - brain.width) // 2, top + _MARGIN // 2))
    return drawn
