#!/usr/bin/env bash
# Tool: highdicom 0.28.2 with pydicom 3.0.2
# Expected: making one small document (a secondary capture of 8 x 8 pixels) reads the tables of its own
#   SOP class: some MB for a moment, and little of it kept.
# Seen: the first constructor reads one JSON of all attributes of all SOP classes, and keeps it: some 80 MB
#   of Python objects stay, and a second or so goes, once in each process. The file that it writes has 1 KB.
# Source: run; highdicom's documentation does not speak of it.
#
# Exit status: 0 it is still so, 1 it has changed, 2 the packages could not be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install --quiet --no-compile \
    highdicom==0.28.2 pydicom==3.0.2 numpy==2.3.5; } || exit 2

env/bin/python -W ignore - <<'PROGRAM'
import gc
import io
import sys
import tracemalloc

import highdicom
import numpy as np
from highdicom.sc import SCImage
from pydicom.uid import generate_uid


def made():
    return SCImage(
        pixel_array=np.zeros((8, 8), np.uint8),
        photometric_interpretation="MONOCHROME2",
        bits_allocated=8,
        coordinate_system="PATIENT",
        study_instance_uid=generate_uid(),
        series_instance_uid=generate_uid(),
        series_number=1,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="MADE",
        patient_orientation=("L", "P"),
    )


tracemalloc.start()
document = made()
out = io.BytesIO()
document.save_as(out)
size = len(out.getvalue())
del document
gc.collect()
kept, peak = tracemalloc.get_traced_memory()
tracemalloc.reset_peak()
made()
again = tracemalloc.get_traced_memory()[1] - kept
print(f"document {size} bytes; kept {kept / 1e6:.0f} MB, at its peak {peak / 1e6:.0f} MB")
print(f"a second document: {again / 1e6:.2f} MB more")
still = size < 10_000 and kept > 40e6 and peak > 60e6 and again < 5e6
print("still so" if still else "changed")
sys.exit(0 if still else 1)
PROGRAM
