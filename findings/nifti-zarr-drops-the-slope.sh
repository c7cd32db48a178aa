#!/usr/bin/env bash
# Tool: nifti-zarr 1.0.0rc8 (`nii2zarr`, `zarr2nii`; the newest of the index)
# Expected: a NIfTI with scl_slope and scl_inter that goes to Zarr and back has the values it had.
# Seen: the Zarr's header and its JSON keep both numbers, and the image that comes back holds the
#   stored integers with a slope of NaN: values of 0 to 1000 times 0.5 less 10 return as 0 to 1000,
#   without a word. The affine survives.
# Source: run.
#
# Exit status: 0 it is still so, 1 it has changed, 2 the packages could not be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install --quiet --no-compile \
    nifti-zarr==1.0.0rc8 nibabel==5.4.2 numpy==2.4.6 zarr==3.1.6; } || exit 2

env/bin/python -W ignore - <<'PROGRAM'
import nibabel as nib
import niizarr
import numpy as np
import zarr

stored = np.random.default_rng(0).integers(0, 1000, (12, 14, 16)).astype(np.int16)
image = nib.Nifti1Image(stored, np.diag([1.0, 1.2, 2.0, 1.0]))
image.header.set_slope_inter(0.5, -10.0)
nib.save(image, "scan.nii.gz")
scan = nib.load("scan.nii.gz")
niizarr.nii2zarr("scan.nii.gz", "scan.nii.zarr")
kept = zarr.open("scan.nii.zarr", mode="r")["nifti"].attrs.asdict()
niizarr.zarr2nii("scan.nii.zarr", "back.nii.gz")
back = nib.load("back.nii.gz")
there, here = scan.get_fdata().mean(), back.get_fdata().mean()
print(f"mean {there:.2f}, back {here:.2f}; kept: {kept['ScaleSlope']}, {kept['ScaleOffset']}")
assert np.allclose(back.affine, scan.affine, atol=1e-4)
assert (kept["ScaleSlope"], kept["ScaleOffset"]) == (0.5, -10.0)
raise SystemExit(0 if np.array_equal(back.get_fdata(), stored) and here != there else 1)
PROGRAM
