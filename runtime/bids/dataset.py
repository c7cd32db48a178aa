"""A data set of derivatives: what it says of itself, and whose it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fmtool import NOTICE, __version__
from fmtool.bundle import Bundle
from fmtool.errors import InputError
from runtime.scan.bids import DESCRIPTION
from runtime.system.atomic import write_bytes

WORK = ".fmtool"
"""The default folder of the ledger, hidden from whoever reads the derivatives."""

_VERSION = "1.10.0"
_IGNORED = f"{WORK}\n*.html\nfigures\n*_xfm.*\n*_predictions.json\ngroup_*\n"
_README = f"""# Derivatives by fmtool

{NOTICE}

Each `*_predictions.json` is one scan's answers, with their evidence, warnings and checks; open
`index.html` for all of them as pages. `group_predictions.tsv` is their table, `group_change.tsv`
that of changes between sessions; their JSON files say what the columns are.
`dataset_description.json` names the bundle that gave the answers.

    antsApplyTransforms -d 3 -i T1W -r *_desc-preproc_T1w.nii.gz -t *_xfm.txt -o OUT
"""


def begin(raw: Path, folder: Path, bundle: Bundle) -> None:
    """Make the data set of derivatives, or go on with the one that the same bundle made.

    Raises:
        InputError: if the folder is the raw data, or holds another's derivatives, or cannot be
            written.
    """
    if folder.resolve() == raw.resolve():
        raise InputError(
            f"{folder} is the raw data set itself; name another folder, such as its derivatives/"
            "fmtool"
        )
    description = _description(raw, bundle)
    path = folder / DESCRIPTION
    if path.exists():
        before = read(folder)
        if before.get("GeneratedBy") != description["GeneratedBy"]:
            raise InputError(
                f"{folder} holds derivatives of another bundle, of another version of fmtool or of "
                f"another program, and this is fmtool {__version__} with bundle {bundle.name}; "
                "name another folder: they are not mixed"
            )
    write_bytes(path, _json(description))
    write_bytes(folder / "README.md", _README.encode())
    write_bytes(folder / ".bidsignore", _IGNORED.encode())


def read(folder: Path) -> dict[str, Any]:
    """What a data set says of itself.

    Raises:
        InputError: if it says nothing that can be read.
    """
    path = folder / DESCRIPTION
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        why = getattr(error, "strerror", None) or "no JSON"
        raise InputError(f"{path} cannot be read ({why}); check it") from None
    if not isinstance(told, dict):
        raise InputError(f"{path} holds no description; expected a JSON object")
    return told


def digest(folder: Path) -> str:
    """The digest of the bundle that a data set of derivatives is by.

    Raises:
        InputError: if it is none of fmtool's.
    """
    match read(folder).get("GeneratedBy"):
        case [{"Name": "fmtool"}, {"Version": str(found)}, *_]:
            return found
    raise InputError(
        f"{folder} holds no derivatives of fmtool; run the participant level into it first"
    )


def _description(raw: Path, bundle: Bundle) -> dict[str, Any]:
    source = {"URL": raw.resolve().as_uri()}
    told = read(raw) if (raw / DESCRIPTION).exists() else {}
    if isinstance(doi := told.get("DatasetDOI"), str):
        source["DOI"] = doi
    made: dict[str, Any] = {
        "Name": f"fmtool derivatives of {told.get('Name') or raw.resolve().name}",
        "BIDSVersion": _VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [
            {
                "Name": "fmtool",
                "Version": __version__,
                "Description": f"3D brain-MRI foundation models. {NOTICE}",
            },
            {
                "Name": f"bundle {bundle.name}",
                "Version": bundle.digest,
                "Description": "The model; its version is the SHA-256 of its manifest.",
            },
        ],
        "SourceDatasets": [source],
        "DatasetLinks": {"raw": source["URL"]},
    }
    return made | {k: told[k] for k in ("License", "Authors") if k in told}


def _json(data: Any) -> bytes:
    return (json.dumps(data, indent=2, allow_nan=False, ensure_ascii=False) + "\n").encode()
