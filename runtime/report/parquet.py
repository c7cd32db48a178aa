"""A batch's results as one Parquet table, numbers as numbers, the embedding included."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from fmtool.errors import CapabilityError
from runtime.report import words

_FLOATS = ("corrected", "probability", "low", "high")


def has_parquet() -> bool:
    """Whether Parquet can be written here: it needs the `parquet` extra."""
    return importlib.util.find_spec("pyarrow") is not None


def parquet(results: Sequence[Mapping[str, Any]]) -> bytes:
    """Results and failures as a Parquet file.

    Columns: `scan`, `content`; for each task `TASK` (float64), `TASK_unit`, `TASK_class`,
    `TASK_low`, `TASK_high`, `TASK_corrected`, `TASK_probability`; `checks`, `brain_volume_ml`,
    `seconds`, `warnings` (a list), `error`, `bundle`, `bundle_digest`, `engine`, `version`,
    `finished` (UTC, milliseconds), `embedding` (a list of float32). What a row lacks is null.

    Args:
        results: `Result.to_dict()` and `Failure.to_dict()`, in any mix, with or without "content".

    Raises:
        CapabilityError: if pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet as files
    except ImportError as error:
        raise CapabilityError(
            f"Parquet cannot be written ({error}); install it with `pip install 'fmtool[parquet]'`"
        ) from None
    text, number = pyarrow.string(), pyarrow.float64()
    types = {"scan": text, "content": text}
    for task in dict.fromkeys(name for r in results for name in r.get("values", {})):
        types |= {task: number, f"{task}_unit": text, f"{task}_class": text}
        types |= {f"{task}_{name}": number for name in _FLOATS}
    types |= {"checks": text, "brain_volume_ml": number, "seconds": number}
    types |= {"warnings": pyarrow.list_(text), "error": text}
    types |= dict.fromkeys(("bundle", "bundle_digest", "engine", "version"), text)
    types |= {"finished": pyarrow.timestamp("ms", tz="UTC")}
    types |= {"embedding": pyarrow.list_(pyarrow.float32())}
    rows = [_row(result) for result in results]
    table = pyarrow.table(
        {name: pyarrow.array([row.get(name) for row in rows], kind) for name, kind in types.items()}
    )
    stream = io.BytesIO()
    files.write_table(table, stream, compression="zstd")
    return stream.getvalue()


def _row(result: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "scan": result["scan"],
        "content": result.get("content"),
        "error": result.get("error"),
        "version": result["version"],
        "finished": datetime.fromisoformat(result["finished"]),
    }
    if "error" in result:
        return row
    for task, value in result["values"].items():
        row |= {task: value["value"], f"{task}_unit": value["unit"]}
        row |= {f"{task}_class": value["class"]}
        limits = {**value, **(value.get("interval") or {})}
        row |= {f"{task}_{name}": limits.get(name) for name in _FLOATS}
    said = [*result["warnings"], *(w for v in result["values"].values() for w in v["warnings"])]
    return row | {
        "checks": words.worst(result),
        "brain_volume_ml": result["facts"]["brain_volume_ml"],
        "seconds": result["timings"]["total"],
        "warnings": said,
        "bundle": result["bundle"]["name"],
        "bundle_digest": result["bundle"]["digest"],
        "engine": result["engine"],
        "embedding": result["embedding"],
    }
