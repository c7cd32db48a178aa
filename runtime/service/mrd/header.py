"""The XML header of a stream: what fmtool uses of it, read without a schema.

A header that the schema refuses is still a scanner's; what cannot be read is not known, and said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from xml.parsers import expat

_LISTS = {"TE": "echoes", "TI": "inversions", "TR": "repetitions", "flipAngle_deg": "flips"}
_DEEPEST = 32
_MOST = 1000  # values of one name


@dataclass
class StreamHeader:
    """What an XML header says; times in ms, angles in degrees.

    Attributes:
        protocol: its name; may name a person, and is never shown.
        partitions: of the encoded space along the third axis; None if it does not say.
        remark: a sentence if it cannot be read.
    """

    protocol: str = ""
    partitions: float | None = None
    echoes: list[float] = field(default_factory=list)
    inversions: list[float] = field(default_factory=list)
    repetitions: list[float] = field(default_factory=list)
    flips: list[float] = field(default_factory=list)
    remark: str = ""

    @property
    def acquisition(self) -> str:
        """ "2D", "3D", or "" if it does not say."""
        return "" if self.partitions is None else "3D" if self.partitions > 1 else "2D"

    @property
    def repetition(self) -> float | None:
        """The repetition time."""
        return _of(self.repetitions, 0)

    @property
    def flip(self) -> float | None:
        """The flip angle."""
        return _of(self.flips, 0)

    def echo(self, contrast: int) -> float | None:
        """The echo time of a contrast, or the only one."""
        return _of(self.echoes, contrast)

    def inversion(self, contrast: int) -> float | None:
        """The inversion time of a contrast, or the only one."""
        return _of(self.inversions, contrast)


def read(text: bytes) -> StreamHeader:
    """A header's values; of one that is no XML none, and a remark."""
    found = StreamHeader()
    path: list[str] = []
    words: list[str] = []

    def start(tag: str, _: object) -> None:
        path.append(tag.rpartition(":")[2])
        if len(path) > _DEEPEST:
            raise ValueError("it nests too deeply")
        words.clear()

    def end(_: str) -> None:
        _take(found, path, "".join(words).strip())
        path.pop()
        words.clear()

    def refuse(*_: object) -> None:
        raise ValueError("it has a document type")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = words.append
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(text, True)
    except (expat.ExpatError, LookupError, ValueError):
        found.remark = "The stream's XML header cannot be read; only its images were used."
    return found


def _take(found: StreamHeader, path: list[str], value: str) -> None:
    name, inside = path[-1], path[-2:-1]
    if name == "protocolName":
        found.protocol = found.protocol or value
        return
    number = _number(value)
    if number is None:
        return
    if name in _LISTS and inside == ["sequenceParameters"]:
        held: list[float] = getattr(found, _LISTS[name])
        if len(held) < _MOST:
            held.append(number)
    elif name == "z" and path[-3:-1] == ["encodedSpace", "matrixSize"]:
        found.partitions = number


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0.0 else None


def _of(held: list[float], contrast: int) -> float | None:
    return held[contrast] if contrast < len(held) else held[0] if len(held) == 1 else None
