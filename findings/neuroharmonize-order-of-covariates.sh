#!/usr/bin/env bash
# Tool: neuroHarmonize 2.5.2 (ComBat with a saved model)
# Expected: a model applied to its own training table gives the training's values, whatever the
#   order of the table's columns, and applies to a single new scan.
# Seen: covariates are taken by their place: the table with SEX and AGE exchanged is harmonised
#   without a word to other values (off by up to 7 here, where the spread is 1.3); a table that
#   holds scans of one site alone raises "shapes not aligned".
# Source: run.
#
# Exit status: 0 it is still so, 1 it has changed, 2 the packages could not be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install --quiet --no-compile \
    neuroHarmonize==2.5.2 numpy==1.26.4; } || exit 2

env/bin/python -W ignore - <<'PROGRAM'
import contextlib
import io

import numpy as np
import pandas as pd
from neuroHarmonize import harmonizationApply, harmonizationLearn

rng = np.random.default_rng(0)
table = pd.DataFrame(
    {"SITE": ["A"] * 20 + ["B"] * 20, "AGE": rng.uniform(20, 80, 40), "SEX": rng.integers(0, 2, 40)}
)
data = rng.normal(size=(40, 10)) + 0.05 * table.AGE.to_numpy()[:, None]
with contextlib.redirect_stdout(io.StringIO()):
    model, learned = harmonizationLearn(data, table)
    same = np.abs(harmonizationApply(data, table, model) - learned).max()
    other = np.abs(harmonizationApply(data, table[["SITE", "SEX", "AGE"]], model) - learned).max()
    try:
        harmonizationApply(data[:1], table[:1], model)
        alone = "harmonised"
    except ValueError as error:
        alone = str(error)
print(f"same columns: {same:.2g} off; two columns exchanged: {other:.2g} off; one scan alone: {alone}")
raise SystemExit(not (same < 1e-6 and other > 0.5 and "aligned" in alone))
PROGRAM
