#!/usr/bin/env bash
# Tool: antspyx 0.6.3 (ANTsPy), image_read
# Expected: an int32 image of labels, read with pixeltype="unsigned int", keeps its labels.
# Seen: it is read as float32 and converted after: 16777217 becomes 16777216 and 16777219 becomes
#   16777220. Labels above 2^24, as atlases of the mouse brain have, melt into their neighbours.
# Source: run.
#
# Exit status: 0 it is still so, 1 it has changed, 2 the packages could not be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install --quiet --no-compile \
    antspyx==0.6.3 nibabel==5.4.2 numpy==2.3.5; } || exit 2

env/bin/python -W ignore - <<'PROGRAM'
import ants
import nibabel
import numpy as np

labels = np.zeros((6, 7, 8), np.int32)
labels[1], labels[3] = 16777217, 16777219
nibabel.Nifti1Image(labels, np.eye(4)).to_filename("labels.nii.gz")
read = ants.image_read("labels.nii.gz", pixeltype="unsigned int")
told = np.unique(read.numpy()).tolist()
print("written:", np.unique(labels).tolist(), "read as", read.pixeltype, told)
raise SystemExit(told != [0, 16777216, 16777220])
PROGRAM
