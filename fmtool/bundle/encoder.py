"""What a bundle's manifest says of its encoder, or of its several: each with heads of its own.

Where there are several they stand side by side in one graph, behind one z-score. Each gives an
embedding of its own, and a head's map, novelty and interval are of the encoder that it reads.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fmtool.bundle.fields import More, known, need, number, plain, table, text, whole, words

EMBEDDING = "embedding"
"""The model's output that is the only encoder's embedding, or the first one's."""

_MOST_FEATURES = 1 << 18
_MOST_PATCH = 1024
_MOST_VOXELS = 1024
_MOST_STAGE = 16
_MOST_ENCODERS = 64


@dataclass(frozen=True, kw_only=True)
class EncoderFacts:
    """What the network below the heads is.

    Attributes:
        architecture: a name of `training.encoders.architecture`; empty where it is not said.
        width: scales its channels; 0 where it is not said.
        features: of the embedding.
        patch: (z, y, x) voxels of a transformer's patch; None for a residual network.
        stage: the last of a gridded one, see `training.encoders.grid`; None of a whole network.
        cells: (z, y, x) of its feature map, whose channels' means in each are the features.
        map_first: (z, y, x) voxel of the crop at the centre of its map's first position, and
        map_step: voxels to the next; None where `runtime.attribution.placed` knows them.
        source: where its weights come from, in words.
        sha256: of its weights.
        parameters: how many; 0 where it is not said.
        embedding: the model's output that is its embedding.
        tasks: the heads that read it, where there are several encoders; None of the only one,
            which all heads read.
        more: such as the layout of an imported one.
    """

    architecture: str = ""
    width: float = 0.0
    features: int
    patch: tuple[int, int, int] | None = None
    stage: int | None = None
    cells: tuple[int, int, int] | None = None
    map_first: tuple[float, float, float] | None = None
    map_step: tuple[float, float, float] | None = None
    source: str = ""
    sha256: str = ""
    parameters: int = 0
    embedding: str = EMBEDDING
    tasks: Sequence[str] | None = None
    more: More = field(default_factory=dict)

    @property
    def cell_count(self) -> int:
        """Cells in all; one unless the encoder is gridded."""
        return math.prod(self.cells or (1,))

    @classmethod
    def from_dict(cls, data: Any) -> EncoderFacts:
        """See `fmtool.bundle.manifest.Manifest.from_dict`."""
        given = known(cls, table(data, "encoder"))
        features = given.get("features")
        need(whole(features, 1, _MOST_FEATURES), "encoder, features", "a whole number")
        assert features is not None
        patch, cells = (_sides(given, key) for key in ("patch", "cells"))
        stage = given.get("stage")
        fine = stage is None or whole(stage, 1, _MOST_STAGE)
        need(fine and (stage is None) == (cells is None), "encoder, stage", "one that has cells")
        fine = features % math.prod(cells or (1,)) == 0
        need(fine, "encoder, cells", "some of which each has as many features")
        for key in ("architecture", "source", "sha256"):
            need(words(given.get(key, "")), f"encoder, {key}", "words")
        need(number(given.get("width", 0)), "encoder, width", "a number")
        need(whole(given.get("parameters", 0)), "encoder, parameters", "a whole number")
        first, step = (_voxels(given, key) for key in ("map_first", "map_step"))
        fine = (first is None) == (step is None) and (step is None or min(step) > 0)
        need(fine, "encoder, map_step", "steps that have a first position")
        need(text(given.get("embedding", EMBEDDING)), "encoder, embedding", "an output's name")
        tasks = given.get("tasks")
        fine = tasks is None or (isinstance(tasks, list) and all(map(text, tasks)))
        need(fine, "encoder, tasks", "names of heads")
        places = {"map_first": first, "map_step": step}
        return cls(**given | {"patch": patch, "cells": cells, **places})

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        found = plain(self)
        if self.tasks is None:
            del found["embedding"]
        else:
            found["tasks"] = list(self.tasks)
        return found


def read(data: Any, tasks: Collection[str]) -> tuple[EncoderFacts, ...]:
    """The encoders of a manifest's field `encoder`: a table, or a list of several.

    Args:
        data: of the manifest.
        tasks: its heads: each reads one encoder.

    Raises:
        ValueError: for the first field that is not of its kind, naming it.
    """
    several = isinstance(data, list)
    parts = data if several else [data]
    need(0 < len(parts) <= _MOST_ENCODERS, "encoder", "a table of names, or a list of some")
    found = tuple(map(EncoderFacts.from_dict, parts))
    fine = all((e.tasks is not None) == several for e in found)
    need(fine, "encoder, tasks", "names of heads, where there is a list of encoders")
    if several:
        served = [name for e in found for name in e.tasks or ()]
        fine = sorted(served) == sorted(tasks)
        need(fine, "encoder, tasks", "the manifest's heads, each of one encoder")
        fine = len({e.embedding for e in found}) == len(found)
        need(fine, "encoder, embedding", "another output for each encoder")
    else:
        need(found[0].embedding == EMBEDDING, "encoder, embedding", f"{EMBEDDING} of the only one")
    return found


def to_json(encoders: Sequence[EncoderFacts]) -> Any:
    """The inverse of `read`."""
    if len(encoders) == 1 and encoders[0].tasks is None:
        return encoders[0].to_dict()
    return [each.to_dict() for each in encoders]


def _sides(given: Mapping[str, Any], key: str) -> tuple[int, int, int] | None:
    sides = given.get(key) or None
    fine = sides is None or (isinstance(sides, list) and len(sides) == 3)
    fine = fine and all(whole(side, 1, _MOST_PATCH) for side in sides or ())
    need(fine, f"encoder, {key}", "three whole numbers")
    return (sides[0], sides[1], sides[2]) if sides else None


def _voxels(given: Mapping[str, Any], key: str) -> tuple[float, float, float] | None:
    found = given.get(key)
    fine = found is None or (isinstance(found, list) and len(found) == 3)
    fine = fine and all(number(n) and abs(n) <= _MOST_VOXELS for n in found or ())
    need(fine, f"encoder, {key}", "three numbers of voxels")
    return (float(found[0]), float(found[1]), float(found[2])) if found else None
