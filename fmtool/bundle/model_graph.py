"""A bundle's ONNX model, its outputs changed without the onnx package: protobuf's own bytes.

What calibrates a head or adds one touches the last few nodes; all others, and every weight, are
carried as they are. The field numbers are those of `onnx.proto` (IR version 3 and later). A head is
written as `export.graph` writes it: products and sums in float32, never a matrix product.

    value = sum(embedding * w) + b          map = sum(features * w, over features) + b

A gridded encoder's features are split along z, y and x into cells and summed there; its map has the
weights of each position's cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from fmtool.bundle.encoder import EMBEDDING
from fmtool.errors import BundleError

POOLING = ("Reshape", "Mul", "Concat", "ReduceSum", "Split")
"""What lies between a gridded encoder's features and its embedding."""

_GRAPH = 7  # of a ModelProto
_NODE, _INITIALIZER, _INPUT, _OUTPUT, _INFO = 1, 5, 11, 12, 13  # of a GraphProto
_TAKES, _GIVES, _TYPE, _ATTRIBUTE = 1, 2, 4, 5  # of a NodeProto
_INT = 2  # an attribute's type
_DIMS, _DATA_TYPE, _TENSOR_NAME, _RAW = 1, 2, 8, 9  # of a TensorProto
_NAME = {_INITIALIZER: _TENSOR_NAME, _INPUT: 1, _OUTPUT: 1, _INFO: 1}
_FLOAT, _INT64 = 1, 7
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED = {_FIXED64: 8, _FIXED32: 4}


@dataclass
class _Field:
    number: int
    kind: int
    value: bytes  # of a varint, its own bytes


@dataclass
class _Node:
    raw: bytes
    takes: list[str]
    gives: list[str]
    operator: str


