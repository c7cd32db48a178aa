"""A result as derivatives: its volumes, their sidecars, its answers and its page, by BIDS names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fmtool.errors import InputError
from runtime import report
from runtime.bids.names import SPACE, HeadName
from runtime.report.derivatives import MASK, PREPROC, TRANSFORM
from runtime.report.page import index
from runtime.report.publish import INDEX
from runtime.system.atomic import sweep, write_bytes

ANSWERS = "predictions.json"
_GRID = "1 mm isotropic: 193 x 229 x 193 voxels, the template's own grid"


class Derivatives:
    """Writes each result into a data set of derivatives; a `runtime.batch.run.Publishing`.

    Args:
        raw: the data set that the scans are of.
        folder: of the derivatives; see `runtime.bids.dataset.begin`.
        digest: the bundle's.
    """

    def __init__(self, raw: Path, folder: Path, digest: str) -> None:
        self._raw, self._folder, self._digest = raw, folder, digest
        self._subjects: set[str] = set()

    def name(self, scan: str) -> str:
        """The scan's path in its data set."""
        name = Path(scan).relative_to(self._raw).as_posix()
        self._subjects.add(HeadName.of(Path(name)).subject)
        return name

    def wants(self, name: str, content: str | None) -> bool:
        """Whether it has no answer here; what stands of other bytes of the scan is removed."""
        files = _paths(HeadName.of(Path(name)))
        path = self._folder / files[ANSWERS]
        if not path.exists():
            return True
        told = read_answer(path)
        if told.get("content") == content and told["bundle"]["digest"] == self._digest:
            return not all((self._folder / files[key]).exists() for key in (PREPROC, MASK))
        for file in files.values():  # the answer first: without it the others are no result
            (self._folder / file).unlink(missing_ok=True)
        return True

    def put(self, name: str, data: dict[str, Any], files: Mapping[str, bytes]) -> Path:
        """Write a result's files, its answer last; the page's path.

        Raises:
            InputError: if the folder cannot be written.
        """
        head = HeadName.of(Path(name))
        paths = {key: self._folder / path for key, path in _paths(head).items()}
        for folder in {path.parent for path in paths.values()}:
            _made(folder)
        for key, told in _sidecars(name).items():
            if key in files:
                write_bytes(paths[key], files[key])
                report.write_json(paths[f"{key} sidecar"], told)
            else:  # what an earlier run left is of another scan
                for old in (key, f"{key} sidecar"):
                    paths[old].unlink(missing_ok=True)
        report.write_html(paths["page"], data | {"scan": Path(name).name}, files)
        report.write_json(paths[ANSWERS], data | {"scan": name})
        return paths["page"]

    def write_index(self, failures: Sequence[Mapping[str, Any]] = ()) -> Path:
        """Write a page per subject of this run and `index.html` over all that stands here.

        Args:
            failures: `Failure.to_dict()` of scans of this run.

        Raises:
            InputError: if the folder cannot be read or written.
        """
        named = [{**f, "scan": self.name(str(f["scan"]))} for f in failures]
        pages = {page_name(HeadName.of(Path(told["scan"]))): told for told in answers(self._folder)}
        for subject in self._subjects:
            inside = f"{subject}/"
            own = {page: told for page, told in pages.items() if page.startswith(inside)}
            failed = [failure for failure in named if failure["scan"].startswith(inside)]
            write_bytes(self._folder / f"{subject}.html", index.html(own, failed).encode())
        write_bytes(self._folder / INDEX, index.html(pages, named).encode())
        return self._folder / INDEX


def page_name(head: HeadName) -> str:
    """Where a scan's page lies, relative to the derivatives, without ".html"."""
    return head.made("figures", f"{head.described('fmtool')}_{head.suffix}")


def answers(folder: Path) -> list[dict[str, Any]]:
    """Every result in a data set of derivatives, in the order of their names.

    Raises:
        InputError: if one cannot be read.
    """
    found = [p for deep in ("", "/ses-*") for p in folder.glob(f"sub-*{deep}/anat/*_{ANSWERS}")]
    told = map(read_answer, sorted(found))
    return sorted(told, key=lambda one: str(one["scan"]))


def read_answer(path: Path) -> dict[str, Any]:
    """One result, as it was written.

    Raises:
        InputError: if it cannot be read.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        why = getattr(error, "strerror", None) or "no JSON"
        raise InputError(f"{path} cannot be read ({why}); remove it, and run it again") from None
    if not isinstance(told, dict) or not {"scan", "values", "quality", "bundle"} <= told.keys():
        raise InputError(f"{path} is no result of fmtool; remove it, and run it again")
    return told


def _paths(head: HeadName) -> dict[str, str]:
    """Every file of a scan, relative to the derivatives, its answer first."""
    grid = {
        PREPROC: f"desc-preproc_{head.suffix}.nii.gz",
        MASK: f"{head.described('brain')}_mask.nii.gz",
    }
    files = {key: head.made("anat", end, on_grid=True) for key, end in grid.items()}
    way = f"from-{head.suffix}_to-{SPACE}_mode-image_xfm.txt"
    files[TRANSFORM] = head.made("anat", way)
    sidecars = {f"{key} sidecar": f"{path.split('.', 1)[0]}.json" for key, path in files.items()}
    answer = head.made("anat", f"{head.described('fmtool')}_{ANSWERS}")
    return {ANSWERS: answer, **files, **sidecars, "page": f"{page_name(head)}.html"}


def _sidecars(name: str) -> dict[str, dict[str, Any]]:
    source = {"Sources": [f"bids:raw:{name}"]}
    grid = {"SpatialReference": SPACE, "Resolution": _GRID}
    native = {"SpatialReference": f"bids:raw:{name}"}
    return {
        PREPROC: {
            "Description": "The brain, N4-corrected, in the scan's own intensities, moved rigidly "
            "(never scaled) onto the template.",
            "SkullStripped": True,
            **source,
            **grid,
        },
        MASK: {"Description": "The brain.", "Type": "Brain", **source, **grid},
        TRANSFORM: {
            "Description": "Rigid, as ITK and ANTs read it: antsApplyTransforms -t with it moves "
            f"the scan into {SPACE}.",
            **source,
            **native,
        },
    }


def _made(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
    except OSError as error:
        raise InputError(
            f"cannot write to {folder} ({error.strerror}); name another folder"
        ) from None
