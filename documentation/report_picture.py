"""The picture of a report: `python -m documentation.report_picture HEAD docs/report.png`.

Predicts from a head that may be shown, opens the page in headless Chromium, and keeps its first
screens.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from documentation import browser

WIDTH, HEIGHT = 840, 1668


def main() -> None:
    """Make the report of the head that is named, and its picture."""
    head, out = Path(sys.argv[1]), Path(sys.argv[2])
    program = browser.program()
    if program is None:
        raise SystemExit(f"no browser: none of {', '.join(browser.NAMES)} is installed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(head, folder / "head.nii.gz")
        words = [sys.executable, "-m", "fmtool", "predict", "head.nii.gz", "--report", "report"]
        subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        opened = browser.Browser(program, folder / "profile")
        try:
            opened.open(folder / "report" / "head.html", WIDTH)
            opened.screenshot(out, HEIGHT)
        finally:
            opened.close()


if __name__ == "__main__":
    main()