@dataclass
class ModelGraph:
    """A model to be changed in place; `bytes()` gives the file.

    Raises:
        BundleError: if the file is no ONNX model.
    """

    _outside: list[_Field]
    _other: list[_Field]
    _nodes: list[_Node]
    _named: dict[int, dict[str, bytes]] = field(default_factory=dict)

    @classmethod
    def read(cls, model: bytes, where: object = "the file") -> ModelGraph:
        """The model of a file's bytes; `where` says which, to people."""
        try:
            outside = list(_fields(model))
            graphs = [f.value for f in outside if f.number == _GRAPH and f.kind == _BYTES]
            if len(graphs) != 1:
                raise ValueError(f"{len(graphs)} graphs")
            made = cls([f for f in outside if f.number != _GRAPH], [], [])
            made._named = {number: {} for number in _NAME}
            for part in _fields(graphs[0]):
                if part.number == _NODE:
                    made._nodes.append(_node(part.value))
                elif part.number in _NAME:
                    made._named[part.number][_text(part.value, _NAME[part.number])] = part.value
                else:
                    made._other.append(part)
        except (ValueError, IndexError) as error:
            raise BundleError(f"{where} is no ONNX model that can be read ({error})") from None
        return made

    def __bytes__(self) -> bytes:
        graph = b"".join(_put(_NODE, node.raw) for node in self._nodes)
        for number, parts in self._named.items():
            graph += b"".join(_put(number, raw) for raw in parts.values())
        graph += b"".join(map(_raw, self._other))
        return b"".join(map(_raw, self._outside)) + _put(_GRAPH, graph)

    @property
    def outputs(self) -> list[str]:
        """The names of the outputs."""
        return list(self._named[_OUTPUT])

    def keep(self, names: Iterable[str]) -> None:
        """Drop the other outputs, and whatever then serves none."""
        wanted = set(names)
        outputs = self._named[_OUTPUT]
        self._named[_OUTPUT] = {name: raw for name, raw in outputs.items() if name in wanted}
        needed, kept = set(self._named[_OUTPUT]), []
        for node in reversed(self._nodes):
            if needed.intersection(node.gives):
                needed.update(node.takes)
                kept.append(node)
        self._nodes = kept[::-1]
        for number in (_INITIALIZER, _INFO):
            self._named[number] = {k: v for k, v in self._named[number].items() if k in needed}

    def cut(self, tasks: Sequence[str], embedding: str = EMBEDDING) -> None:
        """Leave the heads of `tasks` alone, with the embedding that they read as the one input."""
        info = self._named[_OUTPUT].get(embedding)
        if info is None:
            raise BundleError("the bundle's model gives no embedding; export the bundle again")
        self._nodes = [node for node in self._nodes if embedding not in node.gives]
        self.keep(tasks)
        self._named[_INPUT] = {embedding: info}

    def rescale(self, output: str, slope: float, offset: float) -> None:
        """Give slope * output + offset under the same name."""
        ends = ("parent", "scaled", "slope", "offset")
        inner, scaled, factor, added = (self._free(f"{output}_{end}") for end in ends)
        self._nodes = [_renamed(node, output, inner) for node in self._nodes]
        self._constant(factor, [slope])
        self._constant(added, [offset])
        self._add("Mul", [inner, factor], scaled)
        self._add("Add", [scaled, added], output)

    def add_head(
        self,
        task: str,
        map_name: str,
        weight: ArrayLike,
        bias: ArrayLike,
        embedding: str = EMBEDDING,
    ) -> bool:
        """A head on the embedding, and its map where the features can be found; whether so.

        Args:
            task: the output's name.
            map_name: that of its map.
            weight: (F,), or (K, F) of K classes.
            bias: one, or (K,).
            embedding: the output that it reads, of several encoders.
        """
        w, b = np.atleast_2d(np.asarray(weight, dtype=np.float32)), np.atleast_1d(bias)
        axis = self._free("axis")
        self._named[_INITIALIZER][axis] = _tensor(axis, [1], _INT64, np.array([1], np.int64))
        parts = [self._parts(row, embedding) for row in w]
        added = []
        for number, value in enumerate(b):
            added.append(self._free(f"{task}_bias" if len(b) == 1 else f"{task}_bias_{number}"))
            self._constant(added[-1], [value])
        self._head(task, [{embedding: row[None]} for row in w], axis, added)
        if all(parts):
            self._head(map_name, parts, axis, added)
        return all(parts)

    def _parts(self, weight: np.ndarray, embedding: str) -> dict[str, np.ndarray]:
        """The features along z, each part with its weights; nothing where they are not found."""
        made = {name: node for node in self._nodes for name in node.gives}
        node = made.get(embedding)
        if node is not None and node.operator == "ReduceMean":
            return {node.takes[0]: weight.reshape(1, -1, 1, 1, 1)}
        splits = []
        while node is not None and node.operator in POOLING:
            splits += [node] if node.operator == "Split" else []
            node = made.get(node.takes[0])
        if len(splits) != 3:
            return {}
        x, y, z = splits
        grid = weight.reshape(1, -1, *(len(split.gives) for split in (z, y, x)))
        for axis, split in ((3, y), (4, x)):
            grid = grid.repeat(self._whole(split.takes[1]), axis)
        return {name: grid[:, :, i : i + 1] for i, name in enumerate(z.gives)}

    def _whole(self, name: str) -> np.ndarray:
        """The whole numbers of an initializer, as the exporter writes them."""
        raw = self._named[_INITIALIZER].get(name, b"")
        return np.frombuffer(b"".join(f.value for f in _fields(raw) if f.number == _RAW), "<i8")

    def _free(self, name: str) -> str:
        """A name that nothing in the graph has: a child may have a child."""
        taken = {given for node in self._nodes for given in node.gives}
        taken.update(*self._named.values())
        while name in taken:
            name += "_"
        return name

    def _head(
        self,
        name: str,
        heads: Sequence[dict[str, np.ndarray]],
        axis: str,
        biases: Sequence[str],
    ) -> None:
        """An output of each head's weights by what they are of, and its bias; beside each other."""
        single = []
        for parts, bias in zip(heads, biases, strict=True):
            sums = []
            for of, weight in parts.items():
                ends = ("weight", "product", "sum")
                factor, product, total = (self._free(f"{name}_{end}") for end in ends)
                self._constant(factor, weight)
                self._add("Mul", [of, factor], product)
                self._add("ReduceSum", [product, axis], total)
                sums.append(total)
            if len(sums) > 1:
                whole = self._free(f"{name}_whole")
                self._add("Concat", sums, whole, axis=2)
                sums = [whole]
            single.append(name if len(heads) == 1 else self._free(f"{name}_class"))
            self._add("Add", [*sums, bias], single[-1])
        if len(heads) > 1:
            self._add("Concat", single, name, axis=1)
        axes = next(iter(heads[0].values())).ndim
        dims = _put(1, _put(2, b"batch")) + _put(1, _int(1, len(heads)))
        dims += b"".join(_put(1, _put(2, f"{name}_{i}".encode())) for i in range(axes - 2))
        kind = _put(1, _int(1, _FLOAT) + _put(2, dims))
        self._named[_OUTPUT][name] = _put(1, name.encode()) + _put(2, kind)

    def _constant(self, name: str, values: ArrayLike) -> None:
        array = np.asarray(values, dtype="<f4")
        self._named[_INITIALIZER][name] = _tensor(name, array.shape, _FLOAT, array)

    def _add(
        self, operator: str, takes: Sequence[str], gives: str, axis: int | None = None
    ) -> None:
        raw = b"".join(_put(_TAKES, name.encode()) for name in takes)
        raw += _put(_GIVES, gives.encode()) + _put(_TYPE, operator.encode())
        if axis is not None:
            raw += _put(_ATTRIBUTE, _put(1, b"axis") + _int(3, axis) + _int(20, _INT))
        self._nodes.append(_node(raw))


