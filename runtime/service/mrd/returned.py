"""What goes back beside the originals: texts, the report, the brain mask, each head's attribution.

Overlays lie on the source's own grid: an image for each that came, with its header and its mini
header, but with a series, names and UIDs of their own, the same in both. Ways in which scanners
were seen to store such images wrongly: docs/mrd.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fmtool import NOTICE, __version__
from runtime.attribution import ROUNDED
from runtime.documents.uid import derived
from runtime.report import words
from runtime.result import Result
from runtime.service.mrd import meta, mini_header, report
from runtime.service.mrd.images import StreamImage
from runtime.service.mrd.meta import Meta, first
from runtime.service.mrd.volume import StreamScan
from runtime.service.mrd.wire import MrdMessage, image_message, text_message

_KEPT = (
    "ImageRowDir", "ImageColumnDir", "ImageSliceNormDir", "SlicePosLightMarker", "FrameOfReference",
    "ReadPhaseSeqSwap", "EchoTime", "RepetitionTime", "InversionTime",
)  # fmt: skip
_COUNTERS = (
    "SliceNo", "ChronSliceNo", "ProtocolSliceNumber", "AnatomicalSliceNo", "PartitionNo",
    "ActualParaPartition",
)  # fmt: skip
_AVOIDED = 99  # a series that consoles treat otherwise
_MOST = 2047  # of 12 bits, on either side of zero

Stored = NDArray[np.uint16]


@dataclass(frozen=True)
class _Overlay:
    """Voxels on the stack's grid (columns, rows, slices), and how they are to be read.

    Attributes:
        name: what the series is called.
        token: what kind of image it says that it is.
        stored: 0..4095.
        intercept: value = stored + intercept.
        window: centre and width, of values.
    """

    name: str
    token: str
    stored: Stored
    intercept: int
    window: tuple[int, int]


def messages(
    read: StreamScan, result: Result, switches: Mapping[str, bool], content: str
) -> Iterator[MrdMessage]:
    """All of it, in the order in which it is sent; the originals are none of it.

    Args:
        read: the scan and the images that it came from.
        result: what was predicted.
        switches: see `runtime.service.mrd.parameters`.
        content: the stream's digest, from which the UIDs derive.
    """
    said = sentences(result)
    for sentence in said:
        yield text_message(f"DBG fmtool: {sentence}")
    numbers = _series_numbers(read.images)
    comment = " ".join([*said[: len(result.predictions)], NOTICE])
    if switches["report"]:
        told = _attributes("fmtool report", "FMTOOLREPORT", comment, content)
        told["SOPInstanceUID"] = [derived("mrd image", "fmtool report", content, "1")]
        yield report.message(result, read.images[0].head, next(numbers), told)
    if switches["mask"]:
        mask = _on_stack(read, result).astype(np.uint16)
        shown = _Overlay("fmtool brain mask", "FMTOOLMASK", mask, 0, (1, 2))
        yield from _series(read, shown, next(numbers), comment, content)
    if switches["attribution"]:
        for shown in _attributions(read, result):
            yield from _series(read, shown, next(numbers), comment, content)


def sentences(result: Result) -> list[str]:
    """The answers, one each, then every warning."""
    data = result.to_dict()
    found, warned = list[str](), list[str]()
    for name, value in data["values"].items():
        limits = words.interval(value)
        large, small = words.answer(value)
        found.append(f"{name} {large} {small}{f' ({limits})' if limits else ''}.")
        warned += [f"{name}: {sentence}" for sentence in value["warnings"]]
    if result.bundle["demonstration"]:
        warned.append("Demonstration bundle: its answers are not to be relied on.")
    return [
        *found,
        *warned,
        *result.warnings,
        f"{NOTICE} fmtool {__version__}, {result.bundle['name']}.",
    ]


def _series_numbers(came: Sequence[StreamImage]) -> Iterator[int]:
    """Numbers that no image has that came."""
    number = max(int(one.head["image_series_index"]) for one in came)
    while True:
        number = number + 1 if number + 1 != _AVOIDED else number + 2
        yield number


def _attributes(name: str, token: str, comment: str, content: str) -> Meta:
    return {
        "DataRole": ["Quantitative"],
        "ImageProcessingHistory": ["fmtool"],
        "SeriesDescription": [name],
        "SequenceDescription": [name],
        "ImageType": [token],
        "ImageTypeValue4": [token],
        "ComplexImageComponent": ["MAGNITUDE"],
        "ImageComment": [comment],
        "ImageComments": [comment],
        "SeriesInstanceUID": [derived("mrd series", name, content)],
        "SeriesNumberRangeNameUID": [name],
        "fmtool": [__version__],
    }


def _series(
    read: StreamScan, shown: _Overlay, series: int, comment: str, content: str
) -> Iterator[MrdMessage]:
    """One image for each that came, in the order of the slices."""
    slices: dict[int, list[tuple[int, int]]] = {}
    for number, frame in enumerate(read.stack.frames):
        slices.setdefault(frame.item, []).append((frame.index, number))
    for place, (item, found) in enumerate(slices.items()):
        source = read.images[item]
        _, depth, rows, columns = source.image.data.shape
        data = np.zeros((1, depth, rows, columns), dtype=np.uint16)
        for index, number in found:
            data[0, index] = shown.stored[:, :, number].T
        head = source.head.copy()
        head["image_type"], head["image_series_index"] = 1, series
        head["image_index"], head["slice"] = place + 1, place
        told = {name: source.meta[name] for name in _KEPT if name in source.meta}
        told |= _attributes(shown.name, shown.token, comment, content)
        told |= {
            "SOPInstanceUID": [derived("mrd image", shown.name, content, str(place))],
            "Keep_image_geometry": ["1"],
            "WindowCenter": [str(shown.window[0])],
            "WindowWidth": [str(shown.window[1])],
        }
        if shown.intercept:
            told |= {"RescaleSlope": ["1"], "RescaleIntercept": [str(shown.intercept)]}
        if coded := first(source.meta, "IceMiniHead"):
            told["IceMiniHead"] = [_mini(coded, source, told, place, len(slices))]
        yield image_message(head, meta.write(told), data)


def _mini(coded: str, source: StreamImage, told: Meta, place: int, count: int) -> str:
    """The source's mini header with the derived image's names, UIDs and counters."""
    shared = (
        "SeriesDescription", "SequenceDescription", "ComplexImageComponent", "SeriesInstanceUID",
        "SOPInstanceUID", "SeriesNumberRangeNameUID", "ImageComments",
    )  # fmt: skip
    said = {name: told[name][0] for name in shared}
    said |= {name: str(place) for name in _COUNTERS if name in source.mini}
    said |= {"NumberInSeries": str(place + 1)}
    said |= {"BIsSeriesEnd": "true" if place == count - 1 else "false"}
    try:
        text = mini_header.decoded(coded)
    except ValueError:
        return ""
    text = mini_header.without(text, "ImageTypeValue3")
    arrays = {"ImageTypeValue4": told["ImageTypeValue4"][0]}
    return mini_header.encoded(mini_header.changed(text, said, arrays))


def _on_stack(read: StreamScan, result: Result) -> NDArray[np.bool_]:
    """The brain mask on the grid of the slices that came."""
    prepared = result.prepared
    onto = np.linalg.inv(prepared.affine) @ read.stack.affine
    brain = prepared.brain.astype(np.uint8)
    found = ndimage.affine_transform(
        brain, onto[:3, :3], onto[:3, 3], read.stack.shape, order=0, mode="constant"
    )
    return np.asarray(found > 0)


def _attributions(read: StreamScan, result: Result) -> Iterator[_Overlay]:
    """Of each head that is better than its baseline and whose map adds up: less the template's."""
    brain = _on_stack(read, result)
    to_template = np.linalg.inv(result.prepared.transform) @ read.stack.affine
    for name, found in result.maps.items():
        value = result[name].to_dict()
        better = words.against_baseline(value)
        if better is None or not better[0] or found.error > ROUNDED:
            continue
        values = np.where(brain, found.sample(to_template, read.stack.shape), 0.0)
        largest = float(np.abs(values).max())
        power = math.floor(math.log10(_MOST / largest)) if largest > 0.0 else 0
        whole = np.rint(values * 10.0**power)
        width = max(2, 2 * math.ceil(float(np.abs(whole).max())))
        unit = str(value["unit"]) if value["kind"] == "regression" else "logit"
        whose = name if found.label is None else f"{name}, {found.label}"
        called = f"fmtool attribution of {whose}, 1e{-power} {unit}"
        stored = (whole + (_MOST + 1)).astype(np.uint16)
        yield _Overlay(called, "FMTOOLATTRIBUTION", stored, -(_MOST + 1), (0, width))
