#!/usr/bin/env bash
# Tool: pynrrd 1.1.3
# Expected: a boolean mask is written as uint8, or refused in a sentence.
# Seen: KeyError: 'b1', and so 'f2' for float16. Cast first.
# Source: run; NRRD has no type of one bit.
#
# Exit status: 0 it is still so, 1 it has changed, 2 the packages could not be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install --quiet --no-compile \
    pynrrd==1.1.3 numpy==2.3.5; } || exit 2

env/bin/python -W ignore - <<'PROGRAM'
import nrrd
import numpy as np

told = []
for kind in (bool, np.float16, np.uint8):
    try:
        nrrd.write("mask.nrrd", np.ones((3, 4, 5), kind))
        told.append("written")
    except KeyError as error:
        told.append(f"KeyError {error}")
print(dict(zip(("bool", "float16", "uint8"), told)))
raise SystemExit(told != ["KeyError 'b1'", "KeyError 'f2'", "written"])
PROGRAM
