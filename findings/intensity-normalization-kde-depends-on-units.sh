#!/usr/bin/env bash
# Tool: intensity-normalization 3.0.1 (`normalize_image(..., method="kde")`)
# Expected: white matter, the last mode of a T1-weighted brain, becomes 1, whatever the scanner's units:
#   the same scan multiplied by a constant is normalised to the same values.
# Seen: in a scanner's usual units (white matter at 1000) white matter becomes 1.3 and grey 0.8; the
#   same voxels divided by 1000 give 1.0 and 0.6. A scalar bandwidth of SciPy's gaussian_kde is a
#   factor of the data's deviation, and the largest value over 80 is passed for it: the density has
#   one mode, near the brain's mean. The method "fcm" on the same brain gives 1.0 in either unit.
# Source: run.
#
# Exit status: 0 it is still so, 1 it has changed, 2 the packages could not be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install --quiet --no-compile \
    intensity-normalization==3.0.1 numpy==2.4.6 scipy==1.17.1; } || exit 2

env/bin/python - <<'PROGRAM'
import numpy as np
from intensity_normalization import Modality, normalize_image

rng = np.random.default_rng(0)
shape = (48, 56, 48)
axes = np.meshgrid(*(np.linspace(-1.2, 1.2, n) for n in shape), indexing="ij")
r = np.sqrt(sum(a * a for a in axes))
brain, white, grey = r < 1.0, (r > 0.2) & (r < 0.7), (r > 0.8) & (r < 0.95)
scan = np.select([r < 0.15, r < 0.75, brain], [300.0, 1000.0, 600.0], 0.0)
scan[brain] += rng.normal(0.0, 40.0, brain.sum())


def normalised(factor, method):
    made = normalize_image(
        (scan * factor).astype(np.float32), method=method, mask=brain.astype(np.float32), modality=Modality.T1
    )
    made = np.asarray(made if isinstance(made, np.ndarray) else made.get_data())
    return round(float(made[white].mean()), 2), round(float(made[grey].mean()), 2)


kde, kde_small = normalised(1.0, "kde"), normalised(1e-3, "kde")
fcm, fcm_small = normalised(1.0, "fcm"), normalised(1e-3, "fcm")
print(f"kde: white, grey {kde}; of the scan divided by 1000 {kde_small}")
print(f"fcm: white, grey {fcm}; of the scan divided by 1000 {fcm_small}")
assert max(abs(fcm[0] - 1.0), abs(fcm_small[0] - 1.0)) < 0.05
raise SystemExit(0 if kde[0] > 1.2 and abs(kde_small[0] - 1.0) < 0.05 else 1)
PROGRAM
