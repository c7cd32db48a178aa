"""The quality of a cohort's scans: a table with a column per check, and a page with pictures.

First what cannot be prepared or is refused, then the scans farthest from the others: by their
largest |x - median| / (1.4826 median absolute deviation) over all checks.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fmtool.bundle import Bundle
from runtime.preprocess.template import Template
from runtime.report.columns import WHO, TableColumn, who
from runtime.report.page.document import document, embedded
from runtime.report.pictures.picture import qc_png
from runtime.report.publish import check_writable
from runtime.report.rows import qc
from runtime.report.rows import write as write_table
from runtime.store.entry import StoredScan
from runtime.system.atomic import write_bytes
from training.cohort import Cohort
from training.store.prepare import CohortOutcome
from training.store.prepare_worker import CHECKS

_MAD = 1.4826  # a normal deviation for each median absolute one
_WIDTH = 480  # pixels of a thumbnail
_ORDER = ("not prepared", "refused", "unusual", "usual", "not judged")

_COLUMNS = {
    **WHO,
    "line": TableColumn("Of the cohort's table.", kind=float),
    "scan": TableColumn("The scan's file."),
    "verdict": TableColumn(
        "What the checks say.",
        levels={
            "not prepared": "the scan cannot be read or prepared",
            "refused": "a check refuses it: trainings leave it out",
            "unusual": "a check warns of it",
            "usual": "no check does",
            "not judged": "it came prepared: there is nothing to check",
        },
    ),
    "outlying": TableColumn("How far its most unusual value is from the cohort's, in deviations."),
    "sentences": TableColumn("What the checks say of it."),
}


def rows(cohort: Cohort[Any], outcome: CohortOutcome) -> list[dict[str, Any]]:
    """A row per scan, the worst first; "position" is its place in the cohort."""
    problems = dict(outcome.problems)
    found = []
    for i, (row, entry) in enumerate(zip(cohort.rows, outcome.entries, strict=True)):
        named = who(str(row.image))
        named |= {"participant_id": row.told or row.subject} if row.named else {}
        named |= {"session_id": row.session} if row.session else {}
        checks = entry.facts.get(CHECKS, []) if entry else []
        said = problems.get(row.line, "") if entry is None else ""
        said = said or outcome.refused.get(i) or outcome.unusual.get(i, "")
        verdict = "usual" if checks else "not judged"
        for name, held in (("unusual", outcome.unusual), ("refused", outcome.refused)):
            verdict = name if i in held else verdict
        verdict = "not prepared" if entry is None else verdict
        values = {qc(check["name"]): check["value"] for check in checks}
        about = {"position": i, "line": row.line, "scan": row.image.name}
        found.append({**named, **about, "verdict": verdict, "sentences": said, **values})
    _place(found)
    return sorted(found, key=lambda row: (_ORDER.index(row["verdict"]), -(row["outlying"] or 0.0)))


def _place(found: Sequence[dict[str, Any]]) -> None:
    """Each row's distance from the others."""
    far = np.zeros(len(found))
    for name in dict.fromkeys(key for row in found for key in row if key.startswith("qc_")):
        values = np.array([row.get(name) for row in found], dtype=np.float64)  # None is NaN
        known = np.isfinite(values)
        middle = np.median(values[known]) if known.any() else 0.0
        spread = _MAD * np.median(np.abs(values[known] - middle)) if known.any() else 0.0
        if spread > 0.0:
            far = np.fmax(far, np.abs(values - middle) / spread)
    for row, distance in zip(found, far, strict=True):
        row["outlying"] = float(distance) if any(key.startswith("qc_") for key in row) else None


def write(folder: Path, cohort: Cohort[Any], outcome: CohortOutcome, bundle: Bundle) -> list[Path]:
    """Write `quality.csv`, its dictionary `quality.json`, and `index.html`; their paths.

    Raises:
        InputError: if the folder cannot be written.
    """
    check_writable(folder)
    found = rows(cohort, outcome)
    checks = {qc(c["name"]): c for e in outcome.entries if e for c in e.facts.get(CHECKS, ())}
    measured = {
        name: TableColumn(f"{check['name']}, as the checks measure it.", check["unit"], kind=float)
        for name, check in checks.items()
    }
    table, page = folder / "quality.csv", folder / "index.html"
    write_table(table, found, {**_COLUMNS, **measured})
    template = Template.of(bundle).crop
    pictures = (_picture(outcome.entries[row["position"]], template) for row in found)
    body = "".join(_row(row, one) for row, one in zip(found, pictures, strict=True))
    head = "".join(f'<th scope="col">{word}</th>' for word in ("Scan", "Checks", "Picture"))
    parts = [
        f"<header><p>fmtool cohort</p><h1>{len(found)} scans of {escape(cohort.path.name)}</h1>"
        "</header>",
        f'<section><table class="list"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        "</section>",
    ]
    write_bytes(page, document("Quality of a cohort", parts).encode())
    return [table, table.with_suffix(".json"), page]


def _row(row: dict[str, Any], picture: str) -> str:
    far = "" if row["outlying"] is None else f" {row['outlying']:.1f} deviations from the others."
    who = " ".join(filter(None, (row["participant_id"], row["session_id"])))
    return (
        f"<tr><td>{escape(who)}<br>{escape(row['scan'])}</td>"
        f"<td><strong>{row['verdict']}</strong>{far} {escape(row['sentences'])}</td>"
        f"<td>{picture}</td></tr>"
    )


def _picture(entry: StoredScan | None, template: Any) -> str:
    if entry is None:
        return ""
    with Image.open(io.BytesIO(qc_png(entry.volume, entry.mask, template))) as sheet:
        small = sheet.convert("RGB").resize((_WIDTH, _WIDTH * sheet.height // sheet.width))
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=70)
    data = base64.b64encode(stream.getvalue()).decode()
    return f'<img src="{embedded("jpeg", data)}" alt="brain mask and template">'