def _renamed(node: _Node, old: str, new: str) -> _Node:
    if old not in [*node.takes, *node.gives]:
        return node
    raw = b""
    for part in _fields(node.raw):
        same = part.number in (_TAKES, _GIVES) and part.value == old.encode()
        raw += _put(part.number, new.encode()) if same else _raw(part)
    return _node(raw)


def _node(raw: bytes) -> _Node:
    parts = list(_fields(raw))

    def words(number: int) -> list[str]:
        return [p.value.decode() for p in parts if p.number == number]

    return _Node(raw, words(_TAKES), words(_GIVES), "".join(words(_TYPE)))


def _tensor(name: str, shape: Sequence[int], kind: int, values: np.ndarray) -> bytes:
    dims = b"".join(_int(_DIMS, size) for size in shape)
    return (
        dims
        + _int(_DATA_TYPE, kind)
        + _put(_TENSOR_NAME, name.encode())
        + _put(_RAW, values.tobytes())
    )


def _text(raw: bytes, number: int) -> str:
    return next((f.value.decode() for f in _fields(raw) if f.number == number), "")


def _fields(raw: bytes) -> Iterator[_Field]:
    at = 0
    while at < len(raw):
        key, at = _varint(raw, at)
        kind, begin = key & 7, at
        if kind == _BYTES:
            size, begin = _varint(raw, at)
            at = begin + size
        elif kind == _VARINT:
            _, at = _varint(raw, at)
        elif kind in _FIXED:
            at += _FIXED[kind]
        else:
            raise ValueError(f"a field of the kind {kind}")
        if at > len(raw):
            raise ValueError("it ends too soon")
        yield _Field(key >> 3, kind, raw[begin:at])


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    found = shift = 0
    while True:
        byte = raw[at]
        found |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return found, at
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _encoded(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def _int(number: int, value: int) -> bytes:
    return _encoded(number << 3 | _VARINT) + _encoded(value)


def _put(number: int, value: bytes) -> bytes:
    return _encoded(number << 3 | _BYTES) + _encoded(len(value)) + value


def _raw(part: _Field) -> bytes:
    if part.kind == _BYTES:
        return _put(part.number, part.value)
    return _encoded(part.number << 3 | part.kind) + part.value
