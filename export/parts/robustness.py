"""A bundle's measured robustness put into the bundle: a file of it, told in its model card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from export.parts.card import CARD, LICENCES, card
from fmtool.bundle import Bundle
from fmtool.bundle import exposure as exposures
from fmtool.bundle import write as bundle_write
from fmtool.errors import BundleError, InputError
from runtime.trust.robustness import FILE, WRONG, sentences


def attach(bundle: Bundle, summary: Path) -> Bundle:
    """Write the bundle anew, in its place, with what was measured on it.

    Args:
        bundle: a folder; a zip is not written to.
        summary: `robustness.json` of `python -m benchmarks.robustness`.

    Returns:
        The bundle as it now is: its digest is another.

    Raises:
        InputError: if the summary cannot be read, or was measured on another bundle.
        BundleError: if the bundle is a zip or cannot be written; it then stays as it was.
    """
    found = _read(summary)
    measured = found["bundle"]
    if measured["digest"] != bundle.digest:
        raise InputError(
            f"{summary} was measured on the bundle {measured['name']} with the digest "
            f"{str(measured['digest'])[:12]}, not on {bundle.path} ({bundle.digest[:12]}); measure "
            "this one"
        )
    if bundle.zipped:
        raise BundleError("a zipped bundle is not written to; unzip it and name its folder")
    manifest = replace(bundle.manifest, robustness=FILE)
    names = [name for name in bundle.manifest.files if name not in (FILE, CARD)]
    files: dict[str, Path | bytes] = {name: bundle.file(name) for name in names}
    files[FILE] = (json.dumps(found, indent=1, allow_nan=False) + "\n").encode()
    licences = sorted(name for name in names if name.startswith(LICENCES))
    files[CARD] = card(manifest, licences, sentences(found), exposures.read(bundle)).encode()
    return bundle_write.write(bundle.path, manifest, files, overwrite=True)


def _read(summary: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(summary.read_text(encoding="utf-8"))
        sentences(found)
        _ = found["bundle"]["digest"], found["bundle"]["name"]
    except OSError as error:
        raise InputError(f"{summary} cannot be read ({error.strerror}); check it") from None
    except WRONG as error:
        raise InputError(
            f"{summary} is not what `python -m benchmarks.robustness` writes ({error}); "
            "measure anew"
        ) from None
    return dict(found)
