"""The pages' `pip`: installs nothing, but every extra of fmtool that is named must exist."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))

asked = [w for w in sys.argv[1:] if not w.startswith("-")]
assert asked[:1] == ["install"], f"only `pip install` is known here, not {asked}"
for requirement in asked[1:]:
    found = re.fullmatch(r"(?:fmtool|\.)\[([\w,-]+)\]", requirement)
    for extra in found[1].split(",") if found else ():
        assert extra in PROJECT["project"]["optional-dependencies"], f"no extra {extra!r}"
