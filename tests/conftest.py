"""Fixtures every test may use: the real scans and a browser, or why a test skips."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from documentation import browser as chromium

_DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real scans; skips the test where there is none."""
    folder = Path(os.environ.get("FMTOOL_TEST_DATA", _DEFAULT))
    if not folder.is_dir():
        pytest.skip(f"no real scans at {folder}; set FMTOOL_TEST_DATA to run this test")
    return folder


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Browser]:
    """A headless Chromium; skips the test where there is none."""
    program = chromium.program()
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(chromium.NAMES)} is installed")
    opened = chromium.Browser(program, tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()
