"""Write the lock files anew, or say whether they still fit `pyproject.toml`.

    python -m benchmarks.supply [--check]

Every extra's packages, pinned with their SHA-256, for Python 3.11 on any system: `locks/EXTRA.txt`,
by `uv pip compile` from the public index alone, whatever pip is configured to use here.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.supply.locks import FOLDER, LOCKS, problems, write
from fmtool.errors import FmtoolError


def main() -> int:
    """Parse, write or check; 1 if a lock file does not fit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.supply", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    args = parser.parse_args()
    if not args.check:
        try:
            write()
        except FmtoolError as error:
            print(f"error: {error}", file=sys.stderr)
            return error.exit_code
    found = [f"{FOLDER / name}.txt: {what}" for name in LOCKS for what in problems(name)]
    print("\n".join(found) or f"{len(LOCKS)} lock files fit pyproject.toml")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
