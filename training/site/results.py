"""A batch's results as a cohort: `results.parquet` holds the embeddings, a table the labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fmtool import task as tasks
from fmtool.bundle import Bundle
from fmtool.errors import CapabilityError, InputError
from fmtool.task import Task
from runtime.scan import stem
from training.cohort import Cohort, names
from training.cohort import labels as label_columns
from training.cohort.labels import LabelColumn, LeftOut
from training.cohort.row import Row, Table, no_label_column, read_table
from training.site.answers import SiteAnswers

SUFFIX = ".parquet"

_NAMES = ("scan", "image_path", "participant_id", "subject")
_WANTED = ("scan", "content", "embedding", "brain_volume_ml", "bundle_digest", "engine")
_MAX_BYTES = 4 << 30


def read(
    results: Path, table: Path, task: Task, bundle: Bundle, say: Callable[[str], None]
) -> SiteAnswers:
    """The answers of a batch whose labels a table has, without any scan being read again.

    Args:
        results: `results.parquet` of `fmtool predict --out`.
        table: a CSV or TSV with the task's column and one of `scan`, `image_path` (a scan's path or
            its file's name), `participant_id` and `subject` (a folder's name, or how a file's name
            begins); optionally `subject` and `site`.
        task: whose labels to read.
        bundle: that gave the results.
        say: told what is left out.

    Raises:
        InputError: for files that cannot be used, or results of another bundle.
        CapabilityError: if pyarrow is not installed.
    """
    found = _rows(results)
    others = {row["bundle_digest"] for row in found} - {bundle.digest}
    if others:
        raise InputError(
            f"{results} holds results of another bundle ({str(others.pop())[:12]}); name the one "
            "that gave them with --bundle"
        )
    if any("float32" not in (row["engine"] or "") for row in found):
        say(
            f"{results} holds embeddings of an engine that rounds more than float32: figures "
            "differ in their last digits from those of the scans themselves."
        )
    rows, kept = [], []
    labelled = _labelled(read_table(table), task, [row["scan"] for row in found], say)
    for position, row in sorted(labelled.items()):
        rows.append(row)
        kept.append(found[position])
    if not rows:
        raise InputError(f"{table} labels none of the scans in {results}; compare their names")
    if len(kept) < len(found):
        say(f"{len(found) - len(kept)} results without a label are left out.")
    embeddings = np.array([row["embedding"] for row in kept], dtype=np.float64)
    features = sum(encoder.features for encoder in bundle.manifest.encoders)
    if embeddings.ndim != 2 or embeddings.shape[1] != features:
        raise InputError(f"{results} holds embeddings of another encoder than {bundle.name}'s")
    volumes = np.array([row["brain_volume_ml"] for row in kept], dtype=np.float64)
    contents = [row["content"] for row in kept]
    return SiteAnswers(Cohort(table, task, rows), embeddings, volumes, [], [], contents)


def truths_of(
    table: Path, task: str, say: Callable[[str], None]
) -> Callable[[Sequence[str]], tuple[str, dict[int, float]]]:
    """From scans' names to the truths that a table has of them by now, by position."""
    about = tasks.get(task)
    read = read_table(table)

    def find(scans: Sequence[str]) -> tuple[str, dict[int, float]]:
        rows = _labelled(read, about, scans, say)
        if not rows:
            raise InputError(f"{table} labels none of the last scans; compare their names")
        return about.name, {position: row.label for position, row in rows.items()}

    return find


def _rows(path: Path) -> list[dict[str, Any]]:
    """The answered scans."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise CapabilityError(
            f"{path} cannot be read without pyarrow; install it with `pip install "
            "'fmtool[parquet]'`"
        ) from None
    if not path.is_file():
        raise InputError(f"{path} does not exist or is not a file; name a batch's results.parquet")
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(f"{path} is larger than {_MAX_BYTES >> 30} GiB: refused")
    try:
        rows = parquet.read_table(path, columns=list(_WANTED)).to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        what = str(error).partition("\n")[0]
        raise InputError(f"{path} is no results.parquet of fmtool ({what:.200})") from None
    answered = [row for row in rows if row["embedding"] is not None]
    if not answered:
        raise InputError(f"{path} holds no answered scan")
    return answered


def _labelled(
    table: Table, task: Task, scans: Sequence[str], say: Callable[[str], None]
) -> dict[int, Row]:
    """The row of each result that the table labels, by its position."""
    given = [one for one in _NAMES if one in table.columns]
    if not given:
        raise InputError(f"{table.path} has none of the columns {', '.join(_NAMES)}")
    column = next((one for one in (task.label, "label") if one in table.columns), None)
    if column is None:
        raise no_label_column(table, task, f"{task.label} or label")
    tabs = table.separator == "\t"
    read = (
        label_columns.column(table.path, task)
        if tabs
        else LabelColumn(task, decimal_comma=table.separator == ";")
    )
    at = defaultdict(set)
    for position, scan in enumerate(scans):
        for word in _called(scan):
            at[word].add(position)
    found: dict[int, Row] = {}
    problems, empty = [f"line {n}: {what}" for n, what in table.problems], 0
    for line, cells in table.rows:
        try:
            label = read.label(cells[column])
            words = [word for name in given for word in (cells[name], Path(cells[name]).name)]
            places: set[int] = next((at[word] for word in words if word in at), set())
            if twice := places & found.keys():
                raise InputError(f"{scans[min(twice)]} has a label already")
        except InputError as error:
            problems.append(f"line {line}: {error}")
            continue
        if isinstance(label, LeftOut):
            empty += 1
            continue
        for place in places:
            image = Path(scans[place])
            said = cells.get("participant_id") or cells.get("subject")
            who = names.person(said) if said else names.subject_of(image) or str(image)
            site = label_columns.given(cells.get("site"))
            found[place] = Row(who, image, None, label, site, line, told=said or "")
    if problems:
        raise InputError(f"{table.path} cannot be used: {'; '.join(problems[:5])}")
    if empty:
        say(f"{empty} lines of {table.path.name} without a value are left out.")
    return found


def _called(scan: str) -> set[str]:
    """What a table may call a scan: its path, its file, its folders, how its file's name begins."""
    parts = Path(scan).parts
    short = stem(parts[-1]) if parts else scan
    begins = short.split("_")
    return {scan, *parts, short, *("_".join(begins[:n]) for n in range(1, len(begins)))}
