"""A folder of reports: a page with pictures and a JSON file for each result, and an index."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fmtool.errors import InputError
from runtime import report
from runtime.prepare import Ready
from runtime.preprocess.template import Template
from runtime.report.page import index
from runtime.report.pictures.pictures import of_maps, of_scan
from runtime.result import Result
from runtime.scan import stem
from runtime.system.atomic import sweep, write_bytes

INDEX = "index.html"


class Publisher:
    """Writes reports into one folder, each under a name of its own.

    Args:
        folder: made if it is absent; checked for writing before anything is computed.
        template: drawn over the registered brain by `write`.
        digest: of the bundle whose results are written.

    Raises:
        InputError: if the folder cannot be written.
    """

    def __init__(self, folder: Path, template: Template, digest: str = "") -> None:
        self.folder = folder
        self._digest = digest
        self._told: set[tuple[str | None, str]] | None = None  # what has a page, once it is asked
        self._template = template
        self._names = UniqueNames(Path(INDEX).stem)
        check_writable(folder)

    def write(self, result: Result) -> Path:
        """Write `NAME.html` and `NAME.json`; the page's path."""
        drawn = pictures(result, self._template)
        return self.put(self.name(result.scan), result.to_dict(), drawn)

    def wants(self, name: str, content: str | None) -> bool:
        """Whether the folder has no page of this bundle for a content, whatever its scan's name."""
        del name
        if self._told is None:
            self._told = {_told(page) for page in _results(self.folder).values()}
        return content is not None and (content, self._digest) not in self._told

    def put(self, name: str, data: dict[str, Any], drawn: Mapping[str, bytes]) -> Path:
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
        if self._told is not None:
            self._told.add(_told(data))
        return page

    def write_index(self, failures: Sequence[Mapping[str, Any]] = ()) -> Path:
        """Write `index.html` over every result in the folder, earlier runs' included; its path.

        Args:
            failures: `Failure.to_dict()` of scans of this run.

        Raises:
            InputError: if the folder cannot be read or written.
        """
        path = self.folder / INDEX
        write_bytes(path, index.html(_results(self.folder), failures).encode("utf-8"))
        return path

    def name(self, scan: str) -> str:
        """The scan's file name without its suffix, or its folder's for TurboPrep's files.

        No two calls give the same: to be asked once for each scan, in a stable order.
        """
        return self._names.of(scan)


class UniqueNames:
    """Names for scans' files; those given at first are taken."""

    def __init__(self, *taken: str) -> None:
        self._used = set(taken)

    def of(self, scan: str) -> str:
        """See `Publisher.name`."""
        path = Path(scan)
        name = path.parent.name if path.name == "normalized.nii.gz" else path.name
        name = stem(name) or "scan"
        unique, count = name, 1
        # Two subjects' files may well share a name, or have two that macOS takes for one.
        while unique.casefold() in self._used:
            count += 1
            unique = f"{name}-{count}"
        self._used.add(unique.casefold())
        return unique


def pictures(result: Result | Ready, template: Template) -> dict[str, bytes]:
    """The report's pictures, as `pictures` lists them; of a scan that waits, all but the maps."""
    files = of_scan(result.prepared, template)
    if isinstance(result, Result):
        files |= of_maps(result.maps, result.prepared, template)
    return files


def _told(page: Mapping[str, Any]) -> tuple[str | None, str]:
    return page.get("content"), page["bundle"]["digest"]


def _results(folder: Path) -> dict[str, dict[str, Any]]:
    """The results that have a page, by its name; other JSON files are none of ours."""
    found = {}
    for path in sorted(folder.glob("*.json"), key=lambda path: path.stem):
        if not path.with_suffix(".html").is_file():
            continue
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read ({error}); remove it or its page") from None
        if isinstance(data, dict) and {"scan", "values", "quality", "bundle"} <= set(data):
            found[path.stem] = data
    return found


def check_writable(folder: Path) -> None:
    """Make a folder and a file in it, and remove the file again, and what killed runs left there.

    Raises:
        InputError: if either cannot be done.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            sweep(folder)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error
        raise InputError(f"cannot write to {folder} ({why}); name another folder") from None
