"""What an ONNX file refers to: nothing outside itself, or it is refused.

A graph may keep its weights in other files, which no digest of the graph covers. The file is a
protocol buffer; of it are read the messages in which such a reference may stand (onnx.proto), and
nothing is built of them.
"""

from __future__ import annotations

_MODEL, _GRAPH, _NODE, _ATTRIBUTE, _TENSOR, _SPARSE, _FUNCTION, _TRAINING = range(8)

_INSIDE: dict[int, dict[int, int]] = {  # message -> field -> the message that it holds
    _MODEL: {7: _GRAPH, 20: _TRAINING, 25: _FUNCTION},
    _GRAPH: {1: _NODE, 5: _TENSOR, 15: _SPARSE},
    _NODE: {5: _ATTRIBUTE},
    _ATTRIBUTE: {5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH, 22: _SPARSE, 23: _SPARSE},
    _TENSOR: {},
    _SPARSE: {1: _TENSOR, 2: _TENSOR},
    _FUNCTION: {7: _NODE, 11: _ATTRIBUTE},
    _TRAINING: {1: _GRAPH, 2: _GRAPH},
}
_EXTERNAL_DATA, _DATA_LOCATION, _OP_TYPE = 13, 14, 4
_MOST_DEPTH = 64
_ORT = b"ORTM"  # whose models may have their weights beside them
_COMPILED = b"EPContext"  # a node whose program a provider reads from another file


class _Damaged(Exception):
    """Bytes that no engine reads as a graph."""


def check(data: bytes) -> None:
    """Refuse a graph that takes anything from outside its file.

    What no engine can read refers to nothing, and is left to the engine to refuse.

    Raises:
        ValueError: if it does, or hides whether it does; the sentence says how.
    """
    if data[4:8] == _ORT:
        raise ValueError("it is in ONNX Runtime's own format")
    try:
        _walk(data)
    except _Damaged:
        return


def _walk(data: bytes) -> None:
    within = [(_MODEL, 0, len(data))]  # messages that are open, and what is left of each
    while within:
        kind, at, end = within.pop()
        if at == end:
            continue
        key, at = _varint(data, at, end)
        field, wire = key >> 3, key & 7
        start, at, number = _value(data, at, end, wire)
        within.append((kind, at, end))
        if kind == _TENSOR and (field == _EXTERNAL_DATA or (field == _DATA_LOCATION and number)):
            raise ValueError("it keeps weights in another file, which nothing vouches for")
        if kind == _NODE and field == _OP_TYPE and data[start:at] == _COMPILED:
            raise ValueError("it runs a compiled program, which may stand in another file")
        inside = _INSIDE[kind].get(field)
        if inside is not None and wire == 2:
            within.append((inside, start, at))
            if len(within) > _MOST_DEPTH:
                raise ValueError("it is nested without end")


def _value(data: bytes, at: int, end: int, wire: int) -> tuple[int, int, int]:
    """Where a value begins and ends, and what it is if it is a number."""
    start, number = at, 0
    if wire == 0:
        number, at = _varint(data, at, end)
    elif wire == 2:
        size, start = _varint(data, at, end)
        at = start + size
    elif wire in (1, 5):
        at = start + (8 if wire == 1 else 4)
    elif wire in (3, 4):
        raise ValueError("it holds groups, which no exporter writes")
    else:
        raise _Damaged
    if at > end:
        raise _Damaged
    return start, at, number


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    number = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
    raise _Damaged
