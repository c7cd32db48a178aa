"""A watch folder at the machine's full rate, for an hour, with every tenth input corrupt.

    python -m benchmarks.soak --minutes 60 [--scan HEAD.nii.gz] [--bundle BUNDLE]

Feeds `fmtool watch` in a process of its own: it always finds a few studies waiting. Every study's
bytes are its own, so that none is answered from memory. A third into the time the watch gets
SIGTERM, two thirds in SIGKILL, and is started again. In the end every good study must have its
answer, every bad one its reason, and the ledger must say so: exit code 1 if not.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from benchmarks.shared import script
from benchmarks.soak.run import soak


def main() -> None:
    """Soak, print the figures as JSON."""
    args = script.options(
        __doc__,
        minutes=60.0,
        scan=(Path, "a whole head; the prepared template if absent"),
        bundle=Path,
    )
    with tempfile.TemporaryDirectory(prefix="fmtool-soak-") as folder:
        said = soak(args.minutes, args.scan, args.bundle, Path(folder))
    print(json.dumps(said, indent=1))
    if said["problems"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
