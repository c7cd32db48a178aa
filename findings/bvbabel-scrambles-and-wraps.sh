#!/usr/bin/env bash
# Tool: bvbabel 0.4.0 (BrainVoyager files)
# Expected: what create_vtc() makes can be written and read back, and a VMR of int16 is refused or
#   clipped at 255: a VMR voxel is a byte.
# Seen: create_vtc()'s array has the axes in another order than read_vtc()'s, so that the voxel
#   (1, 2, 3) comes back at (0, 22, 69); and write_vmr() wraps, 300 becomes 44. An array of
#   read_vtc() goes round unchanged.
# Source: run.
#
# Exit status: 0 it is still so, 1 it has changed, 2 the packages could not be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install --quiet --no-compile \
    bvbabel==0.4.0 numpy==2.3.5; } || exit 2

env/bin/python -W ignore - <<'PROGRAM'
import bvbabel
import numpy as np

header, data = bvbabel.vtc.create_vtc()
data = np.zeros_like(data)
data[1, 2, 3, 4] = 7
bvbabel.vtc.write_vtc("a.vtc", header, data)
header, read = bvbabel.vtc.read_vtc("a.vtc")
place = np.argwhere(read).tolist()
bvbabel.vtc.write_vtc("b.vtc", header, read)
again = bool((bvbabel.vtc.read_vtc("b.vtc")[1] == read).all())

header, head = bvbabel.vmr.create_vmr()
bvbabel.vmr.write_vmr("a.vmr", header, np.full(head.shape, 300, np.int16))
value = int(bvbabel.vmr.read_vmr("a.vmr")[1].max())
print(data.shape, "read as", read.shape, "voxel at", place, "; read data goes round:", again)
print("300 in a VMR reads as", value)
raise SystemExit(not (place == [[0, 22, 69, 4]] and again and value == 44))
PROGRAM
