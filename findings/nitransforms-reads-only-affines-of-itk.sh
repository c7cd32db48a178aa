#!/usr/bin/env bash
# Tool: nitransforms 25.1.0; SimpleITK 2.5.7 writes the files
# Expected: a rigid transform as SimpleITK or 3D Slicer writes it (Euler3DTransform,
#   VersorRigid3DTransform; .tfm) is read like the 4x4 that it is.
# Seen: only AffineTransform is: the rigid ones end in "cannot reshape array of size 3 into shape
#   (3,3)", a translation and any affine in HDF5 (.h5) likewise. The same mapping written as
#   AffineTransform is read exactly, its centre applied.
# Source: run.
#
# Exit status: 0 it is still so, 1 it has changed, 2 the packages could not be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install --quiet --no-compile \
    nitransforms==25.1.0 SimpleITK==2.5.7 numpy==2.3.5 nibabel==5.4.2; } || exit 2

env/bin/python -W ignore - <<'PROGRAM'
import numpy as np
import SimpleITK as sitk
from nitransforms.linear import load

rigid = sitk.Euler3DTransform((10, 20, 30), 0.1, 0.2, 0.3, (5, 6, 7))
affine = sitk.AffineTransform(rigid.GetMatrix(), rigid.GetTranslation(), rigid.GetCenter())
versor = sitk.VersorRigid3DTransform((0, 0, 1), 0.3)
moved = sitk.TranslationTransform(3, (1, 2, 3))
refused = []
for name, transform in (("euler", rigid), ("versor", versor), ("moved", moved), ("affine", affine)):
    sitk.WriteTransform(transform, f"{name}.tfm")
    try:
        matrix = load(f"{name}.tfm", fmt="itk").matrix
        print(name, "is read:", matrix.round(4).tolist())
    except ValueError as error:
        print(name, "is refused:", error)
        refused.append(name)
flip = np.diag([-1.0, -1, 1, 1])
right = np.eye(4)
right[:3, 3] = affine.TransformPoint((0, 0, 0))
right[:3, :3] = np.reshape(affine.GetMatrix(), (3, 3))
exact = np.abs(matrix - flip @ right @ flip).max() < 1e-5
raise SystemExit(not (refused == ["euler", "versor", "moved"] and exact))
PROGRAM
