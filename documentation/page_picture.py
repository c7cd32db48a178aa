"""The picture of the page to drop a scan on: `python -m documentation.page_picture HEAD OUT.png`.

Starts the HTTP service, gives its page a head that may be shown, in headless Chromium, and keeps
the first screens once the report is there.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from documentation import browser

WIDTH, HEIGHT = 840, 1240
_WAIT_S = 900.0


def main() -> None:
    """Have the head that is named answered on the page, and make its picture."""
    head, out = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    program = browser.program()
    if program is None:
        raise SystemExit(f"no browser: none of {', '.join(browser.NAMES)} is installed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = [sys.executable, "-m", "fmtool", "serve", "http", "--spool", str(folder / "spool")]
        service = subprocess.Popen([*words, "--port", "0"], stderr=subprocess.PIPE)
        opened = browser.Browser(program, folder / "profile")
        try:
            assert service.stderr is not None
            said = next(s for s in map(json.loads, service.stderr) if s["event"] == "listening")
            opened.open(f"http://127.0.0.1:{said['port']}/", WIDTH)
            _answered(opened, head)
            opened.screenshot(out, HEIGHT)
        finally:
            opened.close()
            service.terminate()
            service.wait()


def _answered(opened: browser.Browser, head: Path) -> None:
    root = opened.call("DOM.getDocument")["root"]["nodeId"]
    field = opened.call("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
    opened.call("DOM.setFileInputFiles", nodeId=field, files=[str(head)])
    end, said = time.monotonic() + _WAIT_S, ""
    while not said.startswith("Done"):
        if time.monotonic() > end or said.startswith(("Failed", "Not taken")):
            raise SystemExit(f"no answer: {said}")
        now = str(opened.run("document.getElementById('said').textContent"))
        if now != said:
            print(now, file=sys.stderr)
        said = now
        time.sleep(0.1)
    time.sleep(1.0)  # for the frame to draw its report


if __name__ == "__main__":
    main()
