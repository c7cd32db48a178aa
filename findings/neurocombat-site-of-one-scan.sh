#!/usr/bin/env bash
# Tool: neuroCombat 0.2.12 (harmonisation of sites)
# Expected: a site with a single scan is refused, or that scan alone comes out unusable.
# Seen: every value of every scan of every site is NaN, without an error or a warning: the site's
#   variance of one scan is NaN and goes into the empirical Bayes prior.
# Source: run; Johnson et al. 2007 for the method.
#
# Exit status: 0 it is still so, 1 it has changed, 2 the packages could not be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install --quiet --no-compile \
    neuroCombat==0.2.12 numpy==2.3.5 pandas==2.3.3; } || exit 2

env/bin/python -W ignore - <<'PROGRAM'
import numpy as np
import pandas as pd
from neuroCombat import neuroCombat

rng = np.random.default_rng(0)
sites = np.array(["A"] * 20 + ["B"] * 20 + ["C"])
features = rng.normal(size=(10, 41))
table = pd.DataFrame({"site": sites, "age": rng.uniform(20, 80, 41)})


def lost(kept):
    out = neuroCombat(features[:, kept], table[kept], "site", continuous_cols=["age"])["data"]
    return float(np.isnan(out).mean())


without, with_one = lost(sites != "C"), lost(sites == sites)
print(f"NaN without the third site: {without:.0%}; with its single scan: {with_one:.0%}")
raise SystemExit((without, with_one) != (0.0, 1.0))
PROGRAM
