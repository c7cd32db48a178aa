#!/usr/bin/env bash
# Tool: MAPIE 1.6.0 (conformal prediction)
# Expected: 9 calibration subjects carry a 90 % interval: its end is the 9th of 9 residuals, since
#   ceil(0.9 x 10) = 9; so do 19 at 95 %.
# Seen: ValueError, "Number of samples of the score is too low": 10, 20 and so on are asked for,
#   one more than the rule needs. From there on its ranks are right.
# Source: run; the rank: Lei et al. 2018 (arXiv 1604.04173).
#
# Exit status: 0 it is still so, 1 it has changed, 2 the packages could not be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install --quiet --no-compile \
    MAPIE==1.6.0 scikit-learn==1.9.1 numpy==2.4.6; } || exit 2

env/bin/python -W ignore - <<'PROGRAM'
import numpy as np
from mapie.regression import SplitConformalRegressor
from sklearn.dummy import DummyRegressor


def end(n, level):
    x, y = np.zeros((n, 1)), np.arange(1.0, n + 1)
    model = DummyRegressor(strategy="constant", constant=0.0).fit(x, y)
    split = SplitConformalRegressor(model, confidence_level=level, prefit=True).conformalize(x, y)
    return float(split.predict_interval(x[:1])[1][0, 1, 0])


refused = []
for n, level in ((9, 0.9), (19, 0.95)):
    try:
        print(f"{n} subjects at {level}: ends at {end(n, level)}")
    except ValueError as error:
        print(f"{n} subjects at {level}:", " ".join(str(error).split()))
        refused.append(n)
print("10 subjects at 0.9 end at", end(10, 0.9), "; 20 at 0.95 at", end(20, 0.95))
raise SystemExit(refused != [9, 19] or end(10, 0.9) != 10 or end(20, 0.95) != 20)
PROGRAM
