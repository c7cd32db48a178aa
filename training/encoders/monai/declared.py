"""What a MONAI bundle declares of its network's input, where fmtool's volumes differ from it.

Source: "MONAI Bundle Specification", `network_data_format`, and the `pixdim` of its transforms.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from fmtool.space import CROP_SHAPE

_MOST = 10_000  # values of a configuration that are looked at


def differences(config: Mapping[str, Any]) -> list[str]:
    """A sentence each on size, spacing and value range; none where nothing is declared.

    Args:
        config: of the bundle, with its metadata as `_meta_`.
    """
    said = []
    for given in _inputs(config):
        shape = _numbers(given.get("spatial_shape"))
        if len(shape) == 3 and tuple(shape) != CROP_SHAPE:
            ours, theirs = ("x".join(f"{n:g}" for n in sides) for sides in (CROP_SHAPE, shape))
            said.append(f"the bundle declares an input of {theirs} voxels; fmtool gives {ours}.")
        value_range = _numbers(given.get("value_range"))
        if len(value_range) == 2:
            low, high = value_range
            said.append(
                f"the bundle declares intensities from {low:g} to {high:g}; fmtool gives z-scores "
                "inside the brain, zero outside."
            )
    spacings = {tuple(_numbers(_followed(config, value))) for value in _pixdims(config)}
    for spacing in sorted(s for s in spacings if len(s) in (1, 3) and set(s) != {1.0}):
        voxels = "x".join(f"{n:g}" for n in spacing)
        said.append(f"the bundle's transforms make voxels of {voxels} mm; fmtool gives 1 mm.")
    return said


def _inputs(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    found: Any = config.get("_meta_")
    for name in ("network_data_format", "inputs"):
        found = found.get(name) if isinstance(found, dict) else None
    yield from (v for v in found.values() if isinstance(v, dict)) if isinstance(found, dict) else ()


def _pixdims(config: Mapping[str, Any]) -> Iterator[Any]:
    left: list[Any] = [config]
    for _ in range(_MOST):
        if not left:
            return
        value = left.pop()
        if isinstance(value, dict):
            if "pixdim" in value:
                yield value["pixdim"]
            left += value.values()
        elif isinstance(value, list):
            left += value


def _followed(config: Mapping[str, Any], value: Any) -> Any:
    """A reference to an entry at the top, followed once; expressions are not run."""
    return config.get(value[1:]) if isinstance(value, str) and value.startswith("@") else value


def _numbers(value: Any) -> list[float]:
    given = value if isinstance(value, list) else [value]
    good = [
        float(n)
        for n in given
        if isinstance(n, int | float) and not isinstance(n, bool) and abs(n) < 1e9
    ]
    return good if len(good) == len(given) and all(map(math.isfinite, good)) else []
