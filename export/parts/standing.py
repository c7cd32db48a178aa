"""A bundle that an export of the same made already: whether it still is what one would make now.

The record is written before the bundle and completed after it, so that a process that is killed at
any point leaves one that tells which of the two bundles stands there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fmtool import bundle as bundles
from fmtool import plain_json
from fmtool.bundle import Bundle
from fmtool.errors import BundleError
from runtime.system import atomic

_KEYS = ("inputs", "digest", "earlier")


class Standing:
    """What is known of the bundle at a path.

    Args:
        path: of the bundle.
        record: a JSON file beside the runs.
        inputs: what an export would be made from now; JSON.

    Attributes:
        bundle: the bundle, open, if it is made from the same; None if there is work to do.
        ours: whether one stands there that this record's exports have made.
    """

    def __init__(self, path: Path, record: Path, inputs: dict[str, Any]) -> None:
        self._record = record
        self._inputs: dict[str, Any] = json.loads(json.dumps(inputs))
        self._digest: str | None = None
        self.bundle: Bundle | None = None
        self.ours = False
        if not path.exists():
            return
        try:
            opened = bundles.open(path)
        except BundleError:  # not this export's any more: to be replaced with --overwrite alone
            return
        before = self._read()
        self._digest = opened.digest
        if before["digest"] is None and opened.digest != before["earlier"]:
            before["digest"] = opened.digest  # killed between the bundle and the record
        self.ours = opened.digest in (before["digest"], before["earlier"])
        if opened.digest == before["digest"] and before["inputs"] == self._inputs:
            self.bundle = opened

    def begin(self) -> None:
        """Say what is about to be made."""
        self._write(None)

    def finish(self, bundle: Bundle) -> None:
        """Say that it is made."""
        self._write(bundle.digest)

    def _write(self, digest: str | None) -> None:
        self._record.parent.mkdir(parents=True, exist_ok=True)
        content = dict(zip(_KEYS, (self._inputs, digest, self._digest), strict=True))
        atomic.write_bytes(self._record, (json.dumps(content, indent=1) + "\n").encode())

    def _read(self) -> dict[str, Any]:
        nothing: dict[str, Any] = {"inputs": None, "digest": "", "earlier": ""}
        if not self._record.is_file():
            return nothing
        try:
            found = plain_json.loads(self._record.read_bytes())
        except (OSError, ValueError):
            return nothing
        if not isinstance(found, dict) or found.keys() != set(_KEYS):
            return nothing
        return found
