"""A result as one page that any viewer shows: a Secondary Capture image, the notice burnt in.

No name, number or date of the patient is drawn: the viewer shows the ones of the header, which are
the source's.
"""

from __future__ import annotations

from PIL import Image
from pydicom.dataset import Dataset

from runtime.documents import sheet
from runtime.documents.document import acquired, document
from runtime.documents.naming import PAGE, series
from runtime.result import Result

_WIDTH, _MARGIN, _CHARACTERS = 1200, 40, 104


def page(result: Result, first: Dataset, name: str) -> Dataset:
    """The page of a result.

    Args:
        result: what was predicted.
        first: the header of one object of the series, from `runtime.documents.source`.
        name: of this answer: the page's UIDs derive from it.
    """
    made = document(result, first, PAGE, "OT", "page", name)
    acquired(made, first)
    drawn = picture(result, series(first))
    made.ImageType, made.ConversionType = ["DERIVED", "SECONDARY", "OTHER"], "DI"
    made.DateOfSecondaryCapture, made.TimeOfSecondaryCapture = made.ContentDate, made.ContentTime
    made.PatientOrientation = ["L", "P"]
    made.BodyPartExamined = "HEAD"
    made.BurnedInAnnotation = "NO"  # of the patient's identity, which is what it means
    made.SamplesPerPixel, made.PlanarConfiguration, made.PhotometricInterpretation = 3, 0, "RGB"
    made.Rows, made.Columns = drawn.height, drawn.width
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    made.PixelData = drawn.tobytes()
    made["PixelData"].VR = "OB"
    return made


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
