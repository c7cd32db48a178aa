"""Images of a stream as the slices and series that DICOM's rules choose from.

A scanner gives an image's position as its centre, and its pixel axes among the attributes, beside
the acquisition's in the header, which may be swapped against them. The public converters give the
first voxel, and mark nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.scan.dicom.about import About
from runtime.scan.dicom.frame import MR, Frame
from runtime.scan.dicom.image_type import plain
from runtime.scan.header import MAX_AXIS
from runtime.service.mrd import meta as metas
from runtime.service.mrd import mini_header
from runtime.service.mrd.header import StreamHeader
from runtime.service.mrd.meta import Meta, first
from runtime.service.mrd.wire import MrdImage

_PARTS = {1: "M", 2: "P", 3: "R", 4: "I", 5: "M"}  # of a complex image the magnitude is taken
_COLOUR = 6
_THINNEST = 0.25  # of a voxel's side; packed slices that were thinner have one's field of view
_SAME_SIZE = 1e-4
_PULSES = (
    (re.compile(r"ep(?:2d|se|fid|i)"), "EP"),
    (re.compile(r"tse|spc|haste|(?<![a-z])se\d?"), "SE"),
    (re.compile(r"fl[23]?d|tfl|gre|fgre|spgr|bravo|ffe|tfe|vibe|mp2?rage"), "GR"),
)
_WORD = re.compile(r"[\w.+-]+(?: [\w.+-]+)*")

Vector = NDArray[np.float64]


@dataclass
class StreamImage:
    """One image with what is said of it.

    Attributes:
        image: as it came.
        meta: its attributes.
        mini: the parameters of its mini header; none where it has none that can be read.
        tokens: what kind of image it is, as DICOM would say in ImageType.
        remarks: what could not be read of it.
    """

    image: MrdImage
    meta: Meta = field(default_factory=dict)
    mini: dict[str, list[str]] = field(default_factory=dict)
    tokens: tuple[str, ...] = ()
    remarks: list[str] = field(default_factory=list)

    @property
    def head(self) -> Any:
        """The fixed header."""
        return self.image.head

    @property
    def name(self) -> str:
        """What the series is called; it may name a person and is never shown."""
        return first(self.meta, "SeriesDescription", "SequenceDescription") or first(
            self.mini, "SeriesDescription", "SequenceDescription"
        )

    def number(self, *names: str) -> float | None:
        """A number of the attributes, or else of the mini header; None if neither has it."""
        for held in (self.meta, self.mini):
            try:
                value = float(first(held, *names))
            except ValueError:
                continue
            if np.isfinite(value) and value > 0.0:
                return value
        return None

    @property
    def marked(self) -> bool:
        """Whether a scanner's own words are among its attributes; directions anybody writes."""
        return not {"SlicePosLightMarker", "IceMiniHead"}.isdisjoint(self.meta)


def taken_apart(image: MrdImage) -> StreamImage:
    """An image with its attributes and its mini header read, as far as they can be."""
    one = StreamImage(image)
    try:
        one.meta = metas.read(image.attributes)
        if coded := first(one.meta, "IceMiniHead"):
            one.mini = mini_header.values(mini_header.decoded(coded))
    except ValueError as error:
        one.remarks.append(f"An image came with {error}; it was left aside.")
    one.tokens = _tokens(one)
    return one


def key(one: StreamImage) -> tuple[Any, ...]:
    """What images of one volume share; not their series, which may be a part of an acquisition."""
    counters = (int(one.head[n]) for n in ("contrast", "set", "phase", "repetition", "average"))
    shape = one.image.data.shape[-2:]
    return (*counters, int(one.head["image_type"]), one.tokens, one.name, shape)


def about(one: StreamImage, header: StreamHeader) -> About:
    """What one image says that tells a T1-weighted head from the rest."""
    contrast = int(one.head["contrast"])
    sequence = first(one.mini, "SequenceString")
    names = (one.name, header.protocol, sequence, "")
    inversion = one.number("InversionTime", "TI")
    if inversion is None and not one.mini:  # the XML has one for sequences without inversion too
        inversion = header.inversion(contrast)
    words = [name.lower() for name in (sequence, one.name, header.protocol)]
    pulse = next((w for word in words for p, w in _PULSES if p.search(word)), "")
    said = {pulse, "IR" if inversion else ""} - {""}
    return About(
        sop_class=MR[0],
        names=tuple(name.lower() for name in names),
        image_type=tuple(map(plain, one.tokens)),
        acquisition=header.acquisition,
        sequence=frozenset(said),
        echo=one.number("EchoTime", "TE") or header.echo(contrast),
        repetition=one.number("RepetitionTime", "TR") or header.repetition,
        inversion=inversion,
        flip=one.number("FlipAngle") or header.flip,
        acquired=_acquired(one.mini),
        photometric="RGB" if int(one.head["image_type"]) == _COLOUR else "MONOCHROME2",
    )


