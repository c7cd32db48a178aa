"""A scan as the stream that a scanner sends: centred, left-handed, with attributes and mini header.

What the public converters do otherwise can be asked for, so that it can be tried.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from runtime.documents.uid import derived
from runtime.scan import Scan
from runtime.service.mrd import meta, mini_header, wire
from runtime.service.mrd.wire import CODES, IMAGE_HEADER, MrdMessage, Tag

Plane = Literal["axial", "sagittal", "coronal"]

_AXES: dict[Plane, tuple[tuple[int, int], tuple[int, int], tuple[int, int]]] = {
    # of canonical RAS voxels, with the sign: columns, rows, slices (so that these are right-handed)
    "axial": ((0, -1), (1, -1), (2, 1)),
    "sagittal": ((1, -1), (2, -1), (0, 1)),
    "coronal": ((0, -1), (2, -1), (1, -1)),
}
_TO_LPS = np.diag([-1.0, -1.0, 1.0])
_PROTOCOL = "rehearsal_t1_mprage"
_ECHO_MS, _REPETITION_MS, _INVERSION_MS = 3, 2300, 900


@dataclass(frozen=True)
class Arrangement:
    """How the images are sent.

    Attributes:
        plane: of the slices.
        packed: all slices in one image.
        left_handed: columns x rows is minus the slices' direction, as scanners have it.
        centred: an image's position is its centre; otherwise its first voxel.
        marked: a scanner's attributes and mini header are there.
        shuffled: the seed of the slices' order; in place when None.
        series: the number of the series.
    """

    plane: Plane = "sagittal"
    packed: bool = False
    left_handed: bool = True
    centred: bool = True
    marked: bool = True
    shuffled: int | None = None
    series: int = 1


def stream(scan: Scan, how: Arrangement = Arrangement()) -> list[MrdMessage]:
    """What a client sends of a scan: configuration, XML header, images, CLOSE."""
    return [
        wire.config_file("openrecon"),
        wire.text_message(header(), Tag.HEADER),
        *images(scan, how),
        wire.CLOSE,
    ]


def header() -> str:
    """An XML header, as small as the schema allows."""
    space = (
        "<matrixSize><x>256</x><y>256</y><z>176</z></matrixSize>"
        "<fieldOfView_mm><x>256</x><y>256</y><z>176</z></fieldOfView_mm>"
    )
    return (
        '<?xml version="1.0"?>\n<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">'
        "<measurementInformation><patientPosition>HFS</patientPosition>"
        f"<protocolName>{_PROTOCOL}</protocolName></measurementInformation>"
        "<acquisitionSystemInformation><systemFieldStrength_T>3.0</systemFieldStrength_T>"
        "</acquisitionSystemInformation><experimentalConditions>"
        "<H1resonanceFrequency_Hz>123200000</H1resonanceFrequency_Hz></experimentalConditions>"
        f"<encoding><encodedSpace>{space}</encodedSpace><reconSpace>{space}</reconSpace>"
        "<encodingLimits/><trajectory>cartesian</trajectory></encoding>"
        f"<sequenceParameters><TR>{_REPETITION_MS}</TR><TE>{_ECHO_MS}</TE>"
        f"<TI>{_INVERSION_MS}</TI><flipAngle_deg>9</flipAngle_deg></sequenceParameters>"
        "</ismrmrdHeader>"
    )


def images(scan: Scan, how: Arrangement = Arrangement()) -> list[MrdMessage]:
    """The image messages of a scan; voxels stay the float32 that they are."""
    voxels, affine = _turned(scan, how)
    columns, rows, count = voxels.shape
    steps, first = affine[:3, :3].T, affine[:3, 3]
    units = steps / np.linalg.norm(steps, axis=1, keepdims=True)
    sizes = np.linalg.norm(steps, axis=1)
    parts = [slice(0, count)] if how.packed else [slice(n, n + 1) for n in range(count)]
    if how.shuffled is not None:
        random.Random(how.shuffled).shuffle(parts)
    found = []
    for part in parts:
        depth = part.stop - part.start
        head = np.zeros((), IMAGE_HEADER)[()]
        head["version"], head["data_type"], head["channels"] = 1, CODES[np.dtype("<f4")], 1
        head["image_type"], head["image_series_index"] = 1, how.series
        head["field_of_view"] = sizes * (columns, rows, depth)
        inside = (np.array([columns, rows, depth]) - 1) / 2 * how.centred
        head["position"] = first + steps[2] * part.start + inside @ steps
        head["slice"] = part.start
        for name, unit in zip(("read_dir", "phase_dir", "slice_dir"), units, strict=True):
            head[name] = unit
        data = np.ascontiguousarray(voxels[:, :, part].transpose(2, 1, 0), dtype="<f4")
        said = _attributes(units, head["position"], part.start, count) if how.marked else b""
        found.append(wire.image_message(head, said, data[None]))
    return found


def _turned(scan: Scan, how: Arrangement) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The voxels as (columns, rows, slices), and their affine to LPS mm."""
    axes = _AXES[how.plane]
    order, signs = [axis for axis, _ in axes], [sign for _, sign in axes]
    if how.left_handed:
        signs[2] = -signs[2]
    onto = np.zeros((4, 4))
    onto[3, 3] = 1.0
    for new, (old, sign) in enumerate(zip(order, signs, strict=True)):
        onto[old, new] = sign
        onto[old, 3] = 0 if sign > 0 else scan.array.shape[old] - 1
    flips = tuple(slice(None, None, sign) for sign in signs)
    affine = scan.affine @ onto
    affine[:3] = _TO_LPS @ affine[:3]
    return scan.array.transpose(order)[flips], affine


