"""What `fmtool preprocess` leaves: TurboPrep's files, the transform, a picture, the facts."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from fmtool import NOTICE, __version__
from fmtool.bundle import Bundle
from fmtool.errors import InputError
from runtime.preprocess.pipeline import Prepared
from runtime.preprocess.template import Template
from runtime.preprocess.whitestripe import white_stripe
from runtime.quality import Check, stored
from runtime.report.derivatives import image, on_grid
from runtime.report.pictures.picture import qc_png
from runtime.scan import Scan
from runtime.transform import to_itk

_ITK = "template_to_scan_itk.txt"
FILES = (
    "normalized.nii.gz",
    "mask.nii.gz",
    _ITK,
    "template_to_scan.txt",
    "qc.png",
    stored.FILE,
)


def write(
    prepared: Prepared,
    folder: Path,
    bundle: Bundle,
    template: Template,
    scan: Scan,
    checks: Sequence[Check],
) -> list[Path]:
    """Write `FILES` into `folder`; all of them, or none.

    * `normalized.nii.gz`: float32 on the template's full grid (193, 229, 193), MNI RAS: the brain,
      N4-corrected and scaled by WhiteStripe, the zeros around it scaled along.
    * `mask.nii.gz`: uint8, the brain on that grid.
    * `template_to_scan_itk.txt`: the rigid transform as ITK text (LPS mm, fixed -> moving), to
      where ITK sees the scan's voxels; absent where ITK cannot read the scan's file.
      `template_to_scan.txt`: the transform as a plain 4x4, template RAS mm -> scan RAS mm.
    * `preprocess.json`: the facts; "affine" is the 4x4 from the file's voxels, in the file's own
      order (of DICOM, in RAS order), to scan RAS mm; "frame" is where it is from; a refusal among
      the "checks", one that was overruled, binds whoever reads the folder.

    Raises:
        InputError: if the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fmtool-", dir=folder) as scratch:
            staged = Path(scratch)
            _write_all(prepared, staged, bundle, template, scan, checks)
            names = [name for name in FILES if (staged / name).exists()]
            for name in names:
                os.replace(staged / name, folder / name)
            if _ITK not in names:  # what an earlier command left is of another scan
                (folder / _ITK).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot write to {folder} ({error.strerror}); name a folder you may write to with -o"
        ) from None
    return [folder / name for name in names]


def remarks(prepared: Prepared, scan: Scan, checks: Sequence[Check]) -> list[str]:
    """What must be said aloud of a scan, its preparation and the files."""
    odd = (check.sentence for check in checks if check.verdict != "ok")
    said = [*scan.facts.get("warnings", []), *prepared.remarks, *odd]
    if scan.itk is None:
        said.append(
            f"ITK, and so ANTs and 3D Slicer, cannot tell this file's place: there is no {_ITK}."
        )
    return said


def _write_all(
    prepared: Prepared,
    folder: Path,
    bundle: Bundle,
    template: Template,
    scan: Scan,
    checks: Sequence[Check],
) -> None:
    grid, mask = on_grid(prepared)
    mean, deviation = white_stripe(grid, mask)
    for name, array in (
        ("normalized.nii.gz", ((grid - mean) / deviation).astype(np.float32)),
        ("mask.nii.gz", mask.astype(np.uint8)),
    ):
        nib.save(image(array), folder / name)
    if scan.itk is not None:
        (folder / _ITK).write_text(to_itk(scan.itk @ prepared.transform))
    np.savetxt(folder / "template_to_scan.txt", prepared.transform, fmt="%.10f")
    (folder / "qc.png").write_bytes(qc_png(prepared.volume, prepared.mask, template.crop))
    facts: dict[str, Any] = {
        "facts": prepared.facts,
        "affine": (scan.affine if scan.stored is None else scan.stored).tolist(),
        "frame": scan.facts.get("frame"),
        "warnings": remarks(prepared, scan, checks),
        stored.KEY: [check.to_dict() for check in checks],
        "white_stripe": {"mean": mean, "standard_deviation": deviation},
        "timings": prepared.timings,
        "template_to_scan": prepared.transform.tolist(),
        "bundle": {"name": bundle.name, "digest": bundle.digest},
        "version": __version__,
        "notice": NOTICE,
    }
    (folder / stored.FILE).write_text(json.dumps(facts, indent=1) + "\n")
