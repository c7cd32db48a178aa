"""Fixtures every test may use: the real scans and a browser, or why a test skips."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from documentation import browser as chromium

_DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def names_key(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A key of names for the tests, so that none is made in the home of who runs them."""
    path = tmp_path_factory.mktemp("names") / "key"
    path.touch(mode=0o600)
    path.write_text("k" * 32)
    os.environ["FMTOOL_NAMES_KEY"] = str(path)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real scans; skips the test where there is none."""
    folder = Path(os.environ.get("FMTOOL_TEST_DATA", _DEFAULT))
    if not folder.is_dir():
        pytest.skip(f"no real scans at {folder}; set FMTOOL_TEST_DATA to run this test")
    return folder


class Tab(chromium.Browser):
    """A tab that is also typed into, listened to and printed."""

    def press(self, key: str) -> None:
        """A key, where the focus is."""
        codes = {"Tab": 9, "PageUp": 33, "ArrowLeft": 37, "ArrowRight": 39, "Home": 36}
        for kind in ("rawKeyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=codes[key],
            )

    def complaints(self) -> list[str]:
        """Errors and warnings of the console, refusals of the policy, and exceptions."""
        kinds = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
        return [json.dumps(e["params"])[:400] for e in self.events if e["method"] in kinds]

    def requests(self) -> list[str]:
        """The addresses that the page asked for, itself first; those inside it left out."""
        asked = [e["params"] for e in self.events if e["method"] == "Network.requestWillBeSent"]
        return [a["request"]["url"] for a in asked if not a["request"]["url"].startswith("data:")]

    def pdf(self) -> bytes:
        """The page as it prints on A4."""
        found = self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)
        return base64.b64decode(found["data"])


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """A headless Chromium; skips the test where there is none."""
    program = chromium.program()
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(chromium.NAMES)} is installed")
    opened = Tab(program, tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()
