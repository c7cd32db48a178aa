#!/usr/bin/env bash
# Tool: antspyx 0.6.3 (ANTsPy), from_numpy
# Expected: an int16 array, the usual type of a scan, becomes a signed or floating image; or is
#   refused.
# Seen: it becomes "unsigned int", and a voxel of -5 is 4294967291, without a warning. float32
#   arrays are right.
# Source: run.
#
# Exit status: 0 it is still so, 1 it has changed, 2 the packages could not be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install --quiet --no-compile \
    antspyx==0.6.3 numpy==2.3.5; } || exit 2

env/bin/python -W ignore - <<'PROGRAM'
import ants
import numpy as np

scan = np.full((4, 5, 6), 100, np.int16)
scan[0, 0, 0] = -5
image = ants.from_numpy(scan)
real = ants.from_numpy(scan.astype(np.float32))
print("-5 as", image.pixeltype, "is", image.numpy()[0, 0, 0], "; as float", real.numpy()[0, 0, 0])
raise SystemExit(not (image.numpy()[0, 0, 0] == 4294967291 and real.numpy()[0, 0, 0] == -5))
PROGRAM
