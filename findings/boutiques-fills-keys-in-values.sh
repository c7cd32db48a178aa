#!/usr/bin/env bash
# Tool: Boutiques 0.5.33 (bosh exec simulate)
# Expected: an input's text goes into the command line as it is.
# Seen: a text that holds another input's value-key is filled in once more: the file name
#   "scan[OUT].nii" becomes "scanresult.nii". It passes validation, and the command reads another
#   file.
# Source: run.
#
# Exit status: 0 it is still so, 1 it has changed, 2 the packages could not be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install --quiet --no-compile \
    boutiques==0.5.33; } || exit 2

env/bin/python -W ignore - <<'PROGRAM'
import json
import shlex
import subprocess

inputs = [
    {"id": key.lower(), "name": key, "type": "String", "value-key": f"[{key}]"}
    for key in ("IN", "OUT")
]
tool = {
    "name": "tool", "description": "a tool", "tool-version": "1", "schema-version": "0.5",
    "command-line": "tool [IN] [OUT]", "inputs": inputs,
}
with open("tool.json", "w") as out:
    json.dump(tool, out)
with open("call.json", "w") as out:
    json.dump({"in": "scan[OUT].nii", "out": "result"}, out)
done = subprocess.run(
    ["env/bin/bosh", "exec", "simulate", "-i", "call.json", "tool.json"],
    capture_output=True, text=True, check=True,
)
line = done.stdout.strip().splitlines()[-1]
print("scan[OUT].nii ->", line)
raise SystemExit(shlex.split(line) != ["tool", "scanresult.nii", "result"])
PROGRAM