def _attributes(units: NDArray[np.float64], position: Any, number: int, count: int) -> bytes:
    text = _MINI.format(
        number=number + 1,
        slice=number or "",
        end="true" if number == count - 1 else "",
        sop=derived("rehearsal", str(number)),
        series=derived("rehearsal series"),
        protocol=_PROTOCOL,
    )
    named = ("ImageRowDir", "ImageColumnDir", "ImageSliceNormDir")
    return meta.write(
        {
            "EchoTime": [str(_ECHO_MS)],
            "RepetitionTime": [str(_REPETITION_MS)],
            "FrameOfReference": [derived("rehearsal frame")],
            "SequenceDescription": [_PROTOCOL],
            **{n: [f"{c:.18g}" for c in unit] for n, unit in zip(named, units, strict=True)},
            "SlicePosLightMarker": [f"{c:.18g}" for c in position],
            "IceMiniHead": [mini_header.encoded(text)],
        }
    )


_MINI = """<XProtocol>
{{
  <ParamMap."">
  {{
    <ParamMap."DICOM">
    {{
      <ParamLong."NumberInSeries">{{ {number} }}
      <ParamLong."SliceNo">{{ {slice} }}
      <ParamDouble."TR">{{ 2300 }}
      <ParamDouble."TE">{{ 3 }}
      <ParamDouble."TI">{{ 900 }}
      <ParamString."SequenceDescription">{{ "{protocol}" }}
      <ParamString."SequenceString">{{ "tfl3d1_16ns" }}
      <ParamLong."ProtocolSliceNumber">{{ {slice} }}
      <ParamLong."BitsStored">{{ 12 }}
      <ParamString."ImageTypeValue3">{{ "M" }}
      <ParamString."ComplexImageComponent">{{ "MAGNITUDE" }}
      <ParamArray."ImageTypeValue4">
      {{
        <DefaultSize> 1
        <MaxSize> 2147483647
        <Default> <ParamString."">{{ }}
        {{ "DIS3D" }}
      }}
      <ParamString."SOPInstanceUID">{{ "{sop}" }}
    }}
    <ParamMap."CONTROL">
    {{
      <ParamLong."AnatomicalSliceNo">{{ {slice} }}
      <ParamLong."ChronSliceNo">{{ {slice} }}
      <ParamBool."BIsSeriesEnd">{{ "{end}" }}
      <ParamString."SeriesInstanceUID">{{ "{series}" }}
    }}
  }}
}}
"""
