"""A float32 ONNX model -> the same with int8 convolutions, but for those that cannot bear it.

Post-training quantisation: symmetric int8, weights per output channel and of 7 bits, activations
per tensor, from the largest values met on calibration volumes (Nagel et al., "A White Paper on
Neural Network Quantization", arXiv 2106.08295). QuantizeLinear and DequantizeLinear stand before
each convolution, which OpenVINO, ONNX Runtime and TensorRT all read; biases, sums and what
surrounds the network's trunk stay floating point. What rounding shifts every scan alike by is taken
back (empirical bias correction, the same paper's section 3.3), once, on the features that are
pooled: most of what it does to a head is that.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from export.graph import EMBEDDING
from export.int8 import qdq, stem
from export.onnx import save
from export.precision import cells, pooled, trunk_nodes
from export.reference import Volume, feed
from export.verify import engines
from fmtool import files

Score = Callable[[Path], float]
"""A model's worst error as a share of what is allowed; it passes up to 1."""

_RANKED_ON = 4
# Calibration volumes that tell the shift while layers are ranked: each is a pass per layer.


@dataclass(frozen=True)
class Convolution:
    """One convolution of a quantised model.

    Attributes:
        name: of its weights, without ".weight".
        precision: "int8" or "float32".
        share: the model's score with this layer alone in floating point; None where no layer had
            to be.
    """

    name: str
    precision: str
    share: float | None


@dataclass(frozen=True)
class Mix:
    """What was quantised.

    Attributes:
        layers: every convolution, in the network's order.
        full: the score with all of them in int8.
        share: the score of what was written.
    """

    layers: tuple[Convolution, ...]
    full: float
    share: float

    def describe(self) -> str:
        """One sentence for people."""
        kept = [layer.name for layer in self.layers if layer.precision != "int8"]
        words = f"{len(self.layers) - len(kept)} of {len(self.layers)} convolutions in int8"
        return f"{words}; in float32: {', '.join(kept)}" if kept else words


def to_int8(
    onnx_path: str | os.PathLike[str],
    out_path: str | os.PathLike[str],
    calibration: Sequence[Volume],
    score: Score,
    quick: Score | None = None,
) -> Mix:
    """Write `onnx_path` with int8 convolutions, as many as `score` lets pass.

    If all in int8 do not pass, each layer is tried in floating point by itself, and those that help
    most are left in it, one after the other, until the score is at most 1. A model that needs all
    of them in floating point is written so; the caller's gate decides.

    Args:
        onnx_path: a model written by `export.onnx.export`.
        out_path: the file to write; appears complete, or not at all.
        calibration: prepared volumes and masks (z, y, x) whose activations set the ranges; real
            ones of the population to serve.
        score: of a candidate's file, best on volumes that are not among `calibration`.
        quick: a cheaper one, which ranks the layers; `score` where there is none.

    Raises:
        ValueError: without a calibration volume.
    """
    if not calibration:
        raise ValueError("quantisation needs at least one calibration volume")
    target = Path(out_path)
    with tempfile.TemporaryDirectory(prefix=files.SCRATCH, dir=target.parent) as scratch:
        folder = Path(scratch)
        plain = onnx.load(os.fspath(onnx_path))
        stem.rearrange(plain)
        whole = _quantise(plain, folder, calibration)
        candidate = folder / "candidate.onnx"
        wanted = _embeddings(folder / "plain.onnx", "float32", calibration)

        def tried(
            names: Collection[str], judge: Score = score, known: int = len(calibration)
        ) -> float:
            mixed = qdq.in_float(whole, plain, names)
            found = _embeddings(save(mixed, candidate), "int8", calibration[:known])
            shift = wanted[:known] - found
            return judge(save(_shifted(mixed, shift.mean(axis=0)), candidate))

        names = qdq.quantised(whole)
        full = share = tried(())
        alone: dict[str, float] = {}
        kept: list[str] = []
        if not full <= 1:
            alone = {
                name: tried(_with_shift(name, names), quick or score, _RANKED_ON)
                for name in names
                if name != stem.SHIFT
            }
            for name in sorted(alone, key=alone.__getitem__):
                kept += _with_shift(name, names)
                share = tried(kept)
                if share <= 1:
                    break
        convs = [node for node in plain.graph.node if node.op_type == "Conv"]
        weights = {node.name: node.input[1].removesuffix(".weight") for node in convs}
        layers = (
            Convolution(weights[name], "float32" if name in kept else "int8", alone.get(name))
            for name in names
            if name != stem.SHIFT
        )
        candidate.replace(target)  # the last one tried
        return Mix(tuple(layers), full, share)


