#!/usr/bin/env bash
# Tool: BIDS validator 3.0.2 (bids-validator-deno)
# Expected: ages above 89 draw a warning, since they identify people, and "89+" is the way to
#   write them.
# Seen: the other way round: 95 passes without a word, and "89+" draws TSV_PSEUDO_AGE_DEPRECATED.
#   Both end with exit code 0.
# Source: run; BIDS 1.10, participants file.
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

image("raw/sub-01/anat/sub-01_T1w.nii.gz")
image("raw/sub-02/anat/sub-02_T1w.nii.gz")
with open("raw/participants.json", "w") as out:
    json.dump({"age": {"Description": "age of the participant", "Units": "year"}}, out)
told = {}
for age in ("95", "89+"):
    with open("raw/participants.tsv", "w") as out:
        out.write(f"participant_id\tage\nsub-01\t{age}\nsub-02\t34\n")
    done = subprocess.run(
        ["env/bin/bids-validator-deno", "raw", "--format", "json"], capture_output=True, text=True
    )
    issues = json.loads(done.stdout)["issues"]["issues"]
    told[age] = sorted({i["code"] for i in issues if "AGE" in i["code"]}), done.returncode
    print(age, "->", told[age])
raise SystemExit(told != {"95": ([], 0), "89+": (["TSV_PSEUDO_AGE_DEPRECATED"], 0)})
PROGRAM
