"""Where a report goes: asked before the run whether it can be written, then written in one step."""

from __future__ import annotations

import json as json_format
import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.bench.table import markdown
from fmtool.errors import CapabilityError, InputError
from runtime.system import atomic


@dataclass(frozen=True)
class Files:
    """The files asked for.

    Attributes:
        json: the whole report.
        markdown: its tables.
        plot: a PNG.
    """

    json: Path | None = None
    markdown: Path | None = None
    plot: Path | None = None

    def claim(self) -> None:
        """Find out what would fail after minutes of measuring.

        Raises:
            CapabilityError: if a plot is wanted and matplotlib is not installed.
            InputError: if a file's folder is missing or not writable.
        """
        if self.plot is not None and find_spec("matplotlib") is None:
            raise CapabilityError(
                "--plot needs matplotlib; install it with `pip install 'fmtool[bench]'`"
            )
        for path in filter(None, (self.json, self.markdown, self.plot)):
            folder = path.absolute().parent
            if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
                raise InputError(
                    f"cannot write {path}; name a file in a folder that exists and that you may "
                    "write to"
                )

    def write(self, report: dict[str, Any]) -> None:
        """Write what was asked for."""
        if self.json is not None:
            text = json_format.dumps(report, indent=1, allow_nan=False) + "\n"
            atomic.write_bytes(self.json, text.encode())
        if self.markdown is not None:
            atomic.write_bytes(self.markdown, markdown(report).encode())
        if self.plot is not None:
            from benchmarks.bench.plot import png

            atomic.write_bytes(self.plot, png(report))
