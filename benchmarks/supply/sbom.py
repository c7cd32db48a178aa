"""The bill of materials of an environment, as CycloneDX JSON.

    python -m benchmarks.supply.sbom [--python PYTHON] -o sbom.json

Made by cyclonedx-bom of what is installed for PYTHON, this one if absent. Paths of this machine are
left out, and what is written is valid against the CycloneDX schema, or is not written.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from fmtool.errors import CapabilityError, FmtoolError
from runtime.system import atomic

SCHEMA = "1.6"


def main() -> None:
    """Parse, make, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.supply.sbom", description=__doc__)
    parser.add_argument("--python", type=Path, default=Path(sys.executable))
    parser.add_argument("-o", "--out", type=Path, required=True)
    args = parser.parse_args()
    try:
        found = of(args.python)
        atomic.write_bytes(args.out, (json.dumps(found, indent=1) + "\n").encode())
    except FmtoolError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    print(f"{args.out}: {len(found['components'])} packages")


def of(python: Path) -> dict[str, Any]:
    """The bill of materials of an interpreter's environment.

    Raises:
        CapabilityError: if cyclonedx-bom is not installed, or cannot look into the environment.
        FmtoolError: if what it made is not valid.
    """
    words = ["environment", "--output-reproducible", "--of", "JSON", "--sv", SCHEMA, "-o", "-"]
    command = [sys.executable, "-m", "cyclonedx_py", *words, str(python)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise CapabilityError(
            f"cyclonedx-bom cannot describe the environment of {python} ({why}); install the extra "
            "`dev`, and name an interpreter that is there"
        )
    found: dict[str, Any] = json.loads(done.stdout)
    for component in found.get("components", []):
        component["externalReferences"] = [
            reference
            for reference in component.get("externalReferences", [])
            if not reference["url"].startswith("file:")
        ]
    check(found)
    return found


def check(found: dict[str, Any]) -> None:
    """Raise unless `found` is valid against CycloneDX's own schema.

    Raises:
        FmtoolError: naming what is wrong.
        CapabilityError: if cyclonedx-python-lib is not installed.
    """
    try:
        from cyclonedx.schema import SchemaVersion
        from cyclonedx.validation.json import JsonStrictValidator
    except ImportError:
        raise CapabilityError("cyclonedx-python-lib is not installed; install `dev`") from None
    version = SchemaVersion.from_version(str(found.get("specVersion", SCHEMA)))
    error = JsonStrictValidator(version).validate_str(json.dumps(found))
    if error is not None:
        raise FmtoolError(f"the bill of materials is not valid CycloneDX: {str(error)[:300]}")


if __name__ == "__main__":
    main()
