"""A batch's results as one Parquet table, numbers as numbers, the embedding included."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from fmtool.errors import CapabilityError
from runtime.report.rows import fields, records


def has_parquet() -> bool:
    """Whether Parquet can be written here: it needs the `parquet` extra."""
    return importlib.util.find_spec("pyarrow") is not None


def parquet(results: Sequence[Mapping[str, Any]]) -> bytes:
    """Results and failures as a Parquet file.

    Its columns are those of `runtime.report.rows.fields`: numbers as float64, `finished` as UTC
    in milliseconds, warnings as lists; then `embedding`, a list of float32. What a row lacks is
    null.

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
    of_kind = {
        str: pyarrow.string(),
        float: pyarrow.float64(),
        bool: pyarrow.bool_(),
        list: pyarrow.list_(pyarrow.string()),
    }
    types = {name: of_kind[column.kind] for name, column in fields(results).items()}
    types |= {"content": pyarrow.string(), "finished": pyarrow.timestamp("ms", tz="UTC")}
    types |= {"embedding": pyarrow.list_(pyarrow.float32())}
    rows = records(results)
    for row, result in zip(rows, results, strict=True):
        row["finished"] = datetime.fromisoformat(result["finished"])
        row["embedding"] = result.get("embedding")
    table = pyarrow.table(
        {name: pyarrow.array([row.get(name) for row in rows], kind) for name, kind in types.items()}
    )
    stream = io.BytesIO()
    files.write_table(table, stream, compression="zstd")
    return stream.getvalue()
