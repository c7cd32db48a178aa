#!/usr/bin/env bash
# Tool: fhir.resources 8.3.0 (FHIR R5)
# Expected: a decimal keeps its digits from JSON to JSON, as FHIR asks: 72.00 says more than 72.0.
# Seen: 72.00 comes back as 72.0 and 12345678901234567890.123 as 12345678901234567000, without an
#   error; a time of nine decimals loses three. Values pass through binary floats when they are
#   written.
# Source: run; FHIR R5, data types, decimal: the precision is significant and has to be kept.
#
# Exit status: 0 it is still so, 1 it has changed, 2 the packages could not be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install --quiet --no-compile \
    fhir.resources==8.3.0; } || exit 2

env/bin/python -W ignore - <<'PROGRAM'
import json

from fhir.resources.observation import Observation

told = []
for digits in ("72.00", "12345678901234567890.123"):
    text = (
        '{"resourceType": "Observation", "status": "final", "code": {"text": "brain age"},'
        ' "effectiveDateTime": "2026-11-03T10:00:00.123456789Z",'
        ' "valueQuantity": {"value": ' + digits + ', "unit": "a"}}'
    )
    again = Observation.model_validate_json(text).model_dump_json()
    told.append(json.loads(again, parse_float=str, parse_int=str))
    value = told[-1]["valueQuantity"]["value"]
    print(digits, "->", value, "; time ->", told[-1]["effectiveDateTime"])
values = [t["valueQuantity"]["value"] for t in told]
time = told[0]["effectiveDateTime"]
raise SystemExit(not (
    values == ["72.0", "12345678901234567000"] and time == "2026-11-03T10:00:00.123456Z"
))
PROGRAM
