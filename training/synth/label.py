"""The words that make a synthetic cohort unmistakable, in every file that it has."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from fmtool import __version__
from runtime.system import atomic

COLUMNS = ("participant_id", "age", "sex", "synthetic")
"""Of the table of participants."""

DESCRIPTION = b"SYNTHETIC head by fmtool, not a person"
"""The NIfTI header's `descrip`; it has room for 79 bytes."""

_ABOUT = {
    "age": "A number that the ventricles and the cortex follow; nobody's age.",
    "sex": "F or M, which the head's size follows; nobody's sex.",
    "synthetic": "Always yes: no row describes a person.",
}

_README = """\
SYNTHETIC COHORT: NO PERSON WAS SCANNED.

{subjects} heads made by fmtool {version} with seed {seed}: deformations of one average brain, the
MNI152 2009a symmetric tissue maps. The widths of the ventricles and of the cortex follow a number
called age, the head's size a letter called sex. They are no model of human ageing or of human sex
differences, and nothing that is measured here says anything about people.
{form}
What each scan was made with is in truth.tsv: the hidden factors; volumes in mL, free of blur and
noise; and the nuisances, which are independent of the factors.

The MNI152 maps: Copyright (C) 1993-2009 Louis Collins, McConnell Brain Imaging Centre, Montreal
Neurological Institute, McGill University. They may be used, copied, modified and distributed
for any purpose without fee if this notice is kept; they come without any warranty.
"""
_SCANS = """\
The heads lie in a pose of their own and are skull-stripped: zero outside the brain.
"""
_PREPARED = """\
The volumes lie on the model's grid with their brain masks; cohort.csv lists them, `label` being
the age. Their bias fields are left in.
"""


def write(folder: Path, subjects: int, seed: int, prepared: bool) -> None:
    """Write README, dataset_description.json, participants.json and .bidsignore."""
    form = _PREPARED if prepared else _SCANS
    readme = _README.format(subjects=subjects, version=__version__, seed=seed, form=form)
    description = {
        "Name": f"SYNTHETIC heads, seed {seed}: no person was scanned",
        "BIDSVersion": "1.9.0",
        "DatasetType": "derivative" if prepared else "raw",
        "GeneratedBy": [{"Name": "fmtool train synth", "Version": __version__}],
        "Synthetic": True,
    }
    about = {name: {"Description": words} for name, words in _ABOUT.items()}
    atomic.write_bytes(folder / "README", readme.encode())
    atomic.write_bytes(folder / "dataset_description.json", _json(description))
    atomic.write_bytes(folder / "participants.json", _json(about))
    atomic.write_bytes(folder / ".bidsignore", b"truth.tsv\n")


def nifti(array: NDArray[np.uint8], affine: NDArray[np.float64]) -> bytes:
    """A `.nii.gz` file that says what it is, the same on every call (no timestamp)."""
    image = nib.Nifti1Image(array, affine)
    image.set_sform(affine, code="scanner")
    image.set_qform(affine, code="scanner")
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = DESCRIPTION
    return gzip.compress(image.to_bytes(), compresslevel=1, mtime=0)


def _json(content: Mapping[str, object]) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode()