def _with_shift(name: str, names: Sequence[str]) -> list[str]:
    """The layer, and, with the first one, the node that makes its channels."""
    return [stem.SHIFT, name] if stem.SHIFT in names and name == names[1] else [name]


def _embeddings(model: Path, precision: str, volumes: Sequence[Volume]) -> NDArray[np.float32]:
    """[volumes, F], one volume at a time, in the quickest engine."""
    with closing(engines(model, precision)) as opened:
        _, engine = next(opened)
        return np.concatenate([engine.run(feed([volume]))[EMBEDDING] for volume in volumes])


def _shifted(model: onnx.ModelProto, shift: NDArray[np.float32]) -> onnx.ModelProto:
    """A copy of `model` that adds `shift` [F] to its features wherever they are read.

    To the features and not to the embedding, so that a head's map still adds up to its output. Of
    a gridded encoder each channel's sum over its cells, which is its shift over all positions.
    """
    moved = onnx.ModelProto()
    moved.CopyFrom(model)
    graph = moved.graph
    moved_by = shift.reshape(-1, cells(graph)).sum(1)[None, :, None, None, None]
    place, maker = next(
        (i + 1, node) for i, node in enumerate(graph.node) if pooled(graph) in node.output
    )
    features = maker.output[0]
    for node in graph.node:
        node.input[:] = ["features_shifted" if n == features else n for n in node.input]
    weight = numpy_helper.from_array(moved_by, "features_shift")
    graph.initializer.append(weight)
    add = onnx.helper.make_node("Add", [features, weight.name], ["features_shifted"], weight.name)
    graph.node.insert(place, add)
    return moved


def _quantise(
    plain: onnx.ModelProto, folder: Path, calibration: Sequence[Volume]
) -> onnx.ModelProto:
    """Every convolution of the trunk in int8."""
    # Imported here: the quantiser alone takes a second to load.
    from onnxruntime import quantization as ort

    class Reader(ort.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.waiting = iter(calibration)

        def get_next(self) -> dict[str, Any] | None:
            volume = next(self.waiting, None)
            return None if volume is None else feed([volume])

    trunk = trunk_nodes(plain.graph)
    source = save(plain, folder / "plain.onnx")
    noisy = logging.getLogger()
    before = noisy.level
    noisy.setLevel(logging.ERROR)  # advice to optimise first, which would rename the layers
    try:
        ort.quantize_static(
            source,
            folder / "whole.onnx",
            Reader(),
            quant_format=ort.QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=[node.name for node in plain.graph.node if node.name not in trunk],
            per_channel=True,
            activation_type=ort.QuantType.QInt8,
            weight_type=ort.QuantType.QInt8,
            # 7 bits: without VNNI, OpenVINO adds two products of an activation (0 to 255) and a
            # weight in 16 bits, which hold 2 * 255 * 64 but not 2 * 255 * 127.
            reduce_range=True,
            # TensorRT reads symmetric int8 only, and no int32 bias.
            extra_options={
                "ActivationSymmetric": True,
                "WeightSymmetric": True,
                "QuantizeBias": False,
            },
        )
    finally:
        noisy.setLevel(before)
    return qdq.at_inputs(onnx.load(os.fspath(folder / "whole.onnx")))
