"""The official validator, where it is installed: whether a folder is a BIDS data set."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from fmtool.errors import CapabilityError, InputError

PROGRAM = "bids-validator-deno"
_MOST_NAMED = 3


def validate(folder: Path) -> bool:
    """Run the validator; False where it is not installed.

    Raises:
        InputError: if it finds errors, naming the first ones.
        CapabilityError: if it cannot run.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        return False
    done = subprocess.run(
        [program, "--json", "--ignoreWarnings", "--ignoreNiftiHeaders", str(folder.resolve())],
        capture_output=True,
        check=False,
    )
    try:
        issues = json.loads(done.stdout)["issues"]["issues"]
    except (ValueError, KeyError, TypeError):
        raise CapabilityError(
            f"{PROGRAM} does not work here; mend it, or leave it out by --skip-bids-validation"
        ) from None
    errors = [issue for issue in issues if issue.get("severity") == "error"]
    if errors:
        named = ", ".join(
            f"{e.get('code')} {e.get('location') or ''}".strip() for e in errors[:_MOST_NAMED]
        )
        more = ", ..." if len(errors) > _MOST_NAMED else ""
        raise InputError(
            f"{folder} is no valid BIDS data set: {named}{more}; mend it, or go on with "
            "--skip-bids-validation"
        )
    return True
