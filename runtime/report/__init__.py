"""Reports: a result as a self-contained page, as JSON, or several as CSV."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runtime.report.page import answers, browser, facts, figures, why
from runtime.report.page.document import document
from runtime.report.page.script import SLICES
from runtime.report.rows import csv_rows
from runtime.system.atomic import write_bytes

__all__ = ["csv_rows", "html", "write_html", "write_json"]


def html(result: Mapping[str, Any], files: Mapping[str, bytes]) -> str:
    """A page without any reference to the network, for screen, phone and paper, light and dark.

    Args:
        result: `Result.to_dict()`.
        files: its pictures, by the names of `runtime.report.pictures.pictures`; what is missing is
            left out.
    """
    bundle, values = result["bundle"], result["values"]
    limits = list(bundle["limits"])
    if bundle["demonstration"]:
        limits.insert(0, "It shows how fmtool works; its answers are not to be relied on.")
    refusals = [c["sentence"] for c in result["quality"] if c["verdict"] == "refuse"]
    warnings = [w for w in result["warnings"] if w not in refusals]
    cards = "".join(answers.card(name, value) for name, value in values.items())
    lead = f"{'Demonstration bundle' if bundle['demonstration'] else 'Limits of the bundle'}"
    viewer = browser.section(values, files)
    parts = [
        answers.head(result),
        answers.banner(refusals, "A check refuses this scan; the answer was forced", "bad"),
        f'<div class="results">{cards}</div>',
        answers.banner(warnings, "To be looked at", "warn"),
        why.section(values, files),
        viewer,
        figures.section(files),
        facts.checks(result["quality"]),
        answers.banner(limits, lead, "warn"),
        facts.robustness(bundle.get("robustness", [])),
        facts.timings(result["timings"]),
        facts.provenance(result),
    ]
    return document(str(result["scan"]), parts, SLICES if viewer else "")


def write_html(path: Path, result: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    """Write `html(result, files)` to `path` in one step.

    Raises:
        InputError: if the file cannot be written.
    """
    write_bytes(path, html(result, files).encode("utf-8"))


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write a result's plain data to `path` in one step.

    Raises:
        InputError: if the file cannot be written.
    """
    write_bytes(path, (json.dumps(data, indent=1, allow_nan=False) + "\n").encode("utf-8"))
