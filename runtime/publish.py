"""A folder of reports: a page with pictures and a JSON file for each result."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from fmtool.errors import InputError
from runtime import report
from runtime.picture import brain_png, registration_png
from runtime.prepare import Ready
from runtime.preprocess.template import Template
from runtime.result import Result

_SUFFIXES = (".nii.gz", ".nii", ".mgz", ".mgh", ".zip", ".dcm")


class Publisher:
    """Writes reports into one folder, each under a name of its own.

    Args:
        folder: made if it is absent; checked for writing before anything is computed.
        template: drawn over the registered brain by `write`.

    Raises:
        InputError: if the folder cannot be written.
    """

    def __init__(self, folder: Path, template: Template) -> None:
        self.folder = folder
        self._template = template
        self._used: set[str] = set()
        check_writable(folder)

    def write(self, result: Result) -> Path:
        """Write `NAME.html` and `NAME.json`; the page's path."""
        drawn = pictures(result, self._template)
        return self.put(self.name(result.scan), result.to_dict(), drawn)

    def put(self, name: str, data: dict[str, Any], drawn: dict[str, bytes]) -> Path:
        """Write `NAME.html` and `NAME.json` of a result's plain data; the page's path.

        Args:
            name: by `name`.
            data: `Result.to_dict()`.
            drawn: by `pictures`.
        """
        page = self.folder / f"{name}.html"
        report.write_json(page.with_suffix(".json"), data)
        # A path may name more than a reader of the page should see; the JSON keeps it.
        report.write_html(page, data | {"scan": Path(data["scan"]).name}, drawn)
        return page

    def name(self, scan: str) -> str:
        """The scan's file name without its suffix, or its folder's for TurboPrep's files.

        No two calls give the same: to be asked once for each scan, in a stable order.
        """
        path = Path(scan)
        name = path.parent.name if path.name == "normalized.nii.gz" else path.name
        for suffix in _SUFFIXES:
            name = name.removesuffix(suffix)
        name = name or "scan"
        unique, count = name, 1
        while unique in self._used:  # two subjects' files may well have the same name
            count += 1
            unique = f"{name}-{count}"
        self._used.add(unique)
        return unique


def pictures(result: Result | Ready, template: Template) -> dict[str, bytes]:
    """The report's pictures of a scan that is prepared: PNG files by name."""
    prepared = result.prepared
    spacing = np.linalg.norm(prepared.affine[:3, :3], axis=0)
    return {
        "brain": brain_png(prepared.corrected, prepared.brain, spacing.tolist()),
        "registration": registration_png(prepared.volume, prepared.mask, template.crop),
    }


def check_writable(folder: Path) -> None:
    """Make a folder and a file in it, and remove the file again.

    Raises:
        InputError: if either cannot be done.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error
        raise InputError(f"cannot write to {folder} ({why}); name another folder") from None
