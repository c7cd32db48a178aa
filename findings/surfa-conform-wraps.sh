#!/usr/bin/env bash
# Tool: surfa 0.6.3 (FreeSurfer's Python library)
# Expected: conform() lays a volume on FreeSurfer's grid, 256 voxels of 1 mm in LIA, and
#   conform(dtype=np.uint8) scales its values into a byte, as mri_convert --conform does.
# Seen: without arguments nothing is changed at all, neither grid nor orientation; and
#   dtype=np.uint8 casts: of values up to 2550 the largest, 2550, becomes 246. The values have to
#   be scaled first.
# Source: run (with NumPy below 2.3, which this release needs).
#
# Exit status: 0 it is still so, 1 it has changed, 2 the packages could not be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install --quiet --no-compile \
    surfa==0.6.3 nibabel==5.4.2 numpy==2.2.6; } || exit 2

env/bin/python -W ignore - <<'PROGRAM'
import nibabel
import numpy as np
import surfa

values = np.zeros((20, 20, 20), np.float32)
values[8:12, 8:12, 8:12] = 2550
nibabel.Nifti1Image(values, np.diag([1.0, 2, 3, 1])).to_filename("head.nii.gz")
head = surfa.load_volume("head.nii.gz")
plain, byte = head.conform(), head.conform(dtype=np.uint8)
told = plain.shape, plain.geom.orientation, [round(float(v), 3) for v in plain.geom.voxsize]
print("conform():", told, "; largest value as uint8:", int(byte.max()))
raise SystemExit(told != ((20, 20, 20), "RAS", [1.0, 2.0, 3.0]) or int(byte.max()) != 246)
PROGRAM