def frames(one: StreamImage, item: int, told: About, corner: bool) -> list[Frame]:
    """The slices of an image, each with the place of its first voxel.

    Args:
        item: the image's number.
        told: by `about`.
        corner: whether its position is that of its first voxel, not its centre.
    """
    placed = place(one, corner)
    times = (told.echo, told.inversion)
    echo, inversion = ("" if t is None else f"{t:g}" for t in times)
    dimensions = (
        ("temporal positions", ""),
        ("echo times", echo),
        ("inversion times", inversion),
        ("image types", "\\".join(one.tokens)),
        ("acquisitions", ""),
        ("complex parts", ""),
    )
    _, depth, rows, columns = one.image.data.shape
    if max(rows, columns) > MAX_AXIS:
        return []  # a picture, and no slice of a head
    found = []
    for index in range(depth):
        position = None if placed is None else placed.first + index * placed.step
        found.append(
            Frame(
                item,
                index,
                (rows, columns),
                None if position is None else tuple(map(float, position)),
                None if placed is None else (*map(float, placed.row), *map(float, placed.column)),
                None if placed is None else placed.spacing,
                1.0,
                0.0,
                dimensions,
            )
        )
    return found


@dataclass(frozen=True)
class ImagePlace:
    """Where an image lies, LPS mm.

    Attributes:
        first: its first voxel.
        row: the unit direction in which the column number grows.
        column: the one in which the row number grows.
        step: from a slice of it to the next; zero where there is one.
        spacing: between rows, between columns.
        square: whether the field of view was told the wrong way round, as square voxels show.
    """

    first: Vector
    row: Vector
    column: Vector
    step: Vector
    spacing: tuple[float, float]
    square: bool = False


def place(one: StreamImage, corner: bool) -> ImagePlace | None:
    """Where an image lies; None if its header does not say."""
    head = one.head
    row = _direction(one.meta, "ImageRowDir", head["read_dir"])
    column = _direction(one.meta, "ImageColumnDir", head["phase_dir"])
    normal = _direction(one.meta, "ImageSliceNormDir", head["slice_dir"])
    field_mm = np.array(head["field_of_view"], dtype=np.float64)
    position = np.array(head["position"], dtype=np.float64)
    _, depth, rows, columns = one.image.data.shape
    numbers = np.concatenate([field_mm[:2], position, field_mm[2:] * (depth > 1)])
    if row is None or column is None or not np.isfinite(numbers).all() or field_mm[:2].min() <= 0:
        return None
    across, down = field_mm[0] / columns, field_mm[1] / rows
    turned = (field_mm[1] / columns, field_mm[0] / rows)
    square = not one.marked and abs(across - down) > _SAME_SIZE * across and bool(
        np.isclose(*turned, rtol=_SAME_SIZE, atol=0.0)
    )  # fmt: skip
    if square:
        across, down = turned
    step = np.zeros(3)
    if depth > 1:
        if normal is None or field_mm[2] <= 0.0:
            return None
        thin = field_mm[2] / depth
        step = normal * (field_mm[2] if thin < _THINNEST * min(across, down) else thin)
    start = position
    if not corner:
        inside = row * across * (columns - 1) + column * down * (rows - 1) + step * (depth - 1)
        start = position - inside / 2.0
    return ImagePlace(start, row, column, step, (down, across), square)


def _direction(meta: Mapping[str, Sequence[str]], name: str, told: Any) -> Vector | None:
    """The attribute's unit vector, or else the header's; None if neither is one."""
    for words in (meta.get(name, ()), told):
        try:
            found = np.array([float(word) for word in words], dtype=np.float64)
        except ValueError:
            continue
        length = float(np.linalg.norm(found)) if found.shape == (3,) else 0.0
        if np.isfinite(length) and abs(length - 1.0) < 0.01:
            return found / length
    return None


def _tokens(one: StreamImage) -> tuple[str, ...]:
    """What the image is: of the attributes, the mini header and the header's own number."""
    words = [w for value in one.meta.get("ImageType", ()) for w in _WORD.findall(value)]
    for name in ("ImageTypeValue3", "ComplexImageComponent", "ImageTypeValue4"):
        words += [w for held in (one.meta, one.mini) for w in held.get(name, ())]
    words.append(_PARTS.get(int(one.head["image_type"]), ""))
    return tuple(dict.fromkeys(word.strip() for word in words if word.strip()))


def _acquired(mini: Mapping[str, Sequence[str]]) -> tuple[str, float] | None:
    date, clock = first(mini, "AcquisitionDate"), first(mini, "AcquisitionTime")
    if not re.fullmatch(r"\d{8}", date) or not re.fullmatch(r"\d{6}(?:\.\d+)?", clock):
        return None
    return date, float(clock)
