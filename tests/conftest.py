"""Fixtures every test may use: where the real scans are, or why a test skips."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real scans; skips the test where there is none."""
    folder = Path(os.environ.get("FMTOOL_TEST_DATA", _DEFAULT))
    if not folder.is_dir():
        pytest.skip(f"no real scans at {folder}; set FMTOOL_TEST_DATA to run this test")
    return folder
