#!/usr/bin/env bash
# Tool: ismrmrd 1.15.0 (Python), Meta
# Expected: serialize() and deserialize() give back what was put in: numbers, lists of one, empty
#   texts.
# Seen: 1 comes back as '1', True as 'True', [1.5] as '1.5' and no longer a list, and '' as None,
#   which the next round writes as 'None'. A list of two stays a list, of texts.
# Source: run.
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

meta = ismrmrd.Meta()
meta.update({"number": 1, "truth": True, "single": [1.5], "pair": [1, 2], "empty": ""})
once = dict(ismrmrd.Meta.deserialize(meta.serialize()))
twice = dict(ismrmrd.Meta.deserialize(ismrmrd.Meta.deserialize(meta.serialize()).serialize()))
print(once, "then", twice["empty"].__repr__())
raise SystemExit(not (
    once == {"number": "1", "truth": "True", "single": "1.5", "pair": ["1", "2"], "empty": None}
    and twice["empty"] == "None"
))
PROGRAM
