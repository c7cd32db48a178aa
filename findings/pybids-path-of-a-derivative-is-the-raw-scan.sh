#!/usr/bin/env bash
# Tool: pybids 0.22.0
# Expected: build_path() for a file with space and desc, which the raw data set's patterns do not
#   have, raises or answers None.
# Seen: it drops both and answers the path of the raw T1w scan itself, with the validation that is
#   on by default: who writes there overwrites the scan. strict=True raises. And get(suffix="T1w")
#   of a layout with derivatives lists prepared heads among the raw ones.
# Source: run.
#
# Exit status: 0 it is still so, 1 it has changed, 2 the packages could not be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install --quiet --no-compile \
    pybids==0.22.0 nibabel==5.4.2 numpy==2.3.5; } || exit 2

env/bin/python -W ignore - <<'PROGRAM'
import json
import os

import nibabel
import numpy as np


def image(path, shape=(8, 9, 10)):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    made = nibabel.Nifti1Image(np.arange(np.prod(shape), dtype=np.int16).reshape(shape), np.eye(4))
    made.header.set_xyzt_units("mm", "sec")
    made.to_filename(path)


def about(folder, **more):
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/dataset_description.json", "w") as out:
        json.dump({"Name": "two heads", "BIDSVersion": "1.10.0", "License": "CC0", **more}, out)


about("raw", DatasetType="raw")
with open("raw/README", "w") as out:
    out.write("Two heads that nobody has, made to look at what a tool does.\n" * 5)

from bids import BIDSLayout

raw = "raw/sub-01/anat/sub-01_T1w.nii.gz"
prepared = "raw/derivatives/made/sub-01/anat/sub-01_space-MNI152NLin2009cSym_desc-preproc_T1w.nii.gz"
image(raw)
image(prepared)
about("raw/derivatives/made", DatasetType="derivative", GeneratedBy=[{"Name": "made"}])
layout = BIDSLayout("raw", derivatives=True)
wanted = {
    "subject": "01", "space": "MNI152NLin2009cSym", "desc": "preproc",
    "suffix": "T1w", "extension": ".nii.gz",
}
path = layout.build_path(wanted)
try:
    layout.build_path(wanted, strict=True)
    strict = "a path"
except Exception as error:
    strict = type(error).__name__
found = [f.filename for f in layout.get(suffix="T1w", extension=".nii.gz")]
print("built:", path, "; strict:", strict, "; T1w:", found)
raise SystemExit(not (
    os.path.samefile(path, raw) and strict != "a path" and os.path.basename(prepared) in found
))
PROGRAM
