"""The first screen's recording: `python -m documentation.recording HEAD docs/first-screen.svg`.

Runs real commands on a head, notes when each line of their output came, and writes an SVG that
shows the lines at those times. Nothing is written by hand, and nothing but waiting is left out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from html import escape
from pathlib import Path
from typing import IO, NamedTuple

COMMANDS = ("fmtool predict head.nii.gz --report report/", "fmtool bundle verify")
COLUMNS = 92
_PER_KEY, _PAUSE = 0.05, 1.0  # seconds
_WIDE, _HIGH, _EDGE, _BAR = 8.0, 18.0, 14.0, 26.0  # pixels


class Line(NamedTuple):
    """A line of a terminal: when it appeared (s), what it says, and "out", "err" or "typed"."""

    when: float
    text: str
    kind: str


def run(command: str, folder: Path) -> list[Line]:
    """The lines that a command printed, with the seconds since its start."""
    words = command.replace("fmtool", f"{sys.executable} -m fmtool", 1).split()
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "PYTHONUNBUFFERED": "1"}
    begun, lines = time.monotonic(), list[Line]()
    process = subprocess.Popen(
        words,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )

    def read(stream: IO[str], kind: str) -> None:
        for text in stream:
            lines.append(Line(time.monotonic() - begun, text.rstrip("\n"), kind))

    assert process.stdout is not None
    assert process.stderr is not None
    readers = [
        threading.Thread(target=read, args=(process.stdout, "out")),
        threading.Thread(target=read, args=(process.stderr, "err")),
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    if process.wait() != 0:
        raise SystemExit(f"{command} ended with {process.returncode}: {lines[-1].text}")
    return sorted(lines)


def wrapped(text: str) -> list[str]:
    """The rows that a terminal of `COLUMNS` shows of a line."""
    return [text[i : i + COLUMNS] for i in range(0, max(len(text), 1), COLUMNS)]


def svg(sessions: list[tuple[str, list[Line]]]) -> str:
    """The recording of commands and their lines, each at its time."""
    parts, row, now = list[str](), 0, _PAUSE

    def put(text: str, when: float, kind: str, column: int = 0) -> None:
        if text.strip():
            x, y = _EDGE + column * _WIDE, _BAR + _EDGE + (row + 0.7) * _HIGH
            parts.append(
                f'<text x="{x:g}" y="{y:g}" class="{kind}" textLength="{len(text) * _WIDE:g}" '
                f'style="animation-delay:{when:.2f}s">{escape(text)}</text>'
            )

    for command, lines in sessions:
        put("$", now - _PAUSE, "prompt")
        for at, letter in enumerate(command):
            now += _PER_KEY
            put(letter, now, "typed", at + 2)
        row += 1
        for line in lines:
            for text in wrapped(line.text):
                put(text, now + line.when, line.kind)
                row += 1
        now += lines[-1].when + 2 * _PAUSE
    put("$", now - _PAUSE, "prompt")
    width = COLUMNS * _WIDE + 2 * _EDGE
    height = _BAR + 2 * _EDGE + (row + 1) * _HIGH
    dots = "".join(
        f'<circle cx="{_EDGE + 6 + 18 * i:g}" cy="17" r="5.5" fill="{colour}"/>'
        for i, colour in enumerate(("#ff5f57", "#febc2e", "#28c840"))
    )
    # Lines are visible wherever animations are not played.
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img" aria-label="A terminal: fmtool at work">'
        "<style>text{font:13.3px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',"
        "monospace;white-space:pre;fill:#d6deeb;animation:show .01s both}"
        ".err{fill:#8a97a8}.prompt{fill:#5fd7af}.typed{fill:#fff}"
        "@keyframes show{from{visibility:hidden}to{visibility:visible}}"
        "@media (prefers-reduced-motion:reduce){text{animation:none}}</style>"
        f'<rect width="100%" height="100%" rx="8" fill="#10151c"/>{dots}'
        + "\n".join(parts)
        + "</svg>\n"
    )


def main() -> None:
    """Record `COMMANDS` on the head that is named."""
    head, out = Path(sys.argv[1]), Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(head, Path(folder) / "head.nii.gz")
        # The first run of a machine also tries its engine; the recording is of a later one.
        run("fmtool predict head.nii.gz --csv", Path(folder))
        sessions = [(command, run(command, Path(folder))) for command in COMMANDS]
    out.write_text(svg(sessions), encoding="utf-8")


if __name__ == "__main__":
    main()
