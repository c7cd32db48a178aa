"""What is asked for is refused before a scan is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from fmtool import bundle
from fmtool.errors import UsageError
from training.site import run


def test_several_classes_are_not_calibrated_at_a_site_yet():
    asked = run.SiteCohort(Path("absent.csv"), "diagnosis", Path("cache"))
    with bundle.open() as parent, pytest.raises(UsageError, match=r"more than two classes.*probe"):
        run.calibrated(asked, parent, 0, print)
