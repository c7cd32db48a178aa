#!/usr/bin/env bash
# Tool: BIDS validator 3.0.2 (bids-validator-deno)
# Expected: an image whose gzip stream ends half-way, as an interrupted copy leaves it, is an
#   error: a valid data set can be read.
# Seen: exit code 0 and no word of it: the beginning, which holds the header, is all that is
#   looked at. nibabel cannot read the voxels.
# Source: run; the same with a file that is a header and nothing else.
#
# Exit status: 0 it is still so, 1 it has changed, 2 the packages could not be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install --quiet --no-compile \
    bids-validator-deno==3.0.2 nibabel==5.4.2 numpy==2.3.5; } || exit 2

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

import subprocess

path = "raw/sub-01/anat/sub-01_T1w.nii.gz"
image(path, (64, 64, 64))
whole = open(path, "rb").read()
with open(path, "wb") as out:
    out.write(whole[: len(whole) // 2])
try:
    nibabel.load(path).get_fdata()
    readable = True
except (EOFError, OSError) as error:
    readable = False
    print("nibabel:", error)
done = subprocess.run(
    ["env/bin/bids-validator-deno", "raw", "--format", "json"], capture_output=True, text=True
)
issues = json.loads(done.stdout)["issues"]["issues"]
told = sorted({i["code"] for i in issues if "RECOMMENDED" not in i["code"]})
errors = [i["code"] for i in issues if i["severity"] == "error"]
print("validator: exit code", done.returncode, "errors:", errors, "and besides", told)
raise SystemExit(readable or done.returncode != 0 or bool(errors))
PROGRAM
