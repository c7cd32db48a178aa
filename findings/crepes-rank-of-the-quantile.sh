#!/usr/bin/env bash
# Tool: crepes 0.9.1 (conformal prediction)
# Expected: with n calibration residuals the half-width at level 0.9 is the ceil(0.9 (n + 1))-th
#   smallest.
# Seen: where 0.1 (n + 1) is whole (n = 9, 19, 29, ...) the next larger residual is taken: of 19
#   residuals the 19th instead of the 18th, and of 9 none, an infinite interval with a warning. (1
#   - 0.9) (n + 1) falls just below the whole number in binary floating point and is cut off. At
#   0.95 and 0.99 the ranks are right, at 0.8 every fifth n is off. (The package does not ask for
#   scikit-learn, which it imports.)
# Source: run; the rank: Vovk et al. 2005, Lei et al. 2018 (arXiv 1604.04173).
#
# Exit status: 0 it is still so, 1 it has changed, 2 the packages could not be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install --quiet --no-compile \
    crepes==0.9.1 scikit-learn==1.9.1 numpy==2.4.6; } || exit 2

env/bin/python -W ignore - <<'PROGRAM'
import math
from fractions import Fraction

import numpy as np
from crepes import ConformalRegressor

off = {}
for level in ("0.9", "0.95"):
    off[level] = []
    for n in range(25, 100) if level == "0.95" else range(9, 100):
        calibrated = ConformalRegressor()
        calibrated.fit(residuals=np.arange(1.0, n + 1))
        upper = calibrated.predict_int(np.zeros(1), confidence=float(level))[0, 1]
        right = math.ceil(Fraction(level) * (n + 1))
        if upper != right:
            off[level].append(n)
            print(f"level {level}, n = {n}: residual number {upper:g}, the rule says {right}")
raise SystemExit(off != {"0.9": [9, 19, 29, 39, 49, 59, 69, 79, 89, 99], "0.95": []})
PROGRAM
