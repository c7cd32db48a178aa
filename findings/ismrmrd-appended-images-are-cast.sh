#!/usr/bin/env bash
# Tool: ismrmrd 1.15.0 (Python), Dataset.append_image
# Expected: an image of another element type under the same name is refused, or kept as it is.
# Seen: it is cast to the first image's type without a word, and its header still names its own:
#   after an int16 image a float32 one of 0.7 reads back as 0.0, one of 70000 as 32767, both said
#   to be float32.
# Source: run; the file's `data` is one HDF5 data set per name, typed by its first image.
#
# Exit status: 0 it is still so, 1 it has changed, 2 the packages could not be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install --quiet --no-compile \
    ismrmrd==1.15.0 h5py==3.16.0 numpy==2.3.5; } || exit 2

env/bin/python -W ignore - <<'PROGRAM'
import ismrmrd
import numpy as np

file = ismrmrd.Dataset("images.h5", "dataset", True)
for number, kind in ((1, np.int16), (0.7, np.float32), (70000, np.float32)):
    array = np.full((2, 3, 4), number, kind)
    file.append_image("images", ismrmrd.Image.from_array(array, transpose=False))
read = [file.read_image("images", i) for i in range(3)]
told = [(float(image.data.flat[0]), image.data_type) for image in read]
print("value and data_type of 1, 0.7 and 70000:", told)
raise SystemExit(told[1:] != [(0.0, ismrmrd.DATATYPE_FLOAT), (32767.0, ismrmrd.DATATYPE_FLOAT)])
PROGRAM
