"""Reports: a result as a self-contained page, as JSON, or several as CSV."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from runtime import sections
from runtime.atomic import write_bytes
from runtime.rows import csv_rows
from runtime.style import CSS

__all__ = ["csv_rows", "html", "write_html", "write_json"]

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
# The page loads nothing from anywhere and runs no script, whatever a file name says.


def html(result: Mapping[str, Any], pictures: Mapping[str, bytes]) -> str:
    """A page without any reference to the network, for screen, phone and paper, light and dark.

    Args:
        result: `Result.to_dict()`.
        pictures: PNG files by name: "brain" and "registration" have captions of their own.
    """
    bundle = result["bundle"]
    limits = list(bundle["limits"])
    if bundle["demonstration"]:
        limits.insert(0, "It shows how fmtool works; its answers are not to be relied on.")
    refusals = [c["sentence"] for c in result["quality"] if c["verdict"] == "refuse"]
    warnings = [w for w in result["warnings"] if w not in refusals]
    values = "".join(sections.result(name, value) for name, value in result["values"].items())
    lead = f"{'Demonstration bundle' if bundle['demonstration'] else 'Limits of the bundle'}"
    body = [
        "<header><p>fmtool report</p>",
        f"<h1>{escape(result['scan'])}</h1><p>{escape(result['notice'])}</p></header>",
        sections.banner(refusals, "A check refuses this scan; the answer was forced", "bad"),
        f'<div class="results">{values}</div>',
        sections.banner(warnings, "To be looked at", "warn"),
        sections.pictures(pictures),
        sections.checks(result["quality"]),
        sections.timings(result["timings"]),
        sections.banner(limits, lead, "warn"),
        sections.provenance(result),
        f"<footer><strong>{escape(result['notice'])}</strong></footer>",
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(result['scan'])} · fmtool</title><style>{CSS}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def write_html(path: Path, result: Mapping[str, Any], pictures: Mapping[str, bytes]) -> None:
    """Write `html(result, pictures)` to `path` in one step.

    Raises:
        InputError: if the file cannot be written.
    """
    write_bytes(path, html(result, pictures).encode("utf-8"))


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write a result's plain data to `path` in one step.

    Raises:
        InputError: if the file cannot be written.
    """
    write_bytes(path, (json.dumps(data, indent=1, allow_nan=False) + "\n").encode("utf-8"))
